// SPDX-License-Identifier: MPL-2.0
// statsjson.h - what the broker knows as JSON, for the control socket and HTTP.
// doc/api.md names the fields.

#ifndef ZB_STATSJSON_H
#define ZB_STATSJSON_H

#include "base/json.h"
#include "broker/broker.h"

// The fields of /api/v1/status, into an object that is open.
void statsjson_status(json_t *json, broker_t *broker);

// One route as an object of its own. How much:
typedef enum {
    STATS_PLAIN,   // for the control socket: no history
    STATS_HISTORY, // and the last minute
    STATS_DETAIL,  // and the last quarter of an hour, options, clients, events
} stats_depth_t;
void statsjson_route(json_t *json, broker_t *broker, const broker_route_t *route, stats_depth_t depth);

// "events": the last ones about ROUTE, NULL: of all.
void statsjson_events(json_t *json, const char *route);

// "options": every key of a section as it runs.
void statsjson_settings(json_t *json, const char *key, const settings_t *settings);

#endif
