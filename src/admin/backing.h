// SPDX-License-Identifier: MPL-2.0
// backing.h - the command `show services`: what a queue knows of those who answer.

#ifndef ZB_BACKING_H
#define ZB_BACKING_H

#include "admin/answer.h"

void backing_show(request_t *request);

#endif
