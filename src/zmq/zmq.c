// SPDX-License-Identifier: MPL-2.0
// zmq.c - the two engines over libzmq's sockets, with a loop of ours and with zmq_proxy(3): their record of functions;
// what a route's thread does.

#include "zmq/zmq.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "zmq/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

// --- opening -----------------------------------------------------------------

static void
set_up_forwarding(route_t *self)
{
    forward_t *forward = &self->forward;
    const route_conf_t *conf = self->conf;
    const route_resources_t *resources = self->resources;

    forward->counters = self->counters;
    memcpy(forward->epoch, &resources->epoch, sizeof forward->epoch);
    forward->topics = topics_new();
    forward->batch_ns = conf->batch_us * 1000;
    forward->batch_min = (size_t)conf->batch_min;
    if (forward->ports[SIDE_CAPTURE].socket)
        forward->capture = capture_new(forward->ports[SIDE_CAPTURE].socket, conf, self->counters);
    forward->rights = rights_new(conf, resources->admission);
    self->cut_stalled = conf->sides[SIDE_BACKEND].nodrop;
    counter_set(&self->counters->subscriptions, 0);
    forward_init(forward, conf);
}

static int
open_route(route_t *self, const route_conf_t *conf, listeners_t *listeners, const route_resources_t *resources,
           counters_t *counters, diag_t *diag)
{
    self->conf = conf;
    self->name = xstrdup(conf->name);
    for (side_t side = 0; side < SIDES; side++)
        self->side_of[side] = (side_of_t){ self, side };
    self->resources = resources;
    self->counters = counters;
    self->forward.bell = self->base.thread.bell;
    pthread_mutex_init(&self->listeners_lock, NULL);
    for (side_t side = 0; side < SIDES; side++)
        if (conf->sides[side].type != -1 && sockets_open(self, side, listeners, diag) == -1)
            return -1;
    sockets_subscribe_for_groups(self);
    set_up_forwarding(self);
    return 0;
}

static int
open_proxy(route_t *self, const route_conf_t *conf, listeners_t *listeners, const route_resources_t *resources,
           counters_t *counters, diag_t *diag)
{
    self->own_ctx = zmq_ctx_new(); // so that its shutdown ends zmq_proxy
    zmq_ctx_set(self->own_ctx, ZMQ_IO_THREADS, 1);
    zmq_ctx_set(self->own_ctx, ZMQ_BLOCKY, 0); // else the linger of a socket could not be set after the shutdown
    return open_route(self, conf, listeners, resources, counters, diag);
}

static void
close_route(route_t *self, route_leftover_t *left)
{
    *left = self->left;
    sockets_close(self, 0);
    sockets_unwatch(self);
    counters_end(self->counters);
    forward_close(&self->forward);
    capture_free(&self->forward.capture);
    topics_free(&self->forward.topics);
    rights_free(&self->forward.rights);
    if (self->own_ctx)
        zmq_ctx_term(self->own_ctx);
    pthread_mutex_destroy(&self->listeners_lock);
    free(self->name);
}

// --- the thread --------------------------------------------------------------

static void
go_on(route_t *self, route_state_t mode)
{
    bool paused = mode == ROUTE_PAUSED;
    forward_set_mode(&self->forward, paused ? FORWARD_NOTHING : mode == ROUTE_DRAINING ? FORWARD_NO_INPUT : FORWARD_ALL);
}

static void
look(route_t *self)
{
    forward_observe(&self->forward);
    forward_all_due(&self->forward);
}

typedef struct {
    route_t *route;
    size_t cut;
} stalled_t;

static void
cut_client(const client_t *client, void *arg)
{
    stalled_t *stalled = arg;
    route_t *self = stalled->route;
    if (client->side != SIDE_BACKEND || client->backlog_bytes <= 0)
        return;
    if (watch_kick(self->resources->watch, self->conf->name, client->id) == -1)
        return;
    stalled->cut++;
    log_event(EVENT_CLIENT_STALLED, EVENT_TEXT("route", self->conf->name), EVENT_TEXT("side", side_name(client->side)),
              EVENT_NUMBER("client", client->id), EVENT_TEXT("peer", client->peer),
              EVENT_NUMBER("backlog_bytes", client->backlog_bytes));
    counter_add(&self->counters->dropped[DROP_STALLED], 1);
}

// With nodrop one stalled subscriber stops all: after stall_timeout whoever
// leaves its bytes in the kernel is cut.
static void
look_for_stall(route_t *self)
{
    uint64_t since = counter_get(&self->counters->sides[SIDE_BACKEND].blocked_since_ns);
    int64_t timeout_ms = self->conf->sides[SIDE_BACKEND].stall_timeout_ms;
    if (since == 0 || timeout_ms <= 0 || clock_mono_ns() - (int64_t)since < timeout_ms * 1000000)
        return;
    stalled_t stalled = { .route = self };
    watch_each(self->resources->watch, self->conf->name, cut_client, &stalled);
}

static void
forward_until_finish(route_t *self)
{
    forward_t *forward = &self->forward;
    while (!routethread_is_to_end(&self->base.thread)) {
        if (routethread_is_poked(&self->base.thread)) {
            route_obey(self);
            continue;
        }
        if (forward_pass(forward))
            continue;
        if (self->cut_stalled)
            look_for_stall(self);
        forward_rest(forward);
    }
}

static void
run(route_t *self)
{
    forward_until_finish(self);
    drain_run(self);
    sockets_close(self, routethread_left_ms(&self->base.thread));
}

static tap_t *
add_tap(route_t *self, const void *prefix, size_t prefix_size)
{
    return forward_add_tap(&self->forward, prefix, prefix_size);
}

// --- zmq_proxy(3) ------------------------------------------------------------

static void
run_proxy(route_t *self)
{
    const port_t *ports = self->forward.ports;
    while (zmq_proxy(ports[SIDE_FRONTEND].socket, ports[SIDE_BACKEND].socket, ports[SIDE_CAPTURE].socket) == -1 && zmq_errno() == EINTR)
        continue;
    self->error = zmq_errno();
    sockets_close(self, 0);
}

static void
stop_proxy(route_t *self)
{
    zmq_ctx_shutdown(self->own_ctx);
}

static const char *
proxy_failure(const route_t *self)
{
    return routethread_is_to_end(&self->base.thread) ? NULL : zmq_strerror(self->error);
}

// --- for the main thread ---------------------------------------------------------

static const char *
endpoint_at(const route_t *self, side_t side, size_t i, bool *connected)
{
    return listeners_endpoint(&self->base.listeners, &self->conf->sides[side], side, i, connected);
}

static char **
list_subscriptions(route_t *self, size_t *count, size_t max)
{
    return topics_list(self->forward.topics, count, max);
}

const route_engine_t engine_zmq = {
    .name = "zmq",
    .size = sizeof(route_t),
    .stack_bytes = ROUTE_STACK_BYTES,
    .open = open_route,
    .close = close_route,
    .endpoint = endpoint_at,
    .subscriptions = list_subscriptions,
    .run = run,
    .join = sockets_join,
    .go_on = go_on,
    .look = look,
    .change = change_route,
    .tap = add_tap,
    .reconnect = change_reconnect,
};

const route_engine_t engine_zmq_proxy = {
    .name = "zmq_proxy",
    .size = sizeof(route_t),
    .stack_bytes = ROUTE_STACK_BYTES,
    .is_deaf = true,
    .open = open_proxy,
    .close = close_route,
    .told_to_end = stop_proxy,
    .failure = proxy_failure,
    .endpoint = endpoint_at,
    .subscriptions = list_subscriptions,
    .run = run_proxy,
};
