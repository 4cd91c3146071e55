// SPDX-License-Identifier: MPL-2.0
#include "wire/interest.h"
