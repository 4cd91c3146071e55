// SPDX-License-Identifier: MPL-2.0
// broker.h - the set of routes: applies plans, keeps states, answers what the
// control socket, HTTP and the log ask. Main thread only.

#ifndef ZB_BROKER_H
#define ZB_BROKER_H

#include "base/text.h"
#include "broker/savedstate.h"
#include "conf/conf.h"
#include "conf/plan.h"
#include "flow/route.h"
#include "guard/guard.h"

#include <czmq.h>

typedef struct broker broker_t;

// One route as the outside sees it; also while it has no sockets (disabled,
// failed). Everything in it is borrowed until the next call of the broker.
typedef struct {
    const route_conf_t *conf;
    route_state_t state;
    const char *failure;            // "" unless failed
    route_t *route;                 // NULL while disabled or failed
    const counters_t *counters;     // since the process started, over all re-creations
    const counters_t *cleared;      // base line of `clear counters`
    const counters_t *before;       // counted when we began to look, by the program before
    int64_t started_wall_ns;
    double rate_in_1s, rate_out_1s, rate_in_60s, rate_out_60s; // messages a second: frontend and ingress in, backend out
    double bytes_in_1s, bytes_out_1s;
    double blocked_share;           // 0..1 of the last 60 s
    const uint32_t *history, *history_out; // messages a second in and out, oldest first: the last quarter of an hour
    uint32_t history_count;
} broker_route_t;

typedef struct {
    int64_t started_wall_ns;
    int64_t reload_wall_ns;         // of the last successful (re)load
    uint64_t reloads_success, reloads_failure;
    bool reload_ok;                 // the last one
    const char *reload_problems;    // why it failed, one a line; "" when it did not
    bool stopping;
    bool full;                      // no place for one more client: newcomers wait
    bool full_by_descriptors;       // and max_clients would allow more
    uint64_t message_bytes, max_memory; // taken by messages that we hold ourselves, and the limit
} broker_status_t;

size_t broker_count(const broker_t *self);
bool broker_at(broker_t *self, size_t i, broker_route_t *route);  // in the file's order
bool broker_find(broker_t *self, const char *name, broker_route_t *route);
void broker_unknown_route(broker_t *self, const char *name, text_t *error); // says so: "no route price; did you mean prices?"
void broker_status(const broker_t *self, broker_status_t *status);
const conf_t *broker_conf(const broker_t *self);                  // of [zbroker]; its routes are the broker's own

// Call FN for each client of ROUTE (NULL: of all), oldest first, from a copy: FN may call us.
void broker_clients(broker_t *self, const char *route, client_fn_t *fn, void *arg);

// Verbs. 0, or -1 with the reason in ERROR.
typedef enum { VERB_PAUSE, VERB_RESUME, VERB_DRAIN, VERB_DISABLE, VERB_ENABLE } verb_t;
int broker_verb(broker_t *self, verb_t verb, const char *route, text_t *error);
int broker_clear(broker_t *self, const char *route, text_t *error); // NULL: every route
int broker_kick(broker_t *self, const char *route, const char *client, text_t *error);

// Does a route of this name still drain, after it was disabled, re-created or removed?
bool broker_is_leaving(const broker_t *self, const char *route);
// LEFT hears of each that has done so, with what it lost. NULL: no more.
void broker_on_left(broker_t *self, void (*left)(void *arg, const char *route, const route_leftover_t *leftover), void *arg);

// Read the file again and apply it: all or nothing. ANSWER gets one line a
// change, or every problem of the file. 0 or -1.
int broker_reload(broker_t *self, text_t *answer);
// What a reload of FILE would do, without doing it. Whoever asks has opened it:
// we read DESCRIPTOR, and nothing that only we may read. NULL: our own file.
int broker_plan(broker_t *self, const char *file, int descriptor, text_t *answer);

void broker_stop(broker_t *self); // begin to stop; again: at once

// Try the program that now lies at our path, and let routes drain whose connections it cannot take over. 0:
// broker_leaves soon; or -1 with the reason, and nothing has changed.
int broker_upgrade(broker_t *self, text_t *error);
bool broker_leaves(const broker_t *self); // nothing drains any more: leave the loop, save, and run the other program

// --- for main ------------------------------------------------------------------

typedef struct {
    char *const *overrides; // -o, for every reload
    size_t override_count;
    route_resources_t resources;
    guard_t *guard;         // is told of every change before the routes are. NULL: nobody is asked
    // The process's own keys changed (log_level, …); called after a reload. May be NULL.
    void (*applied)(void *arg, const conf_t *conf);
    void *applied_arg;
} broker_setup_t;

// Takes CONF. SETUP is borrowed for good.
broker_t *broker_new(zloop_t *loop, conf_t **conf_p, const broker_setup_t *setup);
// BEFORE is what the program before has left, NULL: there was none. -1: nothing is left behind.
int broker_start(broker_t *self, const record_t *before, diag_t *diag);
void broker_save(broker_t *self, savedstate_t *to);        // all routes, which are closed then
void broker_stay(broker_t *self, record_fields_t from); // the other program did not run: open them again
void broker_settle(broker_t *self, size_t *routes, uint64_t *connections); // that are there now
bool broker_stopped(const broker_t *self);        // every route is gone: leave the loop
bool broker_draining(const broker_t *self);
int64_t broker_age_ms(broker_t *self);            // the oldest unanswered sign of life of a route's thread
void broker_destroy(broker_t **self_p);

#endif
