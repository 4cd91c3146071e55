// SPDX-License-Identifier: MPL-2.0
#include "wire/services.h"

#include "base/clock.h"
#include "base/mem.h"
#include "wire/conn.h"
#include "wire/port.h"
#include "wire/services_internal.h"
#include "zmtp/peertype.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <zmq.h>

// --- who comes and goes -----------------------------------------------------------------------------

// Its type goes with the way in which services are chosen: one that only answers never says that it is ready.
static bool
fits(const services_t *self, const conn_t *conn)
{
    return conn->type != (dispatch_is_by_asking(self) ? PEERTYPE_REP : PEERTYPE_REQ);
}

static void
welcome(services_t *self, conn_t *conn)
{
    service_t *service = conn->own = dispatch_add(self, conn->id);
    service->conn = conn;
    service->inhand.given = conn->out.load.messages;
    replies_note_freedom(self, service);
    dispatch_settle(self, service);
}

static int
joined(conn_t *conn)
{
    if (!fits(conn->port->own, conn)) {
        conn_refuse(conn, HANDSHAKE_TYPE, "its socket type does not go with dispatch");
        return -1;
    }
    welcome(conn->port->own, conn);
    return 0;
}

// What it had in another route has come before it.
static int
rejoined(conn_t *conn)
{
    services_t *self = conn->port->own;
    service_t *service = self->services;
    while (service && (service->conn || service->id != conn->id))
        service = service->next;
    if (!service)
        return joined(conn);
    if (!fits(self, conn)) {
        conn_refuse(conn, HANDSHAKE_TYPE, "its socket type does not go with dispatch");
        return -1;
    }
    conn->own = service;
    service->conn = conn;
    return 0;
}

static void
left(conn_t *conn)
{
    services_t *self = conn->port->own;
    service_t *service = conn->own;
    ranks_take(&self->ranks, &service->rank);
    service->ready = false;
}

// --- another route ------------------------------------------------------------------------------------

static void
save(const wport_t *port, record_t *to)
{
    servicesrecord_save(port->own, to);
}

static const socktype_t socktype_services;

static services_t *
services_new(wport_t *port)
{
    services_t *self = port->own = xcalloc(1, sizeof *self);
    self->port = port;
    self->timer.ready = replies_on_timer;
    self->timer_fd = -1;
    self->outstanding.pool = &port->wire->pool;
    for (uint32_t i = 0; i < port->count; i++)
        welcome(self, port->open[i]);
    port->socktype = &socktype_services;
    return self;
}

// Requests that were passed on, and of which nothing is known.
static int64_t
unknown_requests(const services_t *self)
{
    int64_t known = self->waiting.count;
    for (const service_t *service = self->services; service; service = service->next)
        known += service->inhand.unanswered.count;
    return self->port->wire->pending - known;
}

void
services_restore(wport_t *port, record_fields_t from)
{
    services_t *self = port->own;
    if (!self && from.left == 0)
        return;
    if (!self)
        self = services_new(port); // its keys are gone: what was given out by them comes back
    servicesrecord_restore(self, from);
    self->before = unknown_requests(self);
    self->restored = port->wire->made_room = true;
}

// All connections that come from another route are here. They stand in the order in which they stood there.
static void
settle_restored(services_t *self)
{
    self->restored = false;
    for (service_t *service = self->services, *next; service; service = next) {
        next = service->next;
        if (service->conn) {
            replies_note_freedom(self, service);
            dispatch_settle(self, service);
            continue;
        }
        replies_try_others(self, service, UINT64_MAX, &(replies_legacy_t){ 0 });
        dispatch_remove(self, service);
    }
    dispatch_arm(self);
}

// Asked are as many of those who wait as can be served: else each answer would wake all of them.
static void
made_room(wport_t *port)
{
    services_t *self = port->own;
    if (self->restored)
        settle_restored(self);
    dispatch_give_waiting(self);
    port_give_returned(port);
    bool one_each = self->window > 0 || dispatch_is_by_asking(self);
    port_unpark(port, one_each ? self->ranks.count : UINT32_MAX);
}

// --- life ---------------------------------------------------------------------------------------------

static void
services_close(wport_t *port)
{
    services_t *self = port->own;
    asked_t *asked;
    while ((asked = self->waiting.first)) {
        asked_remove(&self->waiting, asked);
        outstanding_forget(&self->outstanding, asked);
    }
    while (self->services) { // their connections went to another route
        replies_forget_all(self, self->services);
        dispatch_remove(self, self->services);
    }
    if (self->stock)
        chunk_drop(self->stock);
    if (self->timer_fd != -1)
        close(self->timer_fd);
    ranks_free(&self->ranks);
    outstanding_free(&self->outstanding);
    free(self);
    port->own = NULL;
}

static bool
are_wanted(const route_conf_t *conf)
{
    return conf->dispatch != DISPATCH_ROUND_ROBIN || conf->backend_window || conf->backend_retries ||
           conf->reply_timeout_ms;
}

static void
take_keys(services_t *self, const route_conf_t *conf)
{
    bool was_on = self->on;
    self->on = are_wanted(conf);
    if (!was_on)
        self->before = unknown_requests(self);
    self->dispatch = conf->dispatch;
    self->window = (uint32_t)conf->backend_window;
    self->timeout_ns = conf->reply_timeout_ms * 1000000;
    self->armed = false;
    replies_need_timer(self);
    dispatch_arm(self);
}

// clang-format off
static const socktype_t socktype_services = {
    .type = ZMQ_DEALER, .speaks_as = ZMQ_DEALER, .give = dispatch_give, .hears = replies_hear, .joined = joined, .left = left,
    .bequeath = replies_bequeath, .has_room = dispatch_has_room, .made_room = made_room, .close = services_close, .lets_go = true, .rejoined = rejoined, .save = save, .restore = services_restore,
};
static const socktype_t socktype_askers = { // the same, but towards services a ROUTER
    .type = ZMQ_DEALER, .speaks_as = ZMQ_ROUTER, .give = dispatch_give, .hears = replies_hear, .joined = joined, .left = left,
    .bequeath = replies_bequeath, .has_room = dispatch_has_room, .made_room = made_room, .close = services_close, .lets_go = true, .rejoined = rejoined, .save = save, .restore = services_restore,
};
// clang-format on

void
services_configure(wport_t *port)
{
    const route_conf_t *conf = port->wire->conf;
    bool is_queue =
        port->side == SIDE_BACKEND && conf->sides[SIDE_FRONTEND].type == ZMQ_ROUTER && port->conf->type == ZMQ_DEALER;
    services_t *self = port->own;
    if (!is_queue || (!self && !are_wanted(conf)))
        return;
    if (!self)
        self = services_new(port);
    take_keys(self, conf);
    port->socktype = dispatch_is_by_asking(self) ? &socktype_askers : &socktype_services;
    for (uint32_t i = 0; i < port->count; i++) {
        conn_t *conn = port->open[i];
        replies_note_freedom(self, conn->own);
        dispatch_settle(self, conn->own);
        if (!fits(self, conn))
            conn_break(conn, CUT_NONE, "its socket type does not go with dispatch");
    }
    port->wire->made_room = true;
}

// --- for whoever asks -----------------------------------------------------------------------------------

typedef struct {
    client_service_t *at;
    size_t count, room;
} list_t;

static void
describe(const conn_t *conn, client_service_t *to)
{
    bool is_known = conn->port->socktype->bequeath == replies_bequeath;
    service_t *service = is_known ? conn->own : NULL;
    int64_t now_ns = clock_mono_ns();
    *to = (client_service_t){
        .id = conn->id, .unanswered = -1, .answered = -1, .retried = -1, .p50_ns = -1, .p99_ns = -1
    };
    snprintf(to->peer, sizeof to->peer, "%s", conn->peer_name);
    if (!service)
        return;
    to->unanswered = service->inhand.unanswered.count;
    to->answered = (int64_t)service->answered;
    to->retried = (int64_t)service->retried;
    to->free_since_wall_ns = service->free_since_wall_ns;
    if (!service->answers)
        return;
    to->p50_ns = answers_percentile(service->answers, now_ns, 50);
    to->p99_ns = answers_percentile(service->answers, now_ns, 99);
}

static int
collect(wire_t *self, void *arg)
{
    list_t *list = arg;
    const wport_t *port = &self->ports[SIDE_BACKEND];
    for (uint32_t i = 0; i < port->count; i++) {
        if (port->open[i]->broken)
            continue;
        mem_grow(list->at, list->count, list->room);
        describe(port->open[i], &list->at[list->count++]);
    }
    return 0;
}

static int
by_id(const void *a, const void *b)
{
    const client_service_t *first = a, *second = b;
    return (first->id > second->id) - (first->id < second->id);
}

void
services_each(route_t *self, client_service_fn_t *fn, void *arg)
{
    list_t list = { 0 };
    route_call(self, collect, &list);
    if (list.count > 0)
        qsort(list.at, list.count, sizeof *list.at, by_id);
    for (size_t i = 0; i < list.count; i++)
        fn(&list.at[i], arg);
    free(list.at);
}
