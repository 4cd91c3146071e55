// SPDX-License-Identifier: MPL-2.0
// internal.h - what the broker is made of, for the files of this room only. All
// others have broker.h.

#ifndef ZB_BROKER_INTERNAL_H
#define ZB_BROKER_INTERNAL_H

#include "broker/broker.h"
#include "broker/rates.h"
#include "broker/standstill.h"

// One route's place, with and without sockets. It stays while routes come and go in it.
typedef struct {
    route_conf_t *conf;
    route_t *route;        // NULL while disabled or failed
    counters_t *counters;  // of this route_t: each generation has one writer
    counters_t past;       // of those that are gone
    counters_t total;      // made for whoever asks
    counters_t cleared;
    counters_t before;     // what was counted under its name before the slot was there
    route_state_t mode;    // running, paused, draining, disabled, failed: wanted
    char *failure;
    bool opening_later;    // the one before must be gone first
    listeners_t waiting;   // for that: what is bound already, so that nobody is refused meanwhile
    record_t saved;      // of the route before, for the next one that runs here
    int64_t started_wall_ns;
    rates_t rates;
    standstill_t standstill;
} slot_t;

// A route on its way out: disabled, removed, replaced, or stopped.
typedef struct retired {
    struct retired *next;
    route_t *route;
    route_conf_t *conf;
    bool owns_conf;        // the slot has another one now, or is gone
    counters_t *counters;
    char *name;
    const char *why;
} retired_t;

// Logins outlive the routes they were for: the guard's thread counts them here.
typedef struct logins {
    struct logins *next;
    counters_t counters;
    char name[ROUTE_NAME_MAX + 1];
} logins_t;

struct broker {
    zloop_t *loop;
    const broker_setup_t *setup;
    conf_t *conf;          // its routes are in the slots
    slot_t **slots;
    size_t count, room;
    retired_t *retired;
    int64_t stop_ms;       // deadline of the stop
    bool leaving;          // another program takes over as soon as nothing drains any more
    conf_t *successor;     // what it is then told to do; NULL: what we were, as far as we know
    policy_t *given_up;    // that was in force before
    logins_t *logins;
    broker_status_t status;
    text_t reload_problems;
    void (*on_left)(void *arg, const char *route, const route_leftover_t *leftover);
    void *on_left_arg;
    int tick;
    int over;              // an eventfd: the thread of some route is over
};

#endif
