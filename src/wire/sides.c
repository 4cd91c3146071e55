// SPDX-License-Identifier: MPL-2.0
#include "wire/sides.h"

#include "wire/archive.h"
#include "wire/cluster.h"
#include "wire/conn.h"
#include "wire/connect.h"
#include "wire/doors.h"
#include "wire/handover.h"
#include "wire/login.h"
#include "wire/output.h"
#include "wire/places.h"
#include "wire/port.h"
#include "wire/round.h"
#include "wire/stored.h"

#include <string.h>
#include <zmq.h>

// --- listeners -----------------------------------------------------------------------

static void
add_listener(wire_t *self, side_t side, listener_t *listener)
{
    pthread_mutex_lock(&self->lock);
    listeners_add(&self->listeners, listener, side);
    pthread_mutex_unlock(&self->lock);
    listener_accept(listener, CLOSED_FOR_DRAIN, true);
}

static listener_t *
take_listener(wire_t *self, side_t side, const char *wanted)
{
    pthread_mutex_lock(&self->lock);
    listener_t *listener = listeners_take(&self->listeners, side, wanted);
    pthread_mutex_unlock(&self->lock);
    listeners_take(&self->deferred, side, wanted);
    return listener;
}

// New consumers went to the route before: it may have nobody else to deliver to.
static bool
waits(const listeners_t *from, const listener_t *listener, side_t side, int type)
{
    return from->wait && side == SIDE_BACKEND && type != ZMQ_XPUB && type != ZMQ_PUB && listener_is_shared(listener);
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
        bool later = waits(from, listener, side, conf->type);
        add_listener(self, side, listener);
        if (later)
            listeners_add(&self->deferred, listener, side);
    }
}

void
sides_give_back_listeners(wire_t *self, listeners_t *to)
{
    while (self->listeners.count > 0) {
        side_t side = self->listeners.side[0];
        listeners_add(to, take_listener(self, side, listener_wanted(self->listeners.at[0])), side);
    }
}

static bool
is_deferred(const wire_t *self, const listener_t *listener)
{
    for (size_t i = 0; i < self->deferred.count; i++)
        if (self->deferred.at[i] == listener)
            return true;
    return false;
}

void
sides_listen(wire_t *self)
{
    for (size_t i = 0; i < self->listeners.count; i++)
        if (!is_deferred(self, self->listeners.at[i]))
            doors_add(self, self->listeners.at[i], self->listeners.side[i]);
}

void
sides_join(wire_t *self)
{
    for (size_t i = 0; i < self->deferred.count; i++)
        doors_add(self, self->deferred.at[i], self->deferred.side[i]);
    listeners_forget(&self->deferred);
}

void
sides_share_listeners(const route_t *self, listeners_t *shared)
{
    for (size_t i = 0; i < self->listeners.count; i++)
        listeners_add(shared, listener_share(self->listeners.at[i]), self->listeners.side[i]);
}

void
sides_stop_accepting(route_t *self, closed_for_t reason, const route_conf_t *successor)
{
    for (size_t i = 0; i < self->listeners.count; i++) {
        side_t side = self->listeners.side[i];
        const char *wanted = listener_wanted(self->listeners.at[i]);
        if (side_takes_in(side) && !(successor && side_has_endpoint(&successor->sides[side], wanted, false)))
            listener_accept(self->listeners.at[i], reason, false);
    }
}

// Also if there is nobody else yet: he may come while this one is still delivering.
void
sides_let_others_accept(wire_t *self)
{
    for (size_t i = 0; i < self->listeners.count; i++)
        listener_accept(self->listeners.at[i], CLOSED_FOR_MOVE, true);
}

const char *
sides_endpoint(const route_t *self, side_t side, size_t i, bool *connected)
{
    const side_conf_t *conf = &self->conf->sides[side];
    size_t at;
    if (i >= conf->endpoint_count)
        return NULL;
    *connected = conf->endpoints[i].connect;
    const listener_t *listener = *connected ? NULL : listeners_find(&self->listeners, side, conf->endpoints[i].at.text, &at);
    return listener ? listener_endpoint(listener) : conf->endpoints[i].at.text;
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

typedef struct {
    const route_conf_t *conf;
    listeners_t *listeners;
    diag_t *diag;
} change_t;

static void
add_listeners(wire_t *self, side_t side, listeners_t *from)
{
    size_t before = self->listeners.count;
    sides_take_listeners(self, side, from);
    for (size_t i = before; i < self->listeners.count; i++)
        if (!is_deferred(self, self->listeners.at[i]))
            doors_add(self, self->listeners.at[i], side);
}

// A capture has another type now: none of its peers stays.
static void
close_side(wport_t *port)
{
    for (conn_t *conn = port->conns, *next; conn; conn = next) {
        next = conn->next;
        conn_break(conn, CUT_NONE, "its side has another type");
        conn_serve(conn);
    }
    port_write_all(port->wire);
    login_unconfigure(port);
    port_close(port);
}

static int
settle_type(wport_t *port, wire_t *self, side_t side, diag_t *diag)
{
    int type = self->conf->sides[side].type;
    if (port->socktype && type != -1 && type != port->socktype->type)
        close_side(port);
    return port->socktype ? 0 : port_open(port, self, side, diag);
}

static int
change_side(wire_t *self, side_t side, const side_conf_t *had, change_t *change)
{
    wport_t *port = &self->ports[side];
    if (!port->socktype && self->conf->sides[side].type == -1)
        return 0;
    if (settle_type(port, self, side, change->diag) == -1)
        return -1;
    port_configure(port);
    login_configure(port);
    handover_note_terms(port);
    drop_endpoints(self, side, had);
    connect_configure(port);
    add_listeners(self, side, change->listeners);
    sides_connect(self, side, had);
    (places_free(port) ? doors_open_side : doors_close_side)(port);
    return 0;
}

static int
change_in_thread(wire_t *self, void *arg)
{
    change_t *change = arg;
    const route_conf_t *had = self->conf;
    int rc = 0;
    self->conf = change->conf;
    stored_configure(self);
    archive_configure(self);
    cluster_configure(self);
    for (side_t side = 0; side < SIDES; side++)
        rc |= change_side(self, side, &had->sides[side], change);
    return rc;
}

int
sides_change(route_t *self, const route_conf_t *conf, listeners_t *listeners, diag_t *diag)
{
    change_t change = { conf, listeners, diag };
    return wire_call(self, change_in_thread, &change);
}
