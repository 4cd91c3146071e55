// SPDX-License-Identifier: MPL-2.0
// storelist.h - what routes have on disk; storelist.c is the command `show store`, too.

#ifndef ZB_STORELIST_H
#define ZB_STORELIST_H

#include "base/json.h"
#include "broker/broker.h"

// What `show store` tells of one route, as the object KEY; null where it has no store.
void storelist_write(json_t *json, const char *key, const broker_route_t *route);

// In what state the store of ROUTE is, in words; NULL: nothing is wrong with it.
const char *storelist_problem(const broker_route_t *route);

#endif
