// SPDX-License-Identifier: MPL-2.0
#include "flow/route.h"

#include "base/clock.h"
#include "base/event.h"
#include "base/mem.h"
#include "flow/drain.h"
#include "flow/forward.h"
#include "flow/proxy.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STACK_BYTES (8u * 1024 * 1024) // libzmq's subscription trie recurses
#define SLOW_SUBSCRIBER_MS 1           // how long a forwarder waits for one before it drops
#define WAKE_SIGNAL SIGUSR1             // costs a route nothing, where an eventfd is a descriptor
#define NODROP_PUSH_MS 10              // how long a nodrop send may keep the thread from its commands

typedef enum { FINISH_NOT, FINISH_DRAIN, FINISH_AT_ONCE } finish_t;

// A piece of work for the route's thread; the caller waits for it.
typedef struct {
    int (*run)(route_t *self, void *arg);
    void *arg;
    int result;
} call_t;

// What the watch thread gets: all that it reads is fixed, or under the listeners' lock.
typedef struct {
    route_t *route;
    side_t side;
} side_of_t;

struct route {
    const route_conf_t *conf;
    char *name;             // of all its configurations
    const route_services_t *services;
    counters_t *counters;
    void *own_ctx;          // engine zmq_proxy
    listeners_t listeners;
    watch_side_t *watched[SIDES];
    side_of_t side_of[SIDES];

    forward_t forward;      // the thread's, once it runs
    bool cut_stalled;       // a stalled subscriber can hold up the others

    pthread_t thread;
    bool started;
    int tell;               // an eventfd of the caller's, or -1: the thread is over
    _Atomic bool poked;     // there is something to do
    _Atomic bool awake;     // the thread can be sent signals to
    _Atomic int mode;       // ROUTE_RUNNING, ROUTE_PAUSED, ROUTE_DRAINING
    listeners_t deferred;   // until it joins; held in the other list
    _Atomic bool joins;
    listeners_t sleeping;   // given to libzmq when the first client comes; held in the other list
    bool asks;              // its thread runs: they are doors of the watch
    _Atomic bool knocked;
    _Atomic unsigned asleep; // descriptors that will be needed then
    _Atomic int finish;
    _Atomic int64_t deadline_ms;
    _Atomic bool over;
    _Atomic uint64_t pong;
    uint64_t ping;
    int64_t ping_ms;

    pthread_mutex_t listeners_lock; // the thread changes them, the watch thread closes and opens them
    bool full[SIDES];               // under that lock: at max_clients
    pthread_mutex_t lock;   // over what follows
    pthread_cond_t called;
    call_t *call;

    drain_left_t left;
};

static const char *const states[ROUTE_STATES] = { "running", "paused", "draining", "disabled", "failed" };

const char *
route_state_name(route_state_t state)
{
    return states[state];
}

// --- listeners ---------------------------------------------------------------

void
listeners_add(listeners_t *self, listener_t *listener, side_t side)
{
    size_t room = self->room;
    mem_grow(self->at, self->count, self->room);
    if (room != self->room)
        self->side = xrealloc(self->side, self->room, sizeof *self->side);
    self->at[self->count] = listener;
    self->side[self->count++] = side;
}

static listener_t *
take_at(listeners_t *self, size_t i)
{
    listener_t *listener = self->at[i];
    self->count--;
    self->at[i] = self->at[self->count];
    self->side[i] = self->side[self->count];
    return listener;
}

static listener_t *
find_listener(const listeners_t *self, side_t side, const char *wanted, size_t *at)
{
    for (size_t i = 0; i < self->count; i++)
        if (self->side[i] == side && strcmp(listener_wanted(self->at[i]), wanted) == 0) {
            *at = i;
            return self->at[i];
        }
    return NULL;
}

listener_t *
listeners_take(listeners_t *self, side_t side, const char *wanted)
{
    size_t i;
    return find_listener(self, side, wanted, &i) ? take_at(self, i) : NULL;
}

listener_t *
listeners_take_any(listeners_t *self, const char *wanted)
{
    for (size_t i = 0; i < self->count; i++)
        if (!listener_is_wildcard(self->at[i]) && strcmp(listener_wanted(self->at[i]), wanted) == 0)
            return take_at(self, i);
    return NULL;
}

void
listeners_close(listeners_t *self, bool keep_files)
{
    for (size_t i = 0; i < self->count; i++)
        listener_close(&self->at[i], keep_files);
    free(self->at);
    free(self->side);
    *self = (listeners_t) { 0 };
}

static void
forget_new(listeners_t *self, size_t before)
{
    while (self->count > before)
        listener_close(&self->at[--self->count], false);
}

int
listeners_bind(listeners_t *kept, const route_conf_t *conf, const route_services_t *services, diag_t *diag)
{
    size_t before = kept->count, ignored;
    bool failed = false;
    for (side_t side = 0; side < SIDES; side++)
        for (size_t i = 0; i < conf->sides[side].endpoint_count; i++) {
            const endpoint_conf_t *endpoint = &conf->sides[side].endpoints[i];
            if (endpoint->connect || find_listener(kept, side, endpoint->at.text, &ignored))
                continue;
            int fd = services->activated ? services->activated(services->service_arg, endpoint) : -1;
            listener_t *listener = listener_open(endpoint, &conf->sides[side], fd, diag);
            if (!listener) {
                failed = true;
                continue;
            }
            listeners_add(kept, listener, side);
            if (services->listening && endpoint->at.transport == TRANSPORT_TCP)
                services->listening(services->service_arg, endpoint, listener_fd(listener));
        }
    if (failed)
        forget_new(kept, before);
    return failed ? -1 : 0;
}

static bool
wants(const side_conf_t *side, const char *text, bool connect)
{
    for (size_t i = 0; i < side->endpoint_count; i++)
        if (side->endpoints[i].connect == connect && strcmp(side->endpoints[i].at.text, text) == 0)
            return true;
    return false;
}

// --- sockets -----------------------------------------------------------------

static void
on_full(bool full, void *arg)
{
    route_t *self = ((side_of_t *) arg)->route;
    side_t side = ((side_of_t *) arg)->side;
    pthread_mutex_lock(&self->listeners_lock);
    self->full[side] = full;
    for (size_t i = 0; i < self->listeners.count; i++)
        if (self->listeners.side[i] == side)
            listener_full(self->listeners.at[i], full);
    pthread_mutex_unlock(&self->listeners_lock);
    log_event(full ? EVENT_SIDE_FULL : EVENT_SIDE_ROOM, EVENT_TEXT("route", self->name),
              EVENT_TEXT("side", side_name(side)));
}

// From the thread of the route, or from whoever opens it.
static void
limit_clients(route_t *self, side_t side, int64_t max_clients)
{
    watch_limit(self->watched[side], (size_t) max_clients, on_full, &self->side_of[side]);
}

static int
set_int(void *socket, int option, int value)
{
    return zmq_setsockopt(socket, option, &value, sizeof value);
}

static int
set_options(void *socket, const side_conf_t *side, side_t which, diag_t *diag)
{
    int rc = 0;
    for (size_t i = 0; i < side->option_count; i++) {
        const option_conf_t *option = &side->options[i];
        if (sockopt_set(option->option, socket, option->value) == -1) {
            diag_error(diag, option->place, "%s_%s: %s", side_name(which), option->option->key, zmq_strerror(zmq_errno()));
            rc = -1;
        }
    }
    return rc;
}

// What the loop needs of a socket, whatever the file says.
static void
prepare(port_t *port, const side_conf_t *side)
{
    bool publishes = port->type == ZMQ_XPUB || port->type == ZMQ_PUB;
    port->lossy = publishes && !side->nodrop && port->side != SIDE_CAPTURE;
    port->deceitful = (publishes && side->nodrop) || (port->type == ZMQ_ROUTER && side->mandatory);
    if (publishes)
        set_int(port->socket, ZMQ_XPUB_NODROP, 1);
    set_int(port->socket, ZMQ_SNDTIMEO, port->deceitful ? NODROP_PUSH_MS : SLOW_SUBSCRIBER_MS);
    set_int(port->socket, ZMQ_RCVTIMEO, FORWARD_TRICKLE_MS);
    set_int(port->socket, ZMQ_LINGER, side->linger_ms >= 0 ? (int) side->linger_ms : 0);
}

// A capture's PUB is an XPUB, so that we know whether anybody listens.
static int
real_type(const route_t *self, side_t side)
{
    int type = self->conf->sides[side].type;
    return side == SIDE_CAPTURE && type == ZMQ_PUB && !self->own_ctx ? ZMQ_XPUB : type;
}

// Ours from now on. The route that had it may have stopped accepting there before it went.
static void
add_listener(route_t *self, listener_t *listener, side_t side)
{
    pthread_mutex_lock(&self->listeners_lock);
    listeners_add(&self->listeners, listener, side);
    if (self->full[side])
        listener_full(listener, true);
    pthread_mutex_unlock(&self->listeners_lock);
    listener_accept(listener, CLOSED_FOR_DRAIN, true);
}

static listener_t *
take_listener(route_t *self, side_t side, const char *wanted)
{
    pthread_mutex_lock(&self->listeners_lock);
    listener_t *listener = listeners_take(&self->listeners, side, wanted);
    if (listener && self->full[side])
        listener_full(listener, false);
    pthread_mutex_unlock(&self->listeners_lock);
    if (listeners_take(&self->sleeping, side, wanted) && self->asks)
        watch_door_gone(self->services->watch, listener_fd(listener));
    return listener;
}

static bool
waits(const route_t *self, const listeners_t *listeners, const listener_t *listener, side_t side)
{
    int type = self->forward.ports[side].type;
    return listeners->wait && side == SIDE_BACKEND && type != ZMQ_XPUB && type != ZMQ_PUB && listener_fd(listener) != -1
           && listener_is_shared(listener);
}

static void
forget(listeners_t *held)
{
    held->count = 0; // whose they are closes them
    listeners_close(held, false);
}

// A monitor has two ends, and libzmq gets a copy of each listening descriptor.
static void
count_asleep(route_t *self)
{
    unsigned count = (unsigned) self->sleeping.count;
    for (side_t side = 0; side < SIDES; side++)
        count += self->forward.ports[side].socket && !self->watched[side] ? 2 : 0;
    atomic_store(&self->asleep, count);
}

// Both directions bring new messages: then either side's clients are sent away before the route ends.
static bool
both_bring(const route_conf_t *conf)
{
    int type = conf->sides[SIDE_FRONTEND].type;
    return conf->flow == FLOW_BOTH && type != ZMQ_ROUTER && type != ZMQ_XSUB;
}

// The thread has the signal blocked but while it sleeps, so it never comes too
// early; a thread that is not there yet looks before it sleeps.
static void
poke(route_t *self)
{
    atomic_store(&self->poked, true);
    if (atomic_load(&self->awake))
        pthread_kill(self->thread, WAKE_SIGNAL);
}

// In the watch thread.
static void
on_knock(void *arg)
{
    route_t *self = arg;
    atomic_store(&self->knocked, true);
    poke(self);
}

static void
say_bind_failed(const route_t *self, const listener_t *listener)
{
    log_event(EVENT_BIND_FAILED, EVENT_TEXT("route", self->conf->name), EVENT_TEXT("endpoint", listener_wanted(listener)),
              EVENT_PROSE("reason", zmq_strerror(zmq_errno())));
}

// In the route's thread.
static void
join(route_t *self)
{
    if (!atomic_exchange(&self->joins, false))
        return;
    for (size_t i = 0; i < self->deferred.count; i++) {
        listener_t *listener = self->deferred.at[i];
        if (listener_give(listener, self->forward.ports[self->deferred.side[i]].socket) == -1)
            say_bind_failed(self, listener);
    }
    forget(&self->deferred);
}

// Where nobody has come in yet, nobody needs to be watched, and libzmq needs no
// listener: that is two thirds of what a route costs. Whoever comes waits in the
// kernel's queue until the route's thread has been woken.
static bool
may_sleep(const route_t *self, side_t side, const listeners_t *listeners)
{
    const side_conf_t *conf = &self->conf->sides[side];
    if (self->own_ctx || self->asks || both_bring(self->conf))
        return false;
    for (size_t i = 0; i < conf->endpoint_count; i++) {
        size_t at;
        const endpoint_conf_t *endpoint = &conf->endpoints[i];
        const listener_t *listener = endpoint->connect ? NULL : find_listener(listeners, side, endpoint->at.text, &at);
        if (!listener || listener_fd(listener) == -1 || listener_is_wildcard(listener) || listener_is_shared(listener))
            return false;
    }
    return true;
}

static void
put_to_sleep(route_t *self, side_t side, listeners_t *listeners)
{
    const side_conf_t *conf = &self->conf->sides[side];
    for (size_t i = 0; i < conf->endpoint_count; i++) {
        listener_t *listener = listeners_take(listeners, side, conf->endpoints[i].at.text);
        add_listener(self, listener, side);
        listeners_add(&self->sleeping, listener, side);
    }
    count_asleep(self);
}

static void
watch_side(route_t *self, side_t side)
{
    const side_conf_t *conf = &self->conf->sides[side];
    const port_t *port = &self->forward.ports[side];
    self->watched[side] = watch_add(self->services->watch, port->socket, self->conf->name, side, port->counters);
    if (self->watched[side] && conf->max_clients > 0)
        limit_clients(self, side, conf->max_clients);
}

static bool
brings(const route_t *self, side_t side)
{
    for (size_t i = 0; i < self->forward.lane_count; i++)
        if (self->forward.lanes[i].input && self->forward.lanes[i].from->side == side)
            return true;
    return false;
}

// In the route's thread. What fails now is tried again when somebody knocks again.
static void
wake_up(route_t *self)
{
    bool leaving = atomic_load(&self->finish) != FINISH_NOT;
    for (size_t i = 0; i < self->sleeping.count;) {
        listener_t *listener = self->sleeping.at[i];
        side_t side = self->sleeping.side[i];
        if (leaving && brings(self, side)) { // newcomers wait for whoever is next
            i++;
            continue;
        }
        if (!self->watched[side])
            watch_side(self, side);
        watch_door_gone(self->services->watch, listener_fd(listener));
        if (listener_give(listener, self->forward.ports[side].socket) == 0) {
            take_at(&self->sleeping, i);
            continue;
        }
        say_bind_failed(self, listener);
        watch_door(self->services->watch, listener_fd(listener), on_knock, self);
        i++;
    }
    count_asleep(self);
}

static int
open_endpoints(route_t *self, side_t side, listeners_t *listeners, diag_t *diag)
{
    const side_conf_t *conf = &self->conf->sides[side];
    void *socket = self->forward.ports[side].socket;
    int rc = 0;
    for (size_t i = 0; i < conf->endpoint_count; i++) {
        const endpoint_conf_t *endpoint = &conf->endpoints[i];
        listener_t *listener = endpoint->connect ? NULL : listeners_take(listeners, side, endpoint->at.text);
        if (listener)
            add_listener(self, listener, side);
        else if (!endpoint->connect)
            continue; // live change: it is bound already
        if (listener && waits(self, listeners, listener, side)) {
            listeners_add(&self->deferred, listener, side);
            continue;
        }
        if ((listener ? listener_give(listener, socket) : zmq_connect(socket, endpoint->at.text)) == 0)
            continue;
        diag_error(diag, endpoint->place, "cannot %s %s: %s", listener ? "bind" : "connect", endpoint->at.text,
                   zmq_strerror(zmq_errno()));
        rc = -1;
    }
    return rc;
}

static int
open_side(route_t *self, side_t side, listeners_t *listeners, diag_t *diag)
{
    const side_conf_t *conf = &self->conf->sides[side];
    const route_services_t *services = self->services;
    port_t *port = &self->forward.ports[side];
    *port = (port_t) { .type = real_type(self, side), .side = side, .counters = &self->counters->sides[side] };
    port->socket = zmq_socket(self->own_ctx ? self->own_ctx : services->ctx, port->type);
    if (!port->socket) {
        diag_error(diag, self->conf->place, "[route %s] no %s socket: %s", self->conf->name, side_name(side),
                   zmq_strerror(zmq_errno()));
        return -1;
    }
    if (wakeup_open(&port->wakeup, port->socket) == -1) {
        diag_error(diag, self->conf->place, "[route %s] no descriptor for the %s socket: %s", self->conf->name,
                   side_name(side), zmq_strerror(zmq_errno()));
        return -1;
    }
    if (set_options(port->socket, conf, side, diag) == -1)
        return -1;
    prepare(port, conf);
    if (self->own_ctx)
        return open_endpoints(self, side, listeners, diag);
    if (services->secure && services->secure(services->arg, port->socket, self->conf, side, diag) == -1)
        return -1;
    if (may_sleep(self, side, listeners)) {
        put_to_sleep(self, side, listeners);
        return 0;
    }
    watch_side(self, side);
    return open_endpoints(self, side, listeners, diag);
}

// zmq_close is not over when it returns, and until then an inproc name is taken.
static void
free_names(route_t *self)
{
    for (size_t i = 0; i < self->listeners.count; i++) {
        void *socket = self->forward.ports[self->listeners.side[i]].socket;
        if (socket && listener_fd(self->listeners.at[i]) == -1)
            zmq_unbind(socket, listener_bound_as(self->listeners.at[i]));
    }
}

static void
set_linger(route_t *self, side_t side, int64_t linger_ms)
{
    int64_t own = self->conf->sides[side].linger_ms;
    int64_t linger = side == SIDE_CAPTURE ? 0 : own >= 0 ? own : linger_ms;
    set_int(self->forward.ports[side].socket, ZMQ_LINGER, (int) linger);
}

// Called by whoever has the sockets: the thread, or the opener after a failure.
static void
close_sockets(route_t *self, int64_t linger_ms)
{
    free_names(self);
    for (side_t side = 0; side < SIDES; side++) {
        port_t *port = &self->forward.ports[side];
        if (!port->socket)
            continue;
        set_linger(self, side, linger_ms);
        wakeup_close(&port->wakeup);
        zmq_close(port->socket);
        port->socket = NULL;
    }
}

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
    forward->batch_min = (size_t) conf->batch_min;
    if (forward->ports[SIDE_CAPTURE].socket)
        forward->capture = capture_new(forward->ports[SIDE_CAPTURE].socket, conf, self->counters);
    if (services->filter_new)
        forward->filter = services->filter_new(services->arg, conf, self->counters);
    self->cut_stalled = conf->sides[SIDE_BACKEND].nodrop;
    counter_set(&self->counters->subscriptions, 0);
    forward_init(forward, conf->flow);
}

static void
free_route(route_t *self)
{
    forward_close(&self->forward);
    capture_free(&self->forward.capture);
    topics_free(&self->forward.topics);
    if (self->forward.filter)
        self->services->filter_free(self->services->arg, &self->forward.filter);
    forget(&self->deferred);
    forget(&self->sleeping);
    listeners_close(&self->listeners, false);
    if (self->own_ctx)
        zmq_ctx_term(self->own_ctx);
    pthread_mutex_destroy(&self->lock);
    pthread_mutex_destroy(&self->listeners_lock);
    pthread_cond_destroy(&self->called);
    free(self->name);
    free(self);
}

static void
unwatch(route_t *self)
{
    for (side_t side = 0; side < SIDES; side++)
        if (self->watched[side])
            watch_remove(self->services->watch, &self->watched[side]);
}

route_t *
route_open(const route_conf_t *conf, listeners_t *listeners, const route_services_t *services, counters_t *counters, diag_t *diag)
{
    route_t *self = xcalloc(1, sizeof *self);
    self->conf = conf;
    self->name = xstrdup(conf->name);
    for (side_t side = 0; side < SIDES; side++)
        self->side_of[side] = (side_of_t) { self, side };
    self->services = services;
    self->counters = counters;
    pthread_mutex_init(&self->lock, NULL);
    pthread_mutex_init(&self->listeners_lock, NULL);
    pthread_cond_init(&self->called, NULL);
    if (conf->engine == ENGINE_ZMQ_PROXY)
        self->own_ctx = proxy_context(1);

    bool failed = false;
    for (side_t side = 0; side < SIDES && !failed; side++)
        if (conf->sides[side].type != -1)
            failed = open_side(self, side, listeners, diag) == -1;
    if (!failed) {
        set_up_forwarding(self);
        return self;
    }
    // What it had of the listeners goes back: a reload that fails keeps the old state.
    while (self->listeners.count > 0) {
        side_t side = self->listeners.side[0];
        listeners_add(listeners, take_listener(self, side, listener_wanted(self->listeners.at[0])), side);
    }
    close_sockets(self, 0);
    unwatch(self);
    free_route(self);
    return NULL;
}

// --- the thread --------------------------------------------------------------

static void
let_in(route_t *self)
{
    join(self);
    if (atomic_exchange(&self->knocked, false))
        wake_up(self);
}

// Asked all the time while the route drains; it may have to wait for consumers itself.
static bool
hurry(void *arg)
{
    let_in(arg);
    return atomic_load(&((route_t *) arg)->finish) == FINISH_AT_ONCE;
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
    let_in(self);
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
    if (since == 0 || timeout_ms <= 0 || clock_mono_ns() - (int64_t) since < timeout_ms * 1000000)
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
    CPU_SET((size_t) conf->cpu, &cpus);
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
        forward_sleep(forward);
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
        if (side != SIDE_FRONTEND && side != SIDE_INGRESS)
            continue;
        set_linger(self, side, rest_ms(self)); // of the answers that are on their way
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
        how.curve[side] = self->conf->sides[side].security.mechanism == SECURITY_CURVE;
    }
    self->left = drain_run(&self->forward, &how);
}

static void
open_doors(route_t *self)
{
    self->asks = true;
    for (size_t i = 0; i < self->sleeping.count; i++)
        if (watch_door(self->services->watch, listener_fd(self->sleeping.at[i]), on_knock, self) == -1)
            atomic_store(&self->knocked, true);
    if (atomic_load(&self->knocked))
        poke(self);
}

static void
close_doors(route_t *self)
{
    for (size_t i = 0; self->asks && i < self->sleeping.count; i++)
        watch_door_gone(self->services->watch, listener_fd(self->sleeping.at[i]));
    forget(&self->sleeping);
}

static void
on_wake_signal(int number)
{
    (void) number;
}

static void
handle_wake_signal(void)
{
    struct sigaction action = { .sa_handler = on_wake_signal, .sa_flags = SA_RESTART };
    sigaction(WAKE_SIGNAL, &action, NULL);
}

static void
expect_signals(route_t *self)
{
    sigset_t wake;
    sigemptyset(&wake);
    sigaddset(&wake, WAKE_SIGNAL);
    pthread_sigmask(SIG_BLOCK, &wake, &self->forward.asleep);
    sigdelset(&self->forward.asleep, WAKE_SIGNAL);
    atomic_store(&self->awake, true);
}

static void *
route_thread(void *arg)
{
    route_t *self = arg;
    expect_signals(self);
    char name[16];
    snprintf(name, sizeof name, "zb:%.12s", self->conf->name);
    pthread_setname_np(pthread_self(), name);
    pin(self->conf);
    if (self->own_ctx) {
        proxy_run(self->forward.ports[SIDE_FRONTEND].socket, self->forward.ports[SIDE_BACKEND].socket,
                  self->forward.ports[SIDE_CAPTURE].socket);
        close_sockets(self, 0);
    } else {
        open_doors(self);
        forward_until_finish(self);
        drain(self);
        close_doors(self);
        close_sockets(self, rest_ms(self));
    }
    pthread_mutex_lock(&self->lock);
    atomic_store(&self->over, true);
    pthread_mutex_unlock(&self->lock);
    if (self->tell != -1) {
        ssize_t rc = write(self->tell, &(uint64_t) { 1 }, sizeof(uint64_t));
        (void) rc;
    }
    return NULL;
}

int
route_run(route_t *self, int tell)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, handle_wake_signal);
    self->tell = tell;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    errno = pthread_create(&self->thread, &attributes, route_thread, self);
    pthread_attr_destroy(&attributes);
    self->started = errno == 0;
    return self->started ? 0 : -1;
}

// --- commands ----------------------------------------------------------------

// Run it in the route's thread and wait; a route's loop answers within milliseconds.
static int
call_thread(route_t *self, int (*run)(route_t *self, void *arg), void *arg)
{
    if (!self->started || self->own_ctx)
        return -1;
    call_t call = { .run = run, .arg = arg, .result = -1 };
    pthread_mutex_lock(&self->lock);
    if (!atomic_load(&self->over) && atomic_load(&self->finish) == FINISH_NOT) {
        self->call = &call;
        poke(self);
        while (self->call == &call)
            pthread_cond_wait(&self->called, &self->lock);
    }
    pthread_mutex_unlock(&self->lock);
    return call.result;
}

static int
nothing(route_t *self, void *arg)
{
    (void) self;
    (void) arg;
    return 0;
}

// Returns once the thread has obeyed: no message passes a paused route.
static void
set_mode(route_t *self, route_state_t mode)
{
    atomic_store(&self->mode, (int) mode);
    call_thread(self, nothing, NULL);
}

void
route_pause(route_t *self)
{
    set_mode(self, ROUTE_PAUSED);
}

void
route_join(route_t *self)
{
    atomic_store(&self->joins, true);
    poke(self);
}

void
route_resume(route_t *self)
{
    set_mode(self, ROUTE_RUNNING);
}

void
route_drain(route_t *self)
{
    set_mode(self, ROUTE_DRAINING);
}

void
route_finish(route_t *self, int64_t drain_ms, bool at_once)
{
    int64_t deadline = clock_mono_ms() + drain_ms;
    if (atomic_load(&self->finish) == FINISH_NOT || deadline < atomic_load(&self->deadline_ms))
        atomic_store(&self->deadline_ms, deadline);
    atomic_store(&self->finish, at_once ? FINISH_AT_ONCE : FINISH_DRAIN);
    if (self->own_ctx)
        proxy_stop(self->own_ctx);
    poke(self);
}

bool
route_finished(const route_t *self)
{
    return !self->started || atomic_load(&((route_t *) self)->over);
}

unsigned
route_asleep(const route_t *self)
{
    return atomic_load(&((route_t *) self)->asleep);
}

void
route_share_listeners(const route_t *self, listeners_t *shared)
{
    for (size_t i = 0; i < self->listeners.count; i++)
        listeners_add(shared, listener_share(self->listeners.at[i]), self->listeners.side[i]);
}

void
route_stop_accepting(route_t *self, closed_for_t reason, const route_conf_t *successor)
{
    for (size_t i = 0; i < self->listeners.count; i++) {
        side_t side = self->listeners.side[i];
        bool input = side == SIDE_FRONTEND || side == SIDE_INGRESS;
        if (input && !(successor && wants(&successor->sides[side], listener_wanted(self->listeners.at[i]), false)))
            listener_accept(self->listeners.at[i], reason, false);
    }
}

void
route_close(route_t **self_p, route_leftover_t *leftover)
{
    route_t *self = *self_p;
    if (!self)
        return;
    if (self->started)
        pthread_join(self->thread, NULL);
    else
        close_sockets(self, 0);
    let_others_accept(self);
    unwatch(self);
    if (leftover)
        *leftover = (route_leftover_t) { self->left.undelivered, self->left.unanswered };
    for (side_t side = 0; side < SIDES; side++)
        counter_set(&self->counters->sides[side].blocked_since_ns, 0);
    counter_set(&self->counters->subscriptions, 0);
    free_route(self);
    *self_p = NULL;
}

// --- live changes ------------------------------------------------------------

typedef struct {
    const route_conf_t *conf;
    listeners_t *listeners;
    diag_t *diag;
} change_t;

static void
drop_endpoints(route_t *self, side_t side, const side_conf_t *wanted)
{
    void *socket = self->forward.ports[side].socket;
    const side_conf_t *had = &self->conf->sides[side];
    for (size_t i = 0; i < had->endpoint_count; i++) {
        const char *text = had->endpoints[i].at.text;
        if (wants(wanted, text, had->endpoints[i].connect))
            continue;
        if (had->endpoints[i].connect) {
            zmq_disconnect(socket, text);
            continue;
        }
        listener_t *listener = take_listener(self, side, text);
        if (!listener)
            continue;
        listeners_take(&self->deferred, side, text);
        zmq_unbind(socket, listener_bound_as(listener));
        listener_close(&listener, false);
    }
}

// Connects that are there already must not be made twice.
static int
add_connects(route_t *self, side_t side, const side_conf_t *had, diag_t *diag)
{
    const side_conf_t *conf = &self->conf->sides[side];
    int rc = 0;
    for (size_t i = 0; i < conf->endpoint_count; i++) {
        const endpoint_conf_t *endpoint = &conf->endpoints[i];
        if (!endpoint->connect || wants(had, endpoint->at.text, true))
            continue;
        if (zmq_connect(self->forward.ports[side].socket, endpoint->at.text) == 0)
            continue;
        diag_error(diag, endpoint->place, "cannot connect %s: %s", endpoint->at.text, zmq_strerror(zmq_errno()));
        rc = -1;
    }
    return rc;
}

static int
add_binds(route_t *self, side_t side, listeners_t *listeners, diag_t *diag)
{
    const side_conf_t *conf = &self->conf->sides[side];
    int rc = 0;
    for (size_t i = 0; i < conf->endpoint_count; i++) {
        const endpoint_conf_t *endpoint = &conf->endpoints[i];
        listener_t *listener = endpoint->connect ? NULL : listeners_take(listeners, side, endpoint->at.text);
        if (!listener)
            continue;
        add_listener(self, listener, side);
        if (listener_give(listener, self->forward.ports[side].socket) == 0)
            continue;
        diag_error(diag, endpoint->place, "cannot bind %s: %s", endpoint->at.text, zmq_strerror(zmq_errno()));
        rc = -1;
    }
    return rc;
}

static void
close_capture(route_t *self)
{
    forward_t *forward = &self->forward;
    capture_free(&forward->capture);
    wakeup_close(&forward->ports[SIDE_CAPTURE].wakeup);
    zmq_close(forward->ports[SIDE_CAPTURE].socket);
    forward->ports[SIDE_CAPTURE].socket = NULL;
    if (self->watched[SIDE_CAPTURE])
        watch_remove(self->services->watch, &self->watched[SIDE_CAPTURE]);
}

// What the next capture binds too is kept for it.
static void
give_back_listeners(route_t *self, side_t side, const side_conf_t *wanted, listeners_t *to)
{
    const side_conf_t *had = &self->conf->sides[side];
    for (size_t i = 0; i < had->endpoint_count; i++) {
        const char *text = had->endpoints[i].at.text;
        if (had->endpoints[i].connect || !wants(wanted, text, false))
            continue;
        listener_t *listener = take_listener(self, side, text);
        if (!listener)
            continue;
        zmq_unbind(self->forward.ports[side].socket, listener_bound_as(listener));
        listeners_add(to, listener, side);
    }
}

// A capture comes and goes as a whole: nobody's messages depend on it.
static int
change_capture(route_t *self, change_t *change)
{
    forward_t *forward = &self->forward;
    int rc = 0;
    if (forward->ports[SIDE_CAPTURE].socket) {
        give_back_listeners(self, SIDE_CAPTURE, &change->conf->sides[SIDE_CAPTURE], change->listeners);
        drop_endpoints(self, SIDE_CAPTURE, &(side_conf_t) { .type = -1 });
        close_capture(self);
    }
    if (change->conf->sides[SIDE_CAPTURE].type != -1) {
        self->conf = change->conf;
        rc = open_side(self, SIDE_CAPTURE, change->listeners, change->diag);
        if (rc == 0)
            forward->capture = capture_new(forward->ports[SIDE_CAPTURE].socket, change->conf, self->counters);
    }
    forward_poll_ports(forward);
    return rc;
}

static bool
is_in(const settings_t *settings, const setting_t *wanted)
{
    for (size_t i = 0; i < settings->count; i++)
        if (strcmp(settings->at[i].key, wanted->key) == 0 && strcmp(settings->at[i].value, wanted->value) == 0)
            return true;
    return false;
}

// Of the capture, all but its endpoints: those come and go by themselves.
static bool
has_all_of_capture(const route_conf_t *conf, const route_conf_t *other)
{
    for (size_t i = 0; i < other->settings.count; i++) {
        const setting_t *setting = &other->settings.at[i];
        bool endpoint = strcmp(setting->key, "capture_bind") == 0 || strcmp(setting->key, "capture_connect") == 0;
        if (strncmp(setting->key, "capture_", 8) == 0 && !endpoint && !is_in(&conf->settings, setting))
            return false;
    }
    return true;
}

static bool
same_capture(const route_conf_t *a, const route_conf_t *b)
{
    return a->sides[SIDE_CAPTURE].type == b->sides[SIDE_CAPTURE].type && has_all_of_capture(a, b) && has_all_of_capture(b, a);
}

static int
change_side(route_t *self, side_t side, const route_conf_t *had, change_t *change)
{
    drop_endpoints(self, side, &change->conf->sides[side]);
    self->conf = change->conf;
    int rc = add_binds(self, side, change->listeners, change->diag);
    rc |= add_connects(self, side, &had->sides[side], change->diag);
    if (self->watched[side])
        limit_clients(self, side, change->conf->sides[side].max_clients);
    self->conf = had;
    return rc;
}

static int
change_in_thread(route_t *self, void *arg)
{
    change_t *change = arg;
    const route_conf_t *had = self->conf;
    const route_services_t *services = self->services;
    int rc = 0;
    bool same = same_capture(had, change->conf);
    wake_up(self);
    for (side_t side = 0; side < SIDES; side++)
        if (self->forward.ports[side].socket && (side != SIDE_CAPTURE || same))
            rc |= change_side(self, side, had, change);
    if (!same)
        rc |= change_capture(self, change);
    self->conf = change->conf;
    if (self->forward.filter)
        services->filter_free(services->arg, &self->forward.filter);
    if (services->filter_new)
        self->forward.filter = services->filter_new(services->arg, self->conf, self->counters);
    self->forward.batch_ns = self->conf->batch_us * 1000;
    self->forward.batch_min = (size_t) self->conf->batch_min;
    return rc;
}

int
route_change(route_t *self, const route_conf_t *conf, listeners_t *listeners, diag_t *diag)
{
    change_t change = { conf, listeners, diag };
    return call_thread(self, change_in_thread, &change);
}

static int
reconnect(route_t *self, void *arg)
{
    for (side_t side = 0; side < SIDES; side++) {
        void *socket = self->forward.ports[side].socket;
        if (!socket || !wants(&self->conf->sides[side], arg, true))
            continue;
        zmq_disconnect(socket, arg); // it may know already that nobody is there
        if (zmq_connect(socket, arg) == -1)
            log_event(EVENT_CONNECT_FAILED, EVENT_TEXT("route", self->conf->name), EVENT_TEXT("endpoint", arg),
                      EVENT_PROSE("reason", zmq_strerror(zmq_errno())));
    }
    return 0;
}

void
route_reconnect(route_t *self, const char *endpoint)
{
    char *text = xstrdup(endpoint);
    call_thread(self, reconnect, text);
    free(text);
}

// --- looking -----------------------------------------------------------------

const char *
route_endpoint(const route_t *self, side_t side, size_t i, bool *connected)
{
    const side_conf_t *conf = &self->conf->sides[side];
    if (i >= conf->endpoint_count)
        return NULL;
    size_t at;
    *connected = conf->endpoints[i].connect;
    const listener_t *listener = *connected ? NULL : find_listener(&self->listeners, side, conf->endpoints[i].at.text, &at);
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

tap_t *
route_tap(route_t *self, const void *prefix, size_t prefix_size)
{
    wanted_tap_t wanted = { prefix, prefix_size, NULL };
    call_thread(self, add_tap, &wanted);
    errno = ENOSPC;
    return wanted.tap;
}

void
route_look(route_t *self)
{
    poke(self);
}

void
route_settle(route_t *self)
{
    call_thread(self, nothing, NULL);
}

char **
route_subscriptions(route_t *self, size_t *count, size_t max)
{
    return topics_list(self->forward.topics, count, max);
}

int64_t
route_age_ms(route_t *self)
{
    if (self->own_ctx || route_finished(self) || atomic_load(&self->finish) != FINISH_NOT)
        return 0;
    if (self->ping_ms != 0 && atomic_load(&self->pong) == self->ping)
        return clock_mono_ms() - self->ping_ms;
    self->ping = atomic_load(&self->pong);
    self->ping_ms = clock_mono_ms();
    poke(self);
    return 0;
}
