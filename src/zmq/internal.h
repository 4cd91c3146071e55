// SPDX-License-Identifier: MPL-2.0
// internal.h - what a route over libzmq's sockets is made of. Only for the files that are the route:
// zmq, sockets, change and drain. Everybody else has zmq.h.

#ifndef ZB_ZMQ_INTERNAL_H
#define ZB_ZMQ_INTERNAL_H

#include "flow/engine.h"
#include "zmq/forward.h"
#include "zmq/watch.h"

#include <pthread.h>

// What the watch thread gets: all that it reads is fixed, or under the listeners' lock.
typedef struct {
    route_t *route;
    side_t side;
} side_of_t;

struct route {
    route_base_t base; // first in every engine's
    const route_conf_t *conf;
    char *name;             // of all its configurations
    const route_resources_t *resources;
    counters_t *counters;
    void *own_ctx;          // engine zmq_proxy
    watch_side_t *watched[SIDES];
    side_of_t side_of[SIDES];

    forward_t forward;      // the thread's, once it runs
    bool cut_stalled;       // a stalled subscriber can hold up the others

    int error; // when the thread is over: what ended zmq_proxy
    route_leftover_t left;

    pthread_mutex_t listeners_lock; // the thread changes them, the watch thread closes and opens them
    bool full[SIDES];               // under that lock: at max_clients
};

// --- change.c: of the engines' records ------------------------------------------

int change_route(route_t *self, const route_conf_t *conf, listeners_t *listeners, diag_t *diag);
void change_reconnect(route_t *self, const char *endpoint);

// --- drain.c: the end, in the route's thread; fills `left` ----------------------

void drain_run(route_t *self);

// --- sockets.c: made in the opener's thread, the route's from then on ---------

// Of a side, on the LISTENERS. 0, or -1 with DIAG; sockets_close cleans up.
int sockets_open(route_t *self, side_t side, listeners_t *listeners, diag_t *diag);
// Of a live change: what the side had before, HAD, stays. NULL: it had nothing.
int sockets_open_endpoints(route_t *self, side_t side, const side_conf_t *had, listeners_t *listeners, diag_t *diag);
void sockets_close(route_t *self, int64_t linger_ms);
void sockets_set_linger(route_t *self, side_t side, int64_t linger_ms);
void sockets_add_listener(route_t *self, listener_t *listener, side_t side); // takes it
// A multicast group takes all that a forwarder has, but asks for nothing: the forwarder asks for everything. A reload
// that adds or removes a group makes the route anew.
void sockets_subscribe_for_groups(const route_t *self);
int sockets_give(const route_t *self, listener_t *listener, side_t side); // the listener to the side's socket; as listener_give
listener_t *sockets_take_listener(route_t *self, side_t side, const char *wanted); // the caller's; NULL: none
void sockets_join(route_t *self); // accept where it had to wait for the route before
void sockets_say_bind_failed(const route_t *self, const listener_t *listener);

void sockets_watch(route_t *self, side_t side);
void sockets_limit_clients(route_t *self, side_t side, int64_t max_clients);
void sockets_unwatch(route_t *self);

#endif
