// SPDX-License-Identifier: MPL-2.0
#include "wire/sides.h"

#include "wire/accept.h"
#include "wire/archive.h"
#include "wire/cluster.h"
#include "wire/conn.h"
#include "wire/connect.h"
#include "wire/connlife.h"
#include "wire/doors.h"
#include "wire/login.h"
#include "wire/port.h"
#include "wire/portlife.h"
#include "wire/stored.h"
#include "wire/terms.h"

#include <string.h>

// --- listeners -----------------------------------------------------------------------

static void
add_listener(wire_t *self, side_t side, listener_t *listener)
{
    listeners_add(&self->base.listeners, listener, side);
    listener_accept(listener, CLOSED_FOR_DRAIN, true);
}

static listener_t *
take_listener(wire_t *self, side_t side, const char *wanted)
{
    listener_t *listener = listeners_take(&self->base.listeners, side, wanted);
    listeners_take(&self->base.deferred, side, wanted);
    return listener;
}

void
sides_take_listeners(wire_t *self, side_t side, listeners_t *from)
{
    const side_conf_t *conf = &self->conf->sides[side];
    for (size_t i = 0; i < conf->endpoint_count; i++) {
        const endpoint_conf_t *endpoint = &conf->endpoints[i];
        listener_t *listener = endpoint->connect ? NULL : listeners_take(from, side, endpoint->at.text);
        if (!listener)
            continue;
        bool later = listeners_must_wait(from, listener, side, conf->type);
        add_listener(self, side, listener);
        if (later)
            listeners_add(&self->base.deferred, listener, side);
    }
}

void
sides_join(route_t *self)
{
    if (self->closing)
        return; // it accepts nobody any more
    for (size_t i = 0; i < self->base.deferred.count; i++)
        accept_at(self, self->base.deferred.at[i], self->base.deferred.side[i]);
    listeners_forget(&self->base.deferred);
}

const char *
sides_endpoint(const route_t *self, side_t side, size_t i, bool *connected)
{
    return listeners_endpoint(&self->base.listeners, &self->conf->sides[side], side, i, connected);
}

// --- changes ---------------------------------------------------------------------------

void
sides_connect(wire_t *self, side_t side, const side_conf_t *had)
{
    const side_conf_t *conf = &self->conf->sides[side];
    for (size_t i = 0; i < conf->endpoint_count; i++) {
        const endpoint_conf_t *endpoint = &conf->endpoints[i];
        if (endpoint->connect && !(had && side_has_endpoint(had, endpoint->at.text, true)))
            connect_add(&self->ports[side], &endpoint->at);
    }
}

// Whoever came through it is sent away: what they had sent is still heard.
static void
drop_listener(wport_t *port, listener_t *listener)
{
    for (conn_t *conn = port->conns; conn; conn = conn->next)
        if (conn->listener == listener)
            conn_leave(conn, "its endpoint was removed");
    doors_remove(port->wire, listener);
    listener_close(&listener, false);
}

static void
drop_endpoints(wire_t *self, side_t side, const side_conf_t *had)
{
    const side_conf_t *wanted = &self->conf->sides[side];
    for (size_t i = 0; i < had->endpoint_count; i++) {
        const char *text = had->endpoints[i].at.text;
        if (side_has_endpoint(wanted, text, had->endpoints[i].connect))
            continue;
        if (had->endpoints[i].connect) {
            connect_remove(&self->ports[side], text);
            continue;
        }
        listener_t *listener = take_listener(self, side, text);
        if (listener)
            drop_listener(&self->ports[side], listener);
    }
}

static void
add_listeners(wire_t *self, side_t side, listeners_t *from)
{
    size_t before = self->base.listeners.count;
    sides_take_listeners(self, side, from);
    for (size_t i = before; i < self->base.listeners.count; i++)
        if (!listeners_have(&self->base.deferred, self->base.listeners.at[i]))
            accept_at(self, self->base.listeners.at[i], side);
}

// A capture has another type now: none of its peers stays.
static void
close_side(wport_t *port)
{
    for (conn_t *conn = port->conns, *next; conn; conn = next) {
        next = conn->next;
        conn_break(conn, CUT_NONE, "its side has another type");
        connlife_serve(conn);
    }
    port_write_all(port->wire);
    login_unconfigure(port);
    portlife_close(port);
}

static int
settle_type(wport_t *port, wire_t *self, side_t side, diag_t *diag)
{
    int type = self->conf->sides[side].type;
    if (port->socktype && type != -1 && type != port->socktype->type)
        close_side(port);
    return port->socktype ? 0 : portlife_open(port, self, side, diag);
}

static int
change_side(wire_t *self, side_t side, const side_conf_t *had, listeners_t *listeners, diag_t *diag)
{
    wport_t *port = &self->ports[side];
    if (!port->socktype && self->conf->sides[side].type == -1)
        return 0;
    if (settle_type(port, self, side, diag) == -1)
        return -1;
    portlife_configure(port);
    login_configure(port);
    terms_note(port);
    drop_endpoints(self, side, had);
    connect_configure(port);
    add_listeners(self, side, listeners);
    sides_connect(self, side, had);
    (port_has_place(port) ? doors_open_side : doors_close_side)(port);
    return 0;
}

int
sides_change(route_t *self, const route_conf_t *conf, listeners_t *listeners, diag_t *diag)
{
    const route_conf_t *had = self->conf;
    int rc = 0;
    self->conf = conf;
    stored_configure(self);
    archive_configure(self);
    cluster_configure(self);
    for (side_t side = 0; side < SIDES; side++)
        rc |= change_side(self, side, &had->sides[side], listeners, diag);
    return rc;
}
