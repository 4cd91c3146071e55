// SPDX-License-Identifier: MPL-2.0
// services.h - what a route needs from the process: made by main, the same for all.

#ifndef ZB_SERVICES_H
#define ZB_SERVICES_H

#include "base/diag.h"
#include "conf/conf.h"
#include "flow/admission.h"
#include "flow/counters.h"
#include "flow/filter.h"
#include "flow/letters.h"
#include "flow/memory.h"
#include "flow/topics.h"
#include "flow/watch.h"

#include <stdint.h>

struct route_engine;

// All borrowed, all outlive the route.
typedef struct {
    const struct route_engine *engines[ENGINES]; // by engine_t; NULL: not in this program
    void *ctx;
    watch_t *watch;
    capacity_t *capacity; // of the process
    memory_t *memory;     // of the process, for messages that are not libzmq's; may be NULL
    letters_t *letters;   // of the process, for messages that go from route to route; may be NULL
    uint64_t epoch; // of this process: part of the routing ids of queues

    // Called for each socket before its first bind or connect: sets keys, ZAP
    // domain, manual mode. 0, or -1 with the reason in DIAG. May be NULL.
    int (*secure)(void *arg, void *socket, const route_conf_t *conf, side_t side, diag_t *diag);
    // The filter of a route, NULL for none; freed by filter_free in the route's last call. May be NULL.
    filter_t *(*filter_new)(void *arg, const route_conf_t *conf, counters_t *counters, topics_t *topics);
    void (*filter_free)(void *arg, filter_t **filter_p);
    void *arg;

    struct resolver *resolver;    // of host names, for connections that are not libzmq's (net/resolver.h)
    const admission_t *admission; // the guard asked directly, for connections that are not libzmq's; may be NULL

    // A listening descriptor from systemd for ENDPOINT, or -1. May be NULL.
    int (*activated)(void *arg, const endpoint_conf_t *endpoint);
    // That descriptor is not systemd's, but of the program before: a file of it is ours to remove. May be NULL.
    bool (*is_ours)(void *arg, int fd);
    // A listening tcp descriptor is there: it may be kept for the next process. May be NULL.
    void (*listening)(void *arg, const endpoint_conf_t *endpoint, int fd);
    void *service_arg; // of these two
} route_services_t;

#endif
