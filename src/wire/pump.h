// SPDX-License-Identifier: MPL-2.0
// pump.h - from one connection to the other side: its whole messages are filtered,
// shown to those who look on, handed over and counted.

#ifndef ZB_WIRE_PUMP_H
#define ZB_WIRE_PUMP_H

#include "wire/input.h"
#include "wire/piece.h"
#include "wire/port.h"
#include "wire/pulse.h"

// Hand on all whole messages that have come in. False: it waits for room, or is broken.
bool pump(conn_t *self);
bool pump_singly(conn_t *self); // one by one, whatever the two sides are

// Nobody gets what has come in whole: it counts as received. How many messages that were.
uint64_t pump_discard(conn_t *self);

// What every way of handing on does with a message that left the connection.
static inline void
pump_counted(conn_t *self, load_t load)
{
    wport_t *port = self->port;
    self->messages_received += load.messages;
    self->received_bytes += load.payload;
    port->received.messages += load.messages;
    port->received.payload += load.payload;
    port_count(port);
}

static inline void
pump_received(conn_t *self, const piece_t *piece)
{
    pump_counted(self, piece->load);
    if (__builtin_expect(self->in_hand, 0)) {
        self->in_hand = false; // its side has counted it
        self->port->received.messages--;
        self->port->received.payload -= piece->load.payload;
    } else
        counter_add(&self->wire->counters->sizes[size_bucket(piece->load.payload)], 1);
}

// Nobody has room for it. Its side counts it as received from now on, its row in the list when somebody gets it.
static inline bool
pump_wait(conn_t *self, const piece_t *piece)
{
    if (!self->in_hand) {
        wport_t *port = self->port;
        self->in_hand = true;
        port->received.messages++;
        port->received.payload += piece->load.payload;
        port_count(port);
        counter_add(&self->wire->counters->sizes[size_bucket(piece->load.payload)], 1);
    }
    input_keep(self, piece);
    port_park(self->port->to, self);
    pulse_is_unread(self);
    return false;
}

bool pump_has_right(conn_t *self, const piece_t *piece);

// May it publish that? If not, it is counted and told.
static inline bool
pump_admits(conn_t *self, const piece_t *piece)
{
    return __builtin_expect(!self->rights, 1) || pump_has_right(self, piece);
}

#endif
