// SPDX-License-Identifier: MPL-2.0
// sockets.c - the sockets of a route: see internal.h.

#include "zmq/internal.h"

#include "base/log.h"
#include "zmq/entrance.h"
#include "zmq/security.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SLOW_SUBSCRIBER_MS 1           // how long a forwarder waits for one before it drops
#define NODROP_PUSH_MS 10              // how long a nodrop send may keep the thread from its commands

static void
on_full(bool full, void *arg)
{
    route_t *self = ((side_of_t *)arg)->route;
    side_t side = ((side_of_t *)arg)->side;
    pthread_mutex_lock(&self->listeners_lock);
    self->full[side] = full;
    for (size_t i = 0; i < self->base.listeners.count; i++)
        if (self->base.listeners.side[i] == side)
            listener_full(self->base.listeners.at[i], full);
    pthread_mutex_unlock(&self->listeners_lock);
    log_event(full ? EVENT_SIDE_FULL : EVENT_SIDE_ROOM, EVENT_TEXT("route", self->name),
              EVENT_TEXT("side", side_name(side)));
}

// From the thread of the route, or from whoever opens it.
void
sockets_limit_clients(route_t *self, side_t side, int64_t max_clients)
{
    watch_limit(self->watched[side], (size_t)max_clients, on_full, &self->side_of[side]);
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

// What our own loop needs of a socket, whatever the file says.
static void
prepare(port_t *port, const side_conf_t *side)
{
    bool publishes = socket_type_publishes(port->type);
    port->lossy = publishes && !side->nodrop && port->side != SIDE_CAPTURE;
    port->pollout_lies = (publishes && side->nodrop) || (port->type == ZMQ_ROUTER && side->mandatory);
    if (publishes)
        set_int(port->socket, ZMQ_XPUB_NODROP, 1);
    set_int(port->socket, ZMQ_SNDTIMEO, port->pollout_lies ? NODROP_PUSH_MS : SLOW_SUBSCRIBER_MS);
}

// zmq_proxy waits in each send and receive, and takes a time-out for the end.
static void
prepare_for_proxy(const port_t *port, const side_conf_t *side)
{
    if (side->nodrop)
        set_int(port->socket, ZMQ_XPUB_NODROP, 1);
}

// A capture's PUB is an XPUB, so that we know whether anybody listens.
static int
real_type(const route_t *self, side_t side)
{
    int type = self->conf->sides[side].type;
    return side == SIDE_CAPTURE && type == ZMQ_PUB && !self->own_ctx ? ZMQ_XPUB : type;
}

// Ours from now on. The route that had it may have stopped accepting there before it went.
void
sockets_add_listener(route_t *self, listener_t *listener, side_t side)
{
    pthread_mutex_lock(&self->listeners_lock);
    listeners_add(&self->base.listeners, listener, side);
    if (self->full[side])
        listener_full(listener, true);
    pthread_mutex_unlock(&self->listeners_lock);
    listener_accept(listener, CLOSED_FOR_DRAIN, true);
}

listener_t *
sockets_take_listener(route_t *self, side_t side, const char *wanted)
{
    pthread_mutex_lock(&self->listeners_lock);
    listener_t *listener = listeners_take(&self->base.listeners, side, wanted);
    if (listener && self->full[side])
        listener_full(listener, false);
    pthread_mutex_unlock(&self->listeners_lock);
    return listener;
}

// "*" says more than libzmq's "0.0.0.0" or "[::]".
static void
note_bound(listener_t *listener, void *socket)
{
    char name[512];
    size_t size = sizeof name;
    if (zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, name, &size) == 0)
        listener_bound(listener, name);
}

static void
note_entrance(const route_t *self, side_t side, int fd)
{
    entrance_t where = { .side = side };
    snprintf(where.route, sizeof where.route, "%s", self->name);
    entrance_note(fd, &where);
}

// libzmq closes the descriptor that it gets, so that is a duplicate.
int
sockets_give(const route_t *self, listener_t *listener, side_t side)
{
    void *socket = self->forward.ports[side].socket;
    int fd = listener_fd(listener), copy = fd == -1 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (fd != -1 && (copy == -1 || set_int(socket, ZMQ_USE_FD, copy) == -1))
        return -1;
    if (copy != -1)
        note_entrance(self, side, copy);
    char *text = listener_bind_text(listener);
    int rc = zmq_bind(socket, text), error = zmq_errno();
    free(text);
    if (copy != -1)
        set_int(socket, ZMQ_USE_FD, -1);
    if (rc == 0)
        note_bound(listener, socket);
    else if (copy != -1)
        close(copy);
    errno = error;
    return rc;
}

void
sockets_say_bind_failed(const route_t *self, const listener_t *listener)
{
    log_event(EVENT_BIND_FAILED, EVENT_TEXT("route", self->conf->name), EVENT_TEXT("endpoint", listener_wanted(listener)),
              EVENT_PROSE("reason", zmq_strerror(zmq_errno())));
}

// In the route's thread.
void
sockets_join(route_t *self)
{
    for (size_t i = 0; i < self->base.deferred.count; i++) {
        listener_t *listener = self->base.deferred.at[i];
        if (sockets_give(self, listener, self->base.deferred.side[i]) == -1)
            sockets_say_bind_failed(self, listener);
    }
    listeners_forget(&self->base.deferred);
}

void
sockets_watch(route_t *self, side_t side)
{
    const side_conf_t *conf = &self->conf->sides[side];
    const port_t *port = &self->forward.ports[side];
    bool open_to_all = conf->security.mechanism <= SECURITY_NONE;
    self->watched[side] =
        watch_add(self->resources->watch, port->socket, self->conf->name, side, open_to_all, port->counters);
    if (self->watched[side] && conf->max_clients > 0)
        sockets_limit_clients(self, side, conf->max_clients);
}

// False: it waits for the route before.
static bool
can_accept(route_t *self, listener_t *listener, side_t side, const listeners_t *listeners)
{
    if (!listeners_must_wait(listeners, listener, side, self->forward.ports[side].type))
        return true;
    listeners_add(&self->base.deferred, listener, side);
    return false;
}

int
sockets_open_endpoints(route_t *self, side_t side, const side_conf_t *had, listeners_t *listeners, diag_t *diag)
{
    const side_conf_t *conf = &self->conf->sides[side];
    int rc = 0;
    for (size_t i = 0; i < conf->endpoint_count; i++) {
        const endpoint_conf_t *endpoint = &conf->endpoints[i];
        const char *text = endpoint->at.text;
        listener_t *listener = endpoint->connect ? NULL : listeners_take(listeners, side, text);
        if (!listener && (!endpoint->connect || (had && side_has_endpoint(had, text, true))))
            continue; // it is there already
        if (listener)
            sockets_add_listener(self, listener, side);
        if (listener && !had && !can_accept(self, listener, side, listeners))
            continue;
        if ((listener ? sockets_give(self, listener, side) : zmq_connect(self->forward.ports[side].socket, text)) == 0)
            continue;
        diag_error(diag, endpoint->place, "cannot %s %s: %s", listener ? "bind" : "connect", text, zmq_strerror(zmq_errno()));
        diag_cause(diag, zmq_errno());
        rc = -1;
    }
    return rc;
}

int
sockets_open(route_t *self, side_t side, listeners_t *listeners, diag_t *diag)
{
    const side_conf_t *conf = &self->conf->sides[side];
    const route_resources_t *resources = self->resources;
    port_t *port = &self->forward.ports[side];
    *port = (port_t){ .type = real_type(self, side), .side = side, .counters = &self->counters->sides[side] };
    port->socket = zmq_socket(self->own_ctx ? self->own_ctx : resources->ctx, port->type);
    if (!port->socket) {
        diag_error(diag, self->conf->place, "[route %s] no %s socket: %s", self->conf->name, side_name(side),
                   zmq_strerror(zmq_errno()));
        return -1;
    }
    if (set_options(port->socket, conf, side, diag) == -1)
        return -1;
    set_int(port->socket, ZMQ_LINGER, conf->linger_ms >= 0 ? (int)conf->linger_ms : 0);
    if (self->own_ctx) {
        prepare_for_proxy(port, conf);
        return sockets_open_endpoints(self, side, NULL, listeners, diag);
    }
    prepare(port, conf);
    if (resources->admission && security_set(port->socket, self->conf, side, resources->admission, diag) == -1)
        return -1;
    sockets_watch(self, side);
    return sockets_open_endpoints(self, side, NULL, listeners, diag);
}

void
sockets_subscribe_for_groups(const route_t *self)
{
    const side_conf_t *sides = self->conf->sides;
    for (side_t from = SIDE_FRONTEND; from <= SIDE_BACKEND; from++) {
        const side_conf_t *to = &sides[from == SIDE_FRONTEND ? SIDE_BACKEND : SIDE_FRONTEND];
        if (sides[from].type == ZMQ_XSUB && to->type == ZMQ_XPUB && side_multicasts(to) > 0)
            zmq_send(self->forward.ports[from].socket, "\1", 1, ZMQ_DONTWAIT);
    }
}

// zmq_close is not over when it returns, and until then an inproc name is taken.
static void
free_names(route_t *self)
{
    for (size_t i = 0; i < self->base.listeners.count; i++) {
        void *socket = self->forward.ports[self->base.listeners.side[i]].socket;
        if (socket && listener_fd(self->base.listeners.at[i]) == -1)
            zmq_unbind(socket, listener_bound_as(self->base.listeners.at[i]));
    }
}

void
sockets_set_linger(route_t *self, side_t side, int64_t linger_ms)
{
    int64_t own = self->conf->sides[side].linger_ms;
    int64_t linger = side == SIDE_CAPTURE ? 0 : own >= 0 ? own : linger_ms;
    set_int(self->forward.ports[side].socket, ZMQ_LINGER, (int)linger);
}

// Called by whoever has the sockets: the thread, or the opener after a failure.
void
sockets_close(route_t *self, int64_t linger_ms)
{
    free_names(self);
    for (side_t side = 0; side < SIDES; side++) {
        port_t *port = &self->forward.ports[side];
        if (!port->socket)
            continue;
        sockets_set_linger(self, side, linger_ms);
        zmq_close(port->socket);
        port->socket = NULL;
    }
}

void
sockets_unwatch(route_t *self)
{
    for (side_t side = 0; side < SIDES; side++)
        if (self->watched[side])
            watch_remove(self->resources->watch, &self->watched[side]);
}
