// SPDX-License-Identifier: MPL-2.0
// zmq.c - the two engines over libzmq's sockets, with a loop of ours and with zmq_proxy(3): their record of functions;
// a route's thread and what it is told.

#include "zmq/internal.h"

#include "base/bell.h"
#include "base/clock.h"
#include "base/event.h"
#include "base/mem.h"
#include "base/thread.h"
#include "zmq/proxy.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void
route_poke(route_t *self)
{
    atomic_store(&self->poked, true);
    bell_ring(self->forward.bell);
}

// --- opening -----------------------------------------------------------------

static void
set_up_forwarding(route_t *self)
{
    forward_t *forward = &self->forward;
    const route_conf_t *conf = self->conf;
    const route_services_t *services = self->services;

    forward->counters = self->counters;
    memcpy(forward->epoch, &services->epoch, sizeof forward->epoch);
    forward->topics = topics_new();
    forward->batch_ns = conf->batch_us * 1000;
    forward->batch_min = (size_t)conf->batch_min;
    if (forward->ports[SIDE_CAPTURE].socket)
        forward->capture = capture_new(forward->ports[SIDE_CAPTURE].socket, conf, self->counters);
    forward->rights = rights_new(conf, services->admission);
    self->cut_stalled = conf->sides[SIDE_BACKEND].nodrop;
    counter_set(&self->counters->subscriptions, 0);
    forward_init(forward, conf->flow);
}

static void
free_route(route_t *self)
{
    forward_close(&self->forward);
    if (self->forward.bell != -1)
        close(self->forward.bell);
    capture_free(&self->forward.capture);
    topics_free(&self->forward.topics);
    rights_free(&self->forward.rights);
    listeners_forget(&self->deferred);
    listeners_close(&self->listeners, false);
    if (self->own_ctx)
        zmq_ctx_term(self->own_ctx);
    pthread_mutex_destroy(&self->lock);
    pthread_mutex_destroy(&self->listeners_lock);
    pthread_cond_destroy(&self->called);
    free(self->name);
    free(self);
}

static route_t *
open_route(const route_conf_t *conf, listeners_t *listeners, const route_services_t *services, counters_t *counters, diag_t *diag)
{
    route_t *self = xcalloc(1, sizeof *self);
    self->engine = services->engines[conf->engine];
    self->conf = conf;
    self->name = xstrdup(conf->name);
    for (side_t side = 0; side < SIDES; side++)
        self->side_of[side] = (side_of_t){ self, side };
    self->services = services;
    self->counters = counters;
    pthread_mutex_init(&self->lock, NULL);
    pthread_mutex_init(&self->listeners_lock, NULL);
    pthread_cond_init(&self->called, NULL);
    if (conf->engine == ENGINE_ZMQ_PROXY)
        self->own_ctx = proxy_context(1);

    self->forward.bell = bell_new();
    bool failed = self->forward.bell == -1;
    if (failed)
        diag_error(diag, conf->place, "[route %s] no descriptor to wake it by: %s", conf->name, strerror(errno));
    for (side_t side = 0; side < SIDES && !failed; side++)
        if (conf->sides[side].type != -1)
            failed = sockets_open(self, side, listeners, diag) == -1;
    if (!failed) {
        sockets_subscribe_for_groups(self);
        set_up_forwarding(self);
        return self;
    }
    // What it had of the listeners goes back: a reload that fails keeps the old state.
    while (self->listeners.count > 0) {
        side_t side = self->listeners.side[0];
        listeners_add(listeners, sockets_take_listener(self, side, listener_wanted(self->listeners.at[0])), side);
    }
    sockets_close(self, 0);
    sockets_unwatch(self);
    free_route(self);
    return NULL;
}

// --- the thread --------------------------------------------------------------

// Asked all the time while the route drains; it may have to wait for consumers itself.
static bool
hurry(void *arg)
{
    sockets_join(arg);
    return atomic_load(&((route_t *)arg)->finish) == FINISH_AT_ONCE;
}

static void
serve_call(route_t *self)
{
    pthread_mutex_lock(&self->lock);
    call_t *call = self->call;
    if (call) {
        call->result = call->run(self, call->arg);
        self->call = NULL;
        pthread_cond_broadcast(&self->called);
    }
    pthread_mutex_unlock(&self->lock);
}

static void
obey(route_t *self)
{
    atomic_store(&self->poked, false);
    atomic_fetch_add(&self->pong, 1);
    sockets_join(self);
    int mode = atomic_load(&self->mode);
    if (mode == ROUTE_PAUSED)
        forward_freeze(&self->forward);
    else if (mode == ROUTE_DRAINING)
        forward_stop_input(&self->forward);
    else
        forward_go_on(&self->forward);
    forward_observe(&self->forward);
    forward_all_due(&self->forward);
    serve_call(self);
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
    if (watch_kick(self->services->watch, self->conf->name, client->id) == -1)
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
    watch_each(self->services->watch, self->conf->name, cut_client, &stalled);
}

static void
pin(const route_conf_t *conf)
{
    if (conf->cpu < 0)
        return;
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET((size_t)conf->cpu, &cpus);
    int error = pthread_setaffinity_np(pthread_self(), sizeof cpus, &cpus);
    if (error)
        log_event(EVENT_ROUTE_CPU, EVENT_TEXT("route", conf->name), EVENT_NUMBER("cpu", conf->cpu),
                  EVENT_PROSE("reason", strerror(error)));
}

static void
forward_until_finish(route_t *self)
{
    forward_t *forward = &self->forward;
    while (atomic_load_explicit(&self->finish, memory_order_relaxed) == FINISH_NOT) {
        if (atomic_load_explicit(&self->poked, memory_order_relaxed)) {
            obey(self);
            continue;
        }
        if (forward_pass(forward))
            continue;
        if (self->cut_stalled)
            look_for_stall(self);
        forward_rest(forward);
    }
}

// Of the time that the drain may take.
static int64_t
rest_ms(route_t *self)
{
    int64_t rest = atomic_load(&self->deadline_ms) - clock_mono_ms();
    return rest > 0 && !hurry(self) ? rest : 0;
}

static void
let_others_accept(route_t *self)
{
    // Also if there is nobody else yet: he may come while this one is still delivering.
    for (size_t i = 0; i < self->listeners.count; i++)
        listener_accept(self->listeners.at[i], CLOSED_FOR_MOVE, true);
}

// Nobody is left. Where another route has the listener too, it alone accepts from now on.
static void
leave(void *arg)
{
    route_t *self = arg;
    for (size_t i = 0; i < self->listeners.count; i++) {
        side_t side = self->listeners.side[i];
        if (!side_takes_in(side))
            continue;
        sockets_set_linger(self, side, rest_ms(self)); // of the answers that are on their way
        zmq_unbind(self->forward.ports[side].socket, listener_bound_as(self->listeners.at[i]));
    }
    let_others_accept(self);
}

static void
drain(route_t *self)
{
    drain_t how = { .hurry = hurry, .leave = leave, .arg = self, .deadline_ms = atomic_load(&self->deadline_ms) };
    for (size_t i = 0; i < self->forward.lane_count; i++) {
        side_t side = self->forward.lanes[i].from->side;
        if (self->forward.lanes[i].input)
            how.inputs[side] = self->watched[side];
    }
    self->left = drain_run(&self->forward, &how);
}

static void *
route_thread(void *arg)
{
    route_t *self = arg;
    char name[16];
    snprintf(name, sizeof name, "zb:%.12s", self->conf->name);
    pthread_setname_np(pthread_self(), name);
    pin(self->conf);
    if (self->own_ctx) {
        self->error = proxy_run(self->forward.ports[SIDE_FRONTEND].socket, self->forward.ports[SIDE_BACKEND].socket,
                                self->forward.ports[SIDE_CAPTURE].socket);
        sockets_close(self, 0);
    } else {
        forward_until_finish(self);
        drain(self);
        sockets_close(self, rest_ms(self));
    }
    pthread_mutex_lock(&self->lock);
    atomic_store(&self->over, true);
    pthread_mutex_unlock(&self->lock);
    if (self->tell != -1)
        bell_ring(self->tell);
    return NULL;
}

static int
run_route(route_t *self, int tell)
{
    self->tell = tell;
    self->started = thread_start(&self->thread, ROUTE_STACK_BYTES, route_thread, self) == 0;
    return self->started ? 0 : -1;
}

// --- commands ----------------------------------------------------------------

// Run it in the route's thread and wait; a route's loop answers within milliseconds.
int
route_call(route_t *self, int (*run)(route_t *self, void *arg), void *arg)
{
    if (!self->started || self->own_ctx)
        return -1;
    call_t call = { .run = run, .arg = arg, .result = -1 };
    pthread_mutex_lock(&self->lock);
    if (!atomic_load(&self->over) && atomic_load(&self->finish) == FINISH_NOT) {
        self->call = &call;
        route_poke(self);
        while (self->call == &call)
            pthread_cond_wait(&self->called, &self->lock);
    }
    pthread_mutex_unlock(&self->lock);
    return call.result;
}

static int
nothing(route_t *self, void *arg)
{
    (void)self;
    (void)arg;
    return 0;
}

// Returns once the thread has obeyed: no message passes a paused route.
static void
set_mode(route_t *self, route_state_t mode)
{
    atomic_store(&self->mode, (int)mode);
    route_call(self, nothing, NULL);
}

static void
pause_route(route_t *self)
{
    set_mode(self, ROUTE_PAUSED);
}

static void
join_route(route_t *self)
{
    atomic_store(&self->joins, true);
    route_poke(self);
}

static void
resume_route(route_t *self)
{
    set_mode(self, ROUTE_RUNNING);
}

static void
drain_route(route_t *self)
{
    set_mode(self, ROUTE_DRAINING);
}

static void
finish_route(route_t *self, int64_t drain_ms, bool at_once)
{
    int64_t deadline = clock_mono_ms() + drain_ms;
    if (atomic_load(&self->finish) == FINISH_NOT || deadline < atomic_load(&self->deadline_ms))
        atomic_store(&self->deadline_ms, deadline);
    atomic_store(&self->finish, at_once ? FINISH_AT_ONCE : FINISH_DRAIN);
    if (self->own_ctx)
        proxy_stop(self->own_ctx);
    route_poke(self);
}

static bool
is_finished(const route_t *self)
{
    return !self->started || atomic_load(&((route_t *)self)->over);
}

static const char *
failure(const route_t *self)
{
    bool ended = self->started && is_finished(self) && atomic_load(&((route_t *)self)->finish) == FINISH_NOT;
    return ended ? zmq_strerror(self->error) : NULL;
}

static void
share_listeners(const route_t *self, listeners_t *shared)
{
    for (size_t i = 0; i < self->listeners.count; i++)
        listeners_add(shared, listener_share(self->listeners.at[i]), self->listeners.side[i]);
}

static void
stop_accepting(route_t *self, closed_for_t reason, const route_conf_t *successor)
{
    for (size_t i = 0; i < self->listeners.count; i++) {
        side_t side = self->listeners.side[i];
        if (side_takes_in(side) && !(successor && side_has_endpoint(&successor->sides[side], listener_wanted(self->listeners.at[i]), false)))
            listener_accept(self->listeners.at[i], reason, false);
    }
}

static void
close_route(route_t **self_p, route_leftover_t *leftover)
{
    route_t *self = *self_p;
    if (self->started)
        pthread_join(self->thread, NULL);
    else
        sockets_close(self, 0);
    let_others_accept(self);
    sockets_unwatch(self);
    if (leftover)
        *leftover = (route_leftover_t){ self->left.undelivered, self->left.unanswered };
    counters_end(self->counters);
    free_route(self);
    *self_p = NULL;
}

static const char *
endpoint_at(const route_t *self, side_t side, size_t i, bool *connected)
{
    const side_conf_t *conf = &self->conf->sides[side];
    if (i >= conf->endpoint_count)
        return NULL;
    size_t at;
    *connected = conf->endpoints[i].connect;
    const listener_t *listener = *connected ? NULL : listeners_find(&self->listeners, side, conf->endpoints[i].at.text, &at);
    return listener ? listener_endpoint(listener) : conf->endpoints[i].at.text;
}

typedef struct {
    const void *prefix;
    size_t prefix_size;
    tap_t *tap;
} wanted_tap_t;

static int
add_tap(route_t *self, void *arg)
{
    wanted_tap_t *wanted = arg;
    wanted->tap = forward_add_tap(&self->forward, wanted->prefix, wanted->prefix_size);
    return 0;
}

static tap_t *
tap_route(route_t *self, const void *prefix, size_t prefix_size)
{
    wanted_tap_t wanted = { prefix, prefix_size, NULL };
    route_call(self, add_tap, &wanted);
    errno = ENOSPC;
    return wanted.tap;
}

static void
look(route_t *self)
{
    route_poke(self);
}

static void
settle(route_t *self)
{
    route_call(self, nothing, NULL);
}

static char **
list_subscriptions(route_t *self, size_t *count, size_t max)
{
    return topics_list(self->forward.topics, count, max);
}

static int64_t
age_ms(route_t *self)
{
    if (self->own_ctx || is_finished(self) || atomic_load(&self->finish) != FINISH_NOT)
        return 0;
    if (self->ping_ms != 0 && atomic_load(&self->pong) == self->ping)
        return clock_mono_ms() - self->ping_ms;
    self->ping = atomic_load(&self->pong);
    self->ping_ms = clock_mono_ms();
    route_poke(self);
    return 0;
}

// zmq_proxy(3) has no commands: what needs the route's thread does nothing there.
#define OVER_SOCKETS                                                                                                       \
    .open = open_route, .run = run_route, .change = change_route, .join = join_route, .reconnect = change_reconnect,      \
    .endpoint = endpoint_at, .pause = pause_route, .resume = resume_route, .drain = drain_route, .finish = finish_route,  \
    .stop_accepting = stop_accepting, .finished = is_finished, .failure = failure, .close = close_route,      \
    .share_listeners = share_listeners, .tap = tap_route, .look = look, .settle = settle,                                 \
    .subscriptions = list_subscriptions, .age_ms = age_ms

const route_engine_t engine_zmq = { .name = "zmq", OVER_SOCKETS };
const route_engine_t engine_zmq_proxy = { .name = "zmq_proxy", OVER_SOCKETS };
