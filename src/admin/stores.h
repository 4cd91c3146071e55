// SPDX-License-Identifier: MPL-2.0
// stores.h - the command `show store`: what routes have on disk.

#ifndef ZB_STORES_H
#define ZB_STORES_H

#include "admin/answer.h"
#include "base/json.h"

void stores_show(request_t *request);

// The same of one route, as the object KEY; null where it has no store.
void stores_write(json_t *json, const char *key, const broker_route_t *route);

// In what state the store of ROUTE is, in words; NULL: nothing is wrong with it.
const char *stores_problem(const broker_route_t *route);

#endif
