// SPDX-License-Identifier: MPL-2.0
#include "wire/doors.h"

#include "base/mem.h"
#include "net/address.h"
#include "net/tcp.h"
#include "wire/conn.h"
#include "wire/login.h"
#include "wire/places.h"
#include "wire/say.h"
#include "wire/strangers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ACCEPTED_AT_ONCE = 64 };

// HANDSHAKE_REASONS: it may say who it is.
static handshake_reason_t
refusal_of(wport_t *port, const char *host, stranger_t *stranger)
{
    if (port->locked || !login_admits(port, host))
        return HANDSHAKE_AUTH;
    bool may_come = strangers_may_come(stranger, port->wire->now_ms) && places_wait(port, stranger);
    return may_come ? HANDSHAKE_REASONS : HANDSHAKE_LIMITED;
}

static void
welcome(const door_t *door, int fd, const address_t *address)
{
    wport_t *port = door->port;
    char name[128], host[96] = "";
    tcp_options_t options;
    address_peer(address, fd, name, sizeof name);
    if (address->at.ss_family != AF_UNIX) {
        address_host(address, host, sizeof host);
        tcp_options(&options, port->conf);
        tcp_tune(fd, &options);
    }
    stranger_t *stranger = strangers_find(port->wire, fd);
    handshake_reason_t refusal = refusal_of(port, host, stranger);
    if (refusal != HANDSHAKE_REASONS) {
        counter_add(&port->counters->handshake_failures[refusal], 1);
        close(fd);
        return;
    }
    conn_t *conn = conn_new(port, fd, NULL, name, host);
    conn->stranger = stranger;
    conn->listener = door->listener;
}

static void close_door(door_t *self);

// No descriptor for it, or it has gone again: whoever waits is told of once more.
static bool
accept_one(const door_t *door)
{
    address_t address = { .length = sizeof address.at };
    int fd = accept4(listener_fd(door->listener), (struct sockaddr *)&address.at, &address.length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd == -1)
        return false;
    counter_add(&door->port->counters->accepted, 1);
    welcome(door, fd, &address);
    return true;
}

static void
on_knock(watched_t *watched, uint32_t events)
{
    door_t *self = (door_t *)watched;
    (void)events;
    for (int i = 0; i < ACCEPTED_AT_ONCE && self->open; i++)
        if (places_crowded(self->port)) {
            close_door(self);
            self->port->crowded = true;
        } else if (!accept_one(self))
            return;
}

static void
open_door(door_t *self)
{
    if (self->open || self->port->wire->is_short)
        return;
    self->open = loop_watch(&self->port->wire->loop, listener_fd(self->listener), EPOLLIN, &self->watched) == 0;
}

static void
close_door(door_t *self)
{
    if (!self->open)
        return;
    loop_forget(&self->port->wire->loop, listener_fd(self->listener), &self->watched);
    self->open = false;
}

void
doors_add(wire_t *self, listener_t *listener, side_t side)
{
    door_t *door = xcalloc(1, sizeof *door);
    door->watched.ready = on_knock;
    door->port = &self->ports[side];
    door->listener = listener;
    door->next = self->doors;
    self->doors = door;
    if (places_free(door->port))
        open_door(door);
}

static void
remove_door(door_t **at)
{
    door_t *door = *at;
    close_door(door);
    *at = door->next;
    free(door);
}

void
doors_remove(wire_t *self, const listener_t *listener)
{
    for (door_t **at = &self->doors; *at; at = &(*at)->next)
        if ((*at)->listener == listener) {
            remove_door(at);
            return;
        }
}

void
doors_remove_side(wire_t *self, side_t side)
{
    for (door_t **at = &self->doors; *at;)
        if ((*at)->port->side == side)
            remove_door(at);
        else
            at = &(*at)->next;
}

void
doors_remove_all(wire_t *self)
{
    while (self->doors)
        remove_door(&self->doors);
}

static void
set_side(wport_t *port, bool open)
{
    bool changed = false;
    for (door_t *i = port->wire->doors; i; i = i->next)
        if (i->port == port && i->open != open) {
            (open ? open_door : close_door)(i);
            changed |= i->open == open;
        }
    if (changed && port->is_full == open) {
        port->is_full = !open;
        say_full(port, !open);
    }
}

void
doors_close_side(wport_t *port)
{
    set_side(port, false);
}

void
doors_open_side(wport_t *port)
{
    if (places_free(port))
        set_side(port, true);
}

void
doors_look_at_crowd(wport_t *port)
{
    if (!port->crowded || places_crowded(port))
        return;
    port->crowded = false;
    doors_open_side(port);
}

void
doors_hold(wire_t *self, bool hold)
{
    for (door_t *i = self->doors; i; i = i->next)
        if (hold)
            close_door(i);
        else if (places_free(i->port))
            open_door(i);
}
