// SPDX-License-Identifier: MPL-2.0
// stats.h - one place that turns what the broker knows into numbers: control, HTTP,
// metrics and the page all ask here.

#ifndef ZB_STATS_H
#define ZB_STATS_H

#include "broker/broker.h"

#define STATS_PROBLEM_SECONDS 0.1 // a side that could not be sent to for less is not worth a word

// A counter of COUNTERS as `show stats` tells it: less what `clear counters` has put aside.
uint64_t stats_counter(const broker_route_t *route, const counter_t *counter);
#define STATS(route, field) stats_counter((route), &(route)->counters->field)

// Seconds a side could not be sent to, the spell that lasts included: since the
// start, or since `clear counters`.
double stats_blocked_total(const broker_route_t *route, side_t side);
double stats_blocked_seconds(const broker_route_t *route, side_t side);

// Of a running route: the side that takes nothing now, longest first. False: none.
typedef struct {
    side_t side;
    int64_t since_wall_ns;
    double seconds;
} blocked_t;
bool stats_blocked(const broker_route_t *route, blocked_t *blocked);

// How many routes are in each state.
void stats_states(broker_t *broker, size_t states[ROUTE_STATES]);

bool stats_has_side(const broker_route_t *route, side_t side);
uint64_t stats_dropped(const broker_route_t *route); // by all reasons, not the capture's

// An endpoint of a side as bound, or as configured while the route has no sockets; NULL past the end.
const char *stats_endpoint(const broker_route_t *route, side_t side, size_t i, bool *connected);

// The topics that a route's subscribers ask for, at most MAX. Free each, and the array; NULL: none.
char **stats_topics(const broker_route_t *route, size_t *count, size_t max);

// The value of a key as anybody may see it: passwords are not.
const char *stats_shown_value(const setting_t *setting);

const char *stats_czmq_version(void);   // of the library that runs, "4.2.1"
const char *stats_libzmq_version(void);

#endif
