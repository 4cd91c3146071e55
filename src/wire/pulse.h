// SPDX-License-Identifier: MPL-2.0
// pulse.h - heartbeats: whether a peer is still there, and how it knows that we are.
// Nobody is judged by a silence that we have caused: not a peer that we do not read,
// and not one that has messages of ours to get through before it finds the PING.

#ifndef ZB_WIRE_PULSE_H
#define ZB_WIRE_PULSE_H

#include "wire/internal.h"

enum { PULSE_ASSUMED_MS = 400 }; // of one that may ask, but behind messages that are not read

// How often a peer that is not read asks, as far as is known. 0: it does not.
static inline int64_t
pulse_interval_ms(const conn_t *conn)
{
    bool may_ask = conn->answers_pings && conn->port->heartbeat_ms > 0;
    return conn->asks_every_ms > 0 ? conn->asks_every_ms : may_ask ? PULSE_ASSUMED_MS : 0;
}

// It will not be read for a while.
static inline void
pulse_is_unread(const conn_t *conn)
{
    wire_t *wire = conn->wire;
    int64_t interval_ms = pulse_interval_ms(conn);
    if (interval_ms > 0 && wire->next_tick_ms > wire->now_ms + interval_ms / 4)
        wire->next_tick_ms = wire->now_ms + interval_ms / 4;
}

// Each PING takes a millisecond of the time that has gone by, for libzmq has no shorter interval. When they are read does
// not count: many may come at once after a stall. *SPENT_MS: up to when the time is spent, at first 0.
bool pulse_may_ask(int64_t *spent_ms, int64_t now_ms);

void pulse_hears_ping(conn_t *conn, const traffic_t *ping);

// A peer that we do not read must not judge us by our silence: it is told in time for a timeout as long as its interval, and
// not before. But if it has closed its end, its system takes that for a reason to drop what it has not sent yet.
bool pulse_owes_a_word(conn_t *conn);

// READ: what it sends is read now. True: it needs the next tick soon.
bool pulse_tick(conn_t *conn, bool read);

#endif
