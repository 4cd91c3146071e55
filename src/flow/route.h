// SPDX-License-Identifier: MPL-2.0
// route.h - one running route: its sockets, its thread, its commands; of whichever
// engine (flow/engine.h).
//
// Sockets are opened and bound in the caller's thread, so that a bad endpoint
// fails here and now; from route_run on the route's thread owns them. Every
// other call is for the main thread.

#ifndef ZB_ROUTE_H
#define ZB_ROUTE_H

#include "base/diag.h"
#include "base/record.h"
#include "conf/conf.h"
#include "flow/client.h"
#include "flow/counters.h"
#include "flow/listeners.h"
#include "flow/resources.h"
#include "flow/tap.h"

#define ROUTE_STACK_BYTES (8u * 1024 * 1024) // of whoever runs a route: libzmq's subscription trie recurses

typedef enum { ROUTE_RUNNING, ROUTE_PAUSED, ROUTE_DRAINING, ROUTE_DISABLED, ROUTE_FAILED, ROUTE_STATES } route_state_t;

const char *route_state_name(route_state_t state); // "running", …

typedef struct route route_t;

// Open the sockets of CONF on the LISTENERS (emptied of what is used). CONF and
// COUNTERS are borrowed and outlive the route. NULL with the reason in DIAG.
route_t *route_open(const route_conf_t *conf, listeners_t *listeners, const route_resources_t *resources, counters_t *counters, diag_t *diag);

// Start its thread: 0, or -1 with errno. TELL is an eventfd that it writes to when it is over; -1: none.
int route_run(route_t *self, int tell);

// Go over to CONF while running: endpoints added or removed, limits, filter,
// capture. What must be bound anew is in LISTENERS already. CONF replaces the
// borrowed one. The calling thread waits for the route's. 0, or -1 with the
// reason in DIAG (then some of it may be done: the caller re-creates the route).
int route_change(route_t *self, const route_conf_t *conf, listeners_t *listeners, diag_t *diag);

// The route it takes over from has gone. Until then new consumers went to that
// one, which may have had nobody else to deliver to: a backend does not accept on
// listeners that the other had too. Forwarders do not wait, for their
// subscribers miss what they do not hear.
void route_join(route_t *self);

// Whoever binds the inproc name was made anew: libzmq does not connect to those again by itself.
void route_reconnect(route_t *self, const char *endpoint);

// Endpoints as bound, for show routes: NULL past the end.
const char *route_endpoint(const route_t *self, side_t side, size_t i, bool *connected);

// RUNNING; PAUSED: no message passes; DRAINING: nothing new is read, and what was taken is delivered. Returns once the
// thread has obeyed.
void route_set_mode(route_t *self, route_state_t mode);

// Begin to end: lossless drain of at most DRAIN_MS, then the thread closes its
// sockets and ends. With AT_ONCE only what a single pass can send. May be called again to hurry.
void route_finish(route_t *self, int64_t drain_ms, bool at_once);
// Newcomers to the input side wait for whoever comes next: CLOSED_FOR_DRAIN, the
// process after this one; CLOSED_FOR_MOVE, the route that holds the listener too,
// as soon as this one has left. What SUCCESSOR (may be NULL) binds there stays open.
void route_stop_accepting(route_t *self, closed_for_t reason, const route_conf_t *successor);

// All that its peers have, themselves included, goes to a route with the configuration SUCCESSOR: into SAVED, and SELF
// ends by itself. False: they cannot, or SELF ends already; it is left as it was.
// BEGIN does not wait for it; SAVE comes next then.
bool route_can_save(route_t *self, const route_conf_t *successor);
void route_begin_save(route_t *self, const route_conf_t *successor);
bool route_save(route_t *self, const route_conf_t *successor, record_t *saved);
void route_take(route_t *self, record_t *saved); // before route_run: takes it, SAVED is empty then
bool route_finished(const route_t *self);

// The error that ended its engine, although no end was asked for: the route is finished, and
// left to be closed. NULL: there was none.
const char *route_failure(const route_t *self);

typedef struct {
    uint64_t undelivered;  // taken in, not sent on in time (also counted as dropped, reason shutdown)
    uint64_t unanswered;   // queue: requests forwarded whose replies did not come
} route_leftover_t;

// Wait for the thread, free the route and drop its hold on its listeners: the
// last one to do so closes them and removes their ipc files.
void route_close(route_t **self_p, route_leftover_t *leftover);

// A hold on each of its listeners, for the route that takes over: both accept
// until this one has drained, and whom it still accepts it sends away at once.
void route_share_listeners(const route_t *self, listeners_t *shared);

// Look on from now; see flow/tap.h. NULL: no room (ENOSPC), or the route ends.
tap_t *route_tap(route_t *self, const void *prefix, size_t prefix_size);
void route_look(route_t *self);                    // a tap has left, or the policy has changed: see to it soon
void route_settle(route_t *self);                  // what it has counted, its taps know
char **route_subscriptions(route_t *self, size_t *count, size_t max); // topics (C-escaped), the caller frees both; forwarders only

// What a forwarder remembers, of topics that begin with PREFIX, and how to make it forget that: how many there were.
typedef struct {
    const void *at;
    size_t size;
} route_prefix_t;

typedef struct {
    char *topic; // C-escaped, the beginning of a long one; the caller frees it, and the array
    uint64_t bytes;
    int64_t age_ms;
} route_value_t;

route_value_t *route_values(route_t *self, const route_prefix_t *prefix, size_t *count, size_t max, uint64_t *more);
uint64_t route_clear_values(route_t *self, const route_prefix_t *prefix);

// Who is connected, where the route's engine knows it: of other routes, the watch does.
bool route_knows_clients(const route_t *self);
void route_clients(route_t *self, client_fn_t *fn, void *arg); // oldest first, from a copy: FN may call us
int route_kick(route_t *self, uint64_t id);                     // 0, or -1: no client of that id (any more)

// What a queue knows of its services, from a copy. False: its engine knows nothing.
bool route_backend_services(route_t *self, client_service_fn_t *fn, void *arg);

// What it wants to be connected to and is not, since when (wall clock), and why: in words, for an operator. Nothing
// where the engine does not know.
typedef void endpoint_down_fn_t(side_t side, const char *endpoint, const char *reason, int64_t since_ms, void *arg);
void route_endpoints_down(route_t *self, endpoint_down_fn_t *fn, void *arg);

// Asks the thread for a sign of life and tells for how many milliseconds an
// earlier question has gone unanswered: for the watchdog.
int64_t route_age_ms(route_t *self);

#endif
