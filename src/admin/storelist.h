// SPDX-License-Identifier: MPL-2.0
// storelist.h - the command `show store`: what routes have on disk.

#ifndef ZB_STORELIST_H
#define ZB_STORELIST_H

#include "admin/reply.h"

void storelist_show(request_t *request);

// In what state the store of ROUTE is, in words; NULL: nothing is wrong with it.
const char *storelist_problem(const broker_route_t *route);

#endif
