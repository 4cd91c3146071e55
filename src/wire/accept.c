// SPDX-License-Identifier: MPL-2.0
#include "wire/accept.h"

#include "net/address.h"
#include "net/tcp.h"
#include "wire/connlife.h"
#include "wire/doors.h"
#include "wire/login.h"
#include "wire/places.h"
#include "wire/strangers.h"

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
    conn_t *conn = connlife_new(port, fd, NULL, name, host);
    places_unnamed(conn, stranger);
    conn->listener = door->listener;
}

// No descriptor for it, or it has gone again: whoever waits is told of once more.
static bool
accept_one(const door_t *door)
{
    address_t address = { .length = sizeof address.at };
    int fd = accept4(listener_fd(door->listener), (struct sockaddr *)&address.at, &address.length,
                     SOCK_NONBLOCK | SOCK_CLOEXEC);
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
            doors_close(self);
            self->port->crowded = true;
        } else if (!accept_one(self))
            return;
}

void
accept_at(wire_t *self, listener_t *listener, side_t side)
{
    doors_add(self, listener, side, on_knock);
}

void
accept_at_all(wire_t *self)
{
    for (size_t i = 0; i < self->base.listeners.count; i++)
        if (!listeners_have(&self->base.deferred, self->base.listeners.at[i]))
            accept_at(self, self->base.listeners.at[i], self->base.listeners.side[i]);
}
