// SPDX-License-Identifier: MPL-2.0
// engine.h - what an engine of routes is: one record of functions, which are those
// of route.h without their prefix. Each engine completes struct route in files of
// its own, and begins it with the pointer to its record; nobody else looks into one.

#ifndef ZB_ENGINE_H
#define ZB_ENGINE_H

#include "flow/route.h"

typedef struct route_engine {
    const char *name; // as in the configuration: "zmq", …
    route_t *(*open)(const route_conf_t *conf, listeners_t *listeners, const route_services_t *services,
                     counters_t *counters, diag_t *diag);
    int (*run)(route_t *self, int tell);
    int (*change)(route_t *self, const route_conf_t *conf, listeners_t *listeners, diag_t *diag);
    void (*join)(route_t *self);
    void (*reconnect)(route_t *self, const char *endpoint);
    const char *(*endpoint)(const route_t *self, side_t side, size_t i, bool *connected);
    void (*pause)(route_t *self);
    void (*resume)(route_t *self);
    void (*drain)(route_t *self);
    void (*finish)(route_t *self, int64_t drain_ms, bool at_once);
    void (*stop_accepting)(route_t *self, closed_for_t reason, const route_conf_t *successor);
    bool (*finished)(const route_t *self);
    const char *(*failure)(const route_t *self); // NULL: it cannot end by itself
    bool (*can_save)(route_t *self, const route_conf_t *successor); // NULL, as are the next three: its peers stay
    void (*begin_save)(route_t *self, const route_conf_t *successor);
    bool (*save)(route_t *self, const route_conf_t *successor, record_t *luggage);
    void (*take)(route_t *self, record_t *luggage);
    void (*close)(route_t **self_p, route_leftover_t *leftover);
    void (*share_listeners)(const route_t *self, listeners_t *shared);
    tap_t *(*tap)(route_t *self, const void *prefix, size_t prefix_size);
    void (*look)(route_t *self);
    void (*settle)(route_t *self);
    char **(*subscriptions)(route_t *self, size_t *count, size_t max);
    route_value_t *(*values)(route_t *self, const route_prefix_t *prefix, size_t *count, size_t max, uint64_t *more); // NULL: it has none
    uint64_t (*clear_values)(route_t *self, const route_prefix_t *prefix);
    void (*clients)(route_t *self, client_fn_t *fn, void *arg); // NULL, as is kick: the watch knows them
    int (*kick)(route_t *self, uint64_t id);
    void (*backend_services)(route_t *self, client_service_fn_t *fn, void *arg); // NULL: not known
    void (*endpoints_down)(route_t *self, endpoint_down_fn_t *fn, void *arg); // NULL: not known
    int64_t (*age_ms)(route_t *self);
} route_engine_t;

#endif
