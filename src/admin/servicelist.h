// SPDX-License-Identifier: MPL-2.0
// servicelist.h - the command `show services`: what a queue knows of those who answer.

#ifndef ZB_SERVICELIST_H
#define ZB_SERVICELIST_H

#include "admin/reply.h"

void servicelist_show(request_t *request);

#endif
