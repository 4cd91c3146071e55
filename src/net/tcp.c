// SPDX-License-Identifier: MPL-2.0
#include "net/tcp.h"
