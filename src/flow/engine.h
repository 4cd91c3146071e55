// SPDX-License-Identifier: MPL-2.0
// engine.h - what an engine of routes is: one record of functions. What is the same for
// every engine is written in engine.c and routethread.c, and kept in a route_base_t, with which
// each engine's struct route begins; nobody else looks into one.

#ifndef ZB_ENGINE_H
#define ZB_ENGINE_H

#include "flow/route.h"
#include "flow/routethread.h"

typedef struct route_engine {
    const char *name; // as in the configuration: "zmq", …
    size_t size;      // of its struct route
    size_t stack_bytes;
    bool is_deaf;     // its thread hears nothing: zmq_proxy(3) has no commands

    // In the caller's thread. open: SELF is all zero but for its base. 0, or -1 with DIAG: close cleans up.
    int (*open)(route_t *self, const route_conf_t *conf, listeners_t *listeners, const route_resources_t *resources,
                counters_t *counters, diag_t *diag);
    void (*close)(route_t *self, route_leftover_t *left); // its thread is over, or was never started
    void (*told_to_end)(route_t *self);                   // NULL: its loop hears of it by the bell
    const char *(*endpoint)(const route_t *self, side_t side, size_t i, bool *connected);
    const char *(*failure)(const route_t *self);          // when its thread is over. NULL: it cannot end by itself
    void (*take)(route_t *self, record_t *saved); // NULL, as are can_save and save: its peers stay
    char **(*subscriptions)(route_t *self, size_t *count, size_t max);
    route_value_t *(*values)(route_t *self, const route_prefix_t *prefix, size_t *count, size_t max, uint64_t *more); // NULL: it has none
    uint64_t (*clear_values)(route_t *self, const route_prefix_t *prefix);
    void (*clients)(route_t *self, client_fn_t *fn, void *arg); // NULL, as is kick: the watch knows them
    int (*kick)(route_t *self, uint64_t id);
    void (*backend_services)(route_t *self, client_service_fn_t *fn, void *arg); // NULL: not known
    void (*endpoints_down)(route_t *self, endpoint_down_fn_t *fn, void *arg); // NULL: not known

    // In the route's thread: all of its work until it is to end, and its end.
    void (*run)(route_t *self);
    void (*join)(route_t *self);                      // accept on what is deferred
    void (*go_on)(route_t *self, route_state_t mode); // as before, mostly
    void (*look)(route_t *self);                      // taps may have left, the policy may have changed
    int (*change)(route_t *self, const route_conf_t *conf, listeners_t *listeners, diag_t *diag);
    tap_t *(*tap)(route_t *self, const void *prefix, size_t prefix_size);
    bool (*can_save)(const route_t *self, const route_conf_t *successor);
    bool (*save)(route_t *self, const route_conf_t *successor, record_t *saved);
    void (*reconnect)(route_t *self, const char *endpoint); // NULL: it connects again by itself
} route_engine_t;

// What a route's peers have is being written down, for SUCCESSOR.
typedef struct {
    routecall_t call;
    const route_conf_t *successor;
    record_t record;
    bool begun;
} route_saving_t;

// The listeners are changed by the route's thread while the main thread waits for it, and by nobody else.
typedef struct {
    const route_engine_t *engine;
    listeners_t listeners;
    listeners_t deferred; // of those, what it does not accept on until it joins
    routethread_t thread;
    route_saving_t saving;
} route_base_t;

// Work for its thread, for whoever is in the main one; see routethread_call. -1 too, if the thread is deaf.
int route_call(route_t *self, routework_t *run, void *arg);

// In its thread, when the bell was rung: the engine does what the main thread wants.
void route_obey(route_t *self);

#endif
