// SPDX-License-Identifier: MPL-2.0
// pulse.h - heartbeats: whether a peer is still there, and how it knows that we are.
// Nobody is judged by a silence that we have caused: not a peer that we do not read,
// and not one that has messages of ours to get through before it finds the PING.

#ifndef ZB_WIRE_PULSE_H
#define ZB_WIRE_PULSE_H

#include "wire/internal.h"

// It will not be read for a while.
static inline void
pulse_is_unread(const conn_t *conn)
{
    wire_t *wire = conn->wire;
    if (conn->asks_every_ms > 0 && wire->next_tick_ms > wire->now_ms + conn->asks_every_ms / 4)
        wire->next_tick_ms = wire->now_ms + conn->asks_every_ms / 4;
}

void pulse_hears_ping(conn_t *conn, const traffic_t *ping);

// READ: what it sends is read now. True: it needs the next tick soon.
bool pulse_tick(conn_t *conn, bool read);

#endif
