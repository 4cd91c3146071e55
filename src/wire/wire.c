// SPDX-License-Identifier: MPL-2.0
#include "wire/wire.h"

#include "base/bell.h"
#include "base/mem.h"
#include "flow/savedroute.h"
#include "flow/ways.h"
#include "wire/accept.h"
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
#include "wire/portlife.h"
#include "wire/remember.h"
#include "wire/round.h"
#include "wire/services.h"
#include "wire/settle.h"
#include "wire/sides.h"
#include "wire/stored.h"
#include "wire/strangers.h"
#include "wire/terms.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

enum {
    STACK_BYTES = 256 * 1024,
    SETTLED_EVERY_MS = 10,
};

// --- opening -----------------------------------------------------------------

// Where the messages of each side go, and whether they are new ones. Where there is a cluster, those go to it.
static void
connect_sides(wire_t *self)
{
    way_t ways[WAYS_MOST];
    size_t count = ways_of(self->conf, ways);
    for (size_t i = 0; i < count; i++) {
        wport_t *from = &self->ports[ways[i].from];
        from->to = ways[i].to == SIDE_BACKEND && self->cluster ? cluster_port(self) : &self->ports[ways[i].to];
        from->input = ways[i].brings_in;
    }
}

static int
open_ports(wire_t *self, listeners_t *listeners, diag_t *diag)
{
    for (side_t side = 0; side < SIDES; side++)
        if (self->conf->sides[side].type != -1 && portlife_open(&self->ports[side], self, side, diag) == -1)
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
    return loop_open(&self->loop) == -1 ? -1 : loop_watch(&self->loop, self->base.thread.bell, EPOLLIN, &self->bell);
}

static int
wire_open(route_t *self, const route_conf_t *conf, listeners_t *listeners, const route_resources_t *resources,
          counters_t *counters, diag_t *diag)
{
    self->conf = conf;
    self->name = xstrdup(conf->name);
    self->resources = resources;
    self->counters = counters;
    self->loop.epoll = -1;
    self->pool.memory = resources->memory;
    if (open_loop(self) == 0)
        return open_ports(self, listeners, diag);
    diag_error(diag, conf->place, "[route %s] no descriptor for its loop: %s", conf->name, strerror(errno));
    return -1;
}

static void
wire_close(route_t *self, route_leftover_t *left)
{
    *left = self->left;
    counters_end(self->counters);
    stored_close(self, 0);
    archive_close(self, 0);
    observe_close(self);
    savedroute_drop(&self->saved);
    for (side_t side = 0; side < SIDES; side++)
        if (self->ports[side].socktype) {
            login_unconfigure(&self->ports[side]);
            portlife_close(&self->ports[side]);
        }
    cluster_close(self);
    doors_remove_all(self);
    loop_close(&self->loop);
    chunk_pool_empty(&self->pool);
    strangers_free(self);
    free(self->name);
}

// --- the thread ----------------------------------------------------------------

static void
wire_go_on(route_t *self, route_state_t mode)
{
    bool frozen = mode == ROUTE_PAUSED, stopped = mode == ROUTE_DRAINING;
    if (self->draining || (self->frozen == frozen && self->stopped == stopped))
        return;
    self->frozen = frozen;
    self->stopped = stopped;
    conn_wake_all(self);
}

// Those whose password was checked, and, when the policy has changed, everybody.
static void
hear_guard(wire_t *self)
{
    const admission_t *guard = self->resources->admission;
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
wire_look(route_t *self)
{
    hear_guard(self);
    observe_sweep(self);
    stored_hear_others(self);
    cluster_hear_others(self);
}

static void
on_bell(watched_t *watched, uint32_t events)
{
    wire_t *self = (wire_t *)((char *)watched - offsetof(wire_t, bell));
    (void)events;
    bell_hear(self->base.thread.bell);
    round_note_time(self);
    route_obey(self);
}

static void
begin(wire_t *self)
{
    stored_begin(self);
    archive_begin(self);
    cluster_begin(self);
    hear_guard(self);
    for (side_t side = 0; side < SIDES; side++)
        if (self->ports[side].socktype) {
            login_configure(&self->ports[side]);
            terms_note(&self->ports[side]);
        }
    handover_restore(self);
    cluster_connect(self);
    wire_go_on(self, atomic_load(&self->base.thread.mode));
    for (side_t side = 0; side < SIDES; side++)
        if (self->ports[side].socktype)
            sides_connect(self, side, NULL);
}

static void
wire_thread(route_t *self)
{
    begin(self);
    if (archive_is_read(self))
        accept_at_all(self);
    while (!routethread_is_to_end(&self->base.thread))
        round_run(self, -1);
    if (!self->handed_over)
        ending_run(self);
    connect_remove_all(self);
    doors_remove_all(self);
    listeners_let_others_accept(&self->base.listeners);
    self->hurries = !self->handed_over;
    for (side_t side = 0; side < SIDES; side++)
        for (conn_t *conn = self->ports[side].conns; conn; conn = conn->next)
            conn_break(conn, CUT_NONE, "the route has ended");
    while (self->alive > 0 || settle_waits(self))
        round_run(self, self->alive > 0 ? 0 : SETTLED_EVERY_MS);
    ending_close_store(self);
}

// --- for the main thread -------------------------------------------------------------

typedef struct {
    char **topics;
    size_t *count, max;
} topic_listing_t;

static int
list_topics(wire_t *self, void *arg)
{
    topic_listing_t *listing = arg;
    listing->topics = fan_topics(&self->ports[SIDE_BACKEND], listing->count, listing->max);
    return 0;
}

static char **
wire_subscriptions(route_t *self, size_t *count, size_t max)
{
    topic_listing_t listing = { NULL, count, max };
    *count = 0;
    route_call(self, list_topics, &listing);
    return listing.topics;
}

const route_engine_t engine_wire = {
    .name = "wire",
    .size = sizeof(wire_t),
    .stack_bytes = STACK_BYTES,
    .open = wire_open,
    .close = wire_close,
    .failure = cluster_failure,
    .endpoint = sides_endpoint,
    .take = handover_take,
    .subscriptions = wire_subscriptions,
    .values = remember_values,
    .clear_values = remember_clear,
    .clients = clients_each,
    .kick = clients_kick,
    .backend_services = services_each,
    .endpoints_down = clients_endpoints_down,
    .run = wire_thread,
    .join = sides_join,
    .go_on = wire_go_on,
    .look = wire_look,
    .change = sides_change,
    .tap = observe_tap,
    .can_save = handover_can_save,
    .save = handover_save,
};
