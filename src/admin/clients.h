// SPDX-License-Identifier: MPL-2.0
// clients.h - who is connected, as JSON; clients.c is the command `show clients`, too.

#ifndef ZB_CLIENTS_H
#define ZB_CLIENTS_H

#include "base/json.h"
#include "base/text.h"
#include "broker/broker.h"

// "clients": an array, the oldest first, at most MAX of them (0: all). ROUTE NULL: of every route.
void clients_write(json_t *json, broker_t *broker, const char *route, size_t max);

// "slowest_client": the one that is the most bytes behind, or null where none is. ROUTE is a name.
void clients_write_slowest(json_t *json, broker_t *broker, const char *route);

#endif
