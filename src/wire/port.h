// SPDX-License-Identifier: MPL-2.0
// port.h - one side of a route: its connections, who of them has room, and who
// waits for that.

#ifndef ZB_WIRE_PORT_H
#define ZB_WIRE_PORT_H

#include "wire/internal.h"

// A connection passed its handshake: 0, or -1 when it may not stay (it is broken then). It leaves.
int port_join(conn_t *conn);
int port_rejoin(conn_t *conn); // it comes from another route
void port_leave(conn_t *conn);

void port_room_changed(conn_t *conn); // conn->full says how

// CONN waits until a peer of SELF has room: then those who wait have their turn.
void port_park(wport_t *self, conn_t *conn);
void port_unpark(wport_t *self, uint32_t most); // those who came first
void port_unpark_all(wport_t *self);
void port_forget_parked(conn_t *conn);

// Messages that peers left behind go first. False: there is no room even for those.
bool port_give_returned(wport_t *self);

// The same messages go to nobody. How many there were.
uint64_t port_discard_returned(wport_t *self);

// Nobody has room for PIECE. In the drain it is kept, so that its sender can be sent away: GIVEN.
given_t port_keep(wport_t *self, const piece_t *piece);

// SPANS, which a peer that left did not get, go before all others.
void port_return(wport_t *self, spans_t *spans);

// What comes for its peers is queued or dropped, whatever they do.
static inline bool
port_never_waits(const wport_t *self)
{
    return self->socktype->addresses || (self->lossy && self->socktype->subscribed);
}

// Messages wait for one of its peers.
static inline bool
port_is_awaited(const wport_t *self)
{
    return self->returned.count > 0 || self->waiting > 0 || self->parked;
}

static inline given_t
port_give(wport_t *self, const piece_t *piece)
{
    if (__builtin_expect(self->returned.count > 0, 0) && !port_give_returned(self))
        return port_keep(self, piece);
    given_t given = self->socktype->give(self, piece);
    return given == NO_ROOM ? port_keep(self, piece) : given;
}

static inline bool
port_has_place(const wport_t *self) // may one more client be here?
{
    return self->conf->max_clients <= 0 || self->placed < (uint64_t)self->conf->max_clients;
}

static inline void
port_count(wport_t *self)
{
    if (self->counted)
        return;
    self->counted = true;
    self->next_counted = self->wire->counted;
    self->wire->counted = self;
}

void port_write_all(wire_t *self); // the counters, once a round
void port_tick(wport_t *self);           // a peer that holds up the others for too long is cut

// What the readers of a capture miss is no loss of the route.
static inline void
port_drop(wport_t *self, drop_reason_t reason, uint64_t messages)
{
    counters_t *counters = self->wire->counters;
    bool copies = self->side == SIDE_CAPTURE && (reason == DROP_HWM || reason == DROP_PEER_LOST);
    counter_add(copies ? &counters->capture_dropped : &counters->dropped[reason], messages);
}

#endif
