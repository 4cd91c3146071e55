// SPDX-License-Identifier: MPL-2.0
#include "wire/wire.h"

#include "base/bell.h"
#include "base/clock.h"
#include "base/event.h"
#include "base/mem.h"
#include "base/thread.h"
#include "flow/luggage.h"
#include "wire/sides.h"
#include "wire/archive.h"
#include "wire/clients.h"
#include "wire/cluster.h"
#include "wire/conn.h"
#include "wire/connect.h"
#include "wire/doors.h"
#include "wire/ending.h"
#include "wire/fan.h"
#include "wire/handover.h"
#include "wire/login.h"
#include "wire/observe.h"
#include "wire/port.h"
#include "wire/remember.h"
#include "wire/round.h"
#include "wire/services.h"
#include "wire/settle.h"
#include "wire/stored.h"
#include "wire/strangers.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

enum {
    STACK_BYTES = 256 * 1024,
    SETTLED_EVERY_MS = 10,
};

// --- opening -----------------------------------------------------------------

// Where the messages of each side go, and whether they are new ones.
static void
connect_sides(wire_t *self)
{
    wport_t *frontend = &self->ports[SIDE_FRONTEND], *backend = &self->ports[SIDE_BACKEND], *ingress = &self->ports[SIDE_INGRESS];
    wport_t *acks = &self->ports[SIDE_ACK];
    wport_t *down = self->cluster ? cluster_port(self) : backend;
    if (self->conf->flow & FLOW_DOWN)
        frontend->to = down;
    if (self->conf->flow & FLOW_UP)
        backend->to = frontend;
    if (ingress->socktype)
        ingress->to = down;
    frontend->input = frontend->to != NULL;
    if (acks->socktype)
        acks->to = down; // whose room they wait for
    ingress->input = ingress->to != NULL;
    acks->input = acks->to != NULL;
    backend->input = backend->to && frontend->conf->type != ZMQ_ROUTER && backend->conf->type != ZMQ_XPUB;
}

static int
open_ports(wire_t *self, listeners_t *listeners, diag_t *diag)
{
    for (side_t side = 0; side < SIDES; side++)
        if (self->conf->sides[side].type != -1 && port_open(&self->ports[side], self, side, diag) == -1)
            return -1;
    if (cluster_open(self, diag) == -1)
        return -1;
    connect_sides(self);
    if (stored_open(self, diag) == -1 || archive_open(self, diag) == -1)
        return -1;
    for (side_t side = 0; side < SIDES; side++)
        if (self->ports[side].socktype)
            sides_take_listeners(self, side, listeners);
    return 0;
}

static void on_bell(watched_t *watched, uint32_t events);

static int
open_loop(wire_t *self)
{
    self->scheduled_end = &self->scheduled;
    round_note_time(self);
    self->bell.ready = on_bell;
    self->bell_fd = bell_new();
    if (loop_open(&self->loop) == -1 || self->bell_fd == -1)
        return -1;
    return loop_watch(&self->loop, self->bell_fd, EPOLLIN, &self->bell);
}

static void
free_route(wire_t *self)
{
    stored_close(self, 0);
    archive_close(self, 0);
    observe_close(self);
    luggage_drop(&self->luggage);
    for (side_t side = 0; side < SIDES; side++)
        if (self->ports[side].socktype) {
            login_unconfigure(&self->ports[side]);
            port_close(&self->ports[side]);
        }
    cluster_close(self);
    doors_remove_all(self);
    listeners_forget(&self->deferred);
    listeners_close(&self->listeners, false);
    loop_close(&self->loop);
    if (self->bell_fd != -1)
        close(self->bell_fd);
    chunk_pool_empty(&self->pool);
    strangers_free(self);
    pthread_mutex_destroy(&self->lock);
    pthread_cond_destroy(&self->called);
    free(self->name);
    free(self);
}

static route_t *
wire_open(const route_conf_t *conf, listeners_t *listeners, const route_services_t *services, counters_t *counters, diag_t *diag)
{
    wire_t *self = xcalloc(1, sizeof *self);
    self->engine = &engine_wire;
    self->conf = conf;
    self->name = xstrdup(conf->name);
    self->services = services;
    self->counters = counters;
    self->loop.epoll = -1;
    self->pool.memory = services->memory;
    pthread_mutex_init(&self->lock, NULL);
    pthread_cond_init(&self->called, NULL);
    if (open_loop(self) == -1)
        diag_error(diag, conf->place, "[route %s] no descriptor for its loop: %s", conf->name, strerror(errno));
    else if (open_ports(self, listeners, diag) == 0)
        return self;
    sides_give_back_listeners(self, listeners);
    free_route(self);
    return NULL;
}

// --- the thread ----------------------------------------------------------------

static void
serve_call(wire_t *self)
{
    pthread_mutex_lock(&self->lock);
    call_t *call = self->call;
    pthread_mutex_unlock(&self->lock);
    if (!call)
        return;
    call->result = call->run(self, call->arg); // which takes the lock for itself; the caller waits
    pthread_mutex_lock(&self->lock);
    self->call = NULL;
    pthread_cond_broadcast(&self->called);
    pthread_mutex_unlock(&self->lock);
}

static void
obey_mode(wire_t *self)
{
    int mode = atomic_load(&self->mode);
    bool frozen = mode == ROUTE_PAUSED, stopped = mode == ROUTE_DRAINING;
    if (self->draining || (self->frozen == frozen && self->stopped == stopped))
        return;
    self->frozen = frozen;
    self->stopped = stopped;
    round_wake_all(self);
}

// Those whose password was checked, and, when the policy has changed, everybody.
static void
hear_guard(wire_t *self)
{
    const admission_t *guard = self->services->admission;
    uint64_t generation = guard ? guard->generation(guard->arg) : 0;
    bool changed = generation != self->generation;
    self->generation = generation;
    for (side_t side = 0; side < SIDES; side++) {
        wport_t *port = &self->ports[side];
        if (!port->socktype)
            continue;
        if (changed)
            login_configure(port);
        for (conn_t *conn = port->conns, *next; conn; conn = next) {
            next = conn->next;
            if (conn->ticket)
                login_answer(conn);
            if (changed)
                login_review(conn);
        }
        if (changed)
            fan_review(port);
    }
}

static void
obey(wire_t *self)
{
    atomic_fetch_add(&self->pong, 1);
    if (atomic_exchange(&self->joins, false) && !self->closing)
        sides_join(self); // one that is at its end accepts nobody any more
    obey_mode(self);
    hear_guard(self);
    observe_sweep(self);
    stored_hear_others(self);
    serve_call(self);
}

static void
on_bell(watched_t *watched, uint32_t events)
{
    wire_t *self = (wire_t *)((char *)watched - offsetof(wire_t, bell));
    (void)events;
    bell_hear(self->bell_fd);
    round_note_time(self);
    obey(self);
}

static void
begin(wire_t *self)
{
    char name[16];
    snprintf(name, sizeof name, "zb:%.12s", self->conf->name);
    pthread_setname_np(pthread_self(), name);
    if (self->conf->cpu >= 0) {
        cpu_set_t cpus;
        CPU_ZERO(&cpus);
        CPU_SET((unsigned)self->conf->cpu, &cpus);
        if (sched_setaffinity(0, sizeof cpus, &cpus) == -1)
            log_event(EVENT_ROUTE_CPU, EVENT_TEXT("route", self->conf->name), EVENT_NUMBER("cpu", self->conf->cpu),
                      EVENT_PROSE("reason", strerror(errno)));
    }
    stored_begin(self);
    archive_begin(self);
    cluster_begin(self);
    hear_guard(self);
    for (side_t side = 0; side < SIDES; side++)
        if (self->ports[side].socktype) {
            login_configure(&self->ports[side]);
            handover_note_terms(&self->ports[side]);
        }
    handover_restore(self);
    obey_mode(self);
    for (side_t side = 0; side < SIDES; side++)
        if (self->ports[side].socktype)
            sides_connect(self, side, NULL);
}

static void *
run(void *arg)
{
    wire_t *self = arg;
    begin(self);
    sides_listen(self);
    while (atomic_load(&self->finish) == FINISH_NOT)
        round_run(self, -1);
    if (!self->handed_over)
        ending_run(self);
    connect_remove_all(self);
    doors_remove_all(self);
    sides_let_others_accept(self);
    self->hurries = !self->handed_over;
    for (side_t side = 0; side < SIDES; side++)
        for (conn_t *conn = self->ports[side].conns; conn; conn = conn->next)
            conn_break(conn, CUT_NONE, "the route has ended");
    while (self->alive > 0 || settle_waits(self))
        round_run(self, self->alive > 0 ? 0 : SETTLED_EVERY_MS);
    ending_close_store(self);
    pthread_mutex_lock(&self->lock);
    atomic_store(&self->over, true);
    pthread_mutex_unlock(&self->lock);
    if (self->tell != -1)
        bell_ring(self->tell);
    return NULL;
}

static int
wire_run(route_t *self, int tell)
{
    self->tell = tell;
    self->started = thread_start(&self->thread, STACK_BYTES, run, self) == 0;
    return self->started ? 0 : -1;
}

// --- commands --------------------------------------------------------------------

void
wire_ask(wire_t *self, call_t *call)
{
    call->result = -1;
    if (!self->started)
        return;
    pthread_mutex_lock(&self->lock);
    while (self->call)
        pthread_cond_wait(&self->called, &self->lock);
    if (!atomic_load(&self->over) && atomic_load(&self->finish) == FINISH_NOT) {
        self->call = call;
        bell_ring(self->bell_fd);
    }
    pthread_mutex_unlock(&self->lock);
}

int
wire_answer(wire_t *self, call_t *call)
{
    pthread_mutex_lock(&self->lock);
    while (self->call == call)
        pthread_cond_wait(&self->called, &self->lock);
    pthread_mutex_unlock(&self->lock);
    return call->result;
}

int
wire_call(wire_t *self, int (*function)(wire_t *self, void *arg), void *arg)
{
    call_t call = { .run = function, .arg = arg };
    wire_ask(self, &call);
    return wire_answer(self, &call);
}

static int
nothing(wire_t *self, void *arg)
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
    wire_call(self, nothing, NULL);
}

static void
wire_pause(route_t *self)
{
    set_mode(self, ROUTE_PAUSED);
}

static void
wire_resume(route_t *self)
{
    set_mode(self, ROUTE_RUNNING);
}

static void
wire_drain(route_t *self)
{
    set_mode(self, ROUTE_DRAINING);
}

static void
wire_join(route_t *self)
{
    atomic_store(&self->joins, true);
    bell_ring(self->bell_fd);
}

static void
wire_reconnect(route_t *self, const char *endpoint)
{
    (void)self; // inproc only, which this engine does not have
    (void)endpoint;
}

static void
wire_finish(route_t *self, int64_t drain_ms, bool at_once)
{
    int64_t deadline = clock_mono_ms() + drain_ms;
    if (atomic_load(&self->finish) == FINISH_NOT || deadline < atomic_load(&self->deadline_ms))
        atomic_store(&self->deadline_ms, deadline);
    atomic_store(&self->finish, at_once ? FINISH_AT_ONCE : FINISH_DRAIN);
    bell_ring(self->bell_fd);
}

static bool
wire_finished(const route_t *self)
{
    return !self->started || atomic_load(&((route_t *)self)->over);
}

static void
wire_close(route_t **self_p, route_leftover_t *leftover)
{
    route_t *self = *self_p;
    if (!self)
        return;
    if (self->started)
        pthread_join(self->thread, NULL);
    sides_let_others_accept(self);
    if (leftover)
        *leftover = self->left;
    counters_end(self->counters);
    free_route(self);
    *self_p = NULL;
}

static void
wire_look(route_t *self)
{
    bell_ring(self->bell_fd);
}

static void
wire_settle(route_t *self)
{
    wire_call(self, nothing, NULL);
}

typedef struct {
    char **topics;
    size_t *count, max;
} listing_t;

static int
list_topics(wire_t *self, void *arg)
{
    listing_t *listing = arg;
    listing->topics = fan_topics(&self->ports[SIDE_BACKEND], listing->count, listing->max);
    return 0;
}

static char **
wire_subscriptions(route_t *self, size_t *count, size_t max)
{
    listing_t listing = { NULL, count, max };
    *count = 0;
    wire_call(self, list_topics, &listing);
    return listing.topics;
}

static int64_t
wire_age_ms(route_t *self)
{
    if (wire_finished(self) || atomic_load(&self->finish) != FINISH_NOT)
        return 0;
    if (self->ping_ms != 0 && atomic_load(&self->pong) == self->ping)
        return clock_mono_ms() - self->ping_ms;
    self->ping = atomic_load(&self->pong);
    self->ping_ms = clock_mono_ms();
    bell_ring(self->bell_fd);
    return 0;
}

const route_engine_t engine_wire = {
    .name = "wire",
    .open = wire_open,
    .run = wire_run,
    .change = sides_change,
    .join = wire_join,
    .reconnect = wire_reconnect,
    .endpoint = sides_endpoint,
    .pause = wire_pause,
    .resume = wire_resume,
    .drain = wire_drain,
    .finish = wire_finish,
    .stop_accepting = sides_stop_accepting,
    .finished = wire_finished,
    .failure = cluster_failure,
    .can_save = handover_can_save,
    .begin_save = handover_begin_save,
    .save = handover_save,
    .take = handover_take,
    .close = wire_close,
    .share_listeners = sides_share_listeners,
    .tap = observe_tap,
    .look = wire_look,
    .settle = wire_settle,
    .subscriptions = wire_subscriptions,
    .values = remember_values,
    .clear_values = remember_clear,
    .clients = clients_each,
    .kick = clients_kick,
    .backend_services = services_each,
    .endpoints_down = clients_endpoints_down,
    .age_ms = wire_age_ms,
};
