// SPDX-License-Identifier: MPL-2.0
// resources.h - what the process lends to each of its routes: made by main, the same for all.

#ifndef ZB_RESOURCES_H
#define ZB_RESOURCES_H

#include "base/diag.h"
#include "conf/conf.h"
#include "flow/admission.h"
#include "flow/counters.h"
#include "flow/letters.h"
#include "flow/memory.h"
#include "flow/capacity.h"

#include <stdint.h>

struct route_engine;
struct watch;

// All borrowed, all outlive the route.
typedef struct {
    const struct route_engine *engines[ENGINES]; // by engine_t; NULL: not in this program
    void *ctx;
    struct watch *watch;  // of libzmq's sockets
    capacity_t *capacity; // of the process
    memory_t *memory;     // of the process, for messages that are not libzmq's; may be NULL
    letters_t *letters;   // of the process, for messages that go from route to route; may be NULL
    uint64_t epoch; // of this process: part of the routing ids of queues

    struct resolver *resolver;    // of host names, for connections that are not libzmq's (net/resolver.h)
    const admission_t *admission; // the guard; may be NULL

    // A listening descriptor from systemd for ENDPOINT, or -1. May be NULL.
    int (*activated)(void *arg, const endpoint_conf_t *endpoint);
    // That descriptor is not systemd's, but of the program before: a file of it is ours to remove. May be NULL.
    bool (*is_ours)(void *arg, int fd);
    // A listening tcp descriptor is there: it may be kept for the next process. May be NULL.
    void (*listening)(void *arg, const endpoint_conf_t *endpoint, int fd);
    void *arg; // of these three
} route_resources_t;

#endif
