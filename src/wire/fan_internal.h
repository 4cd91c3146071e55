// SPDX-License-Identifier: MPL-2.0
// fan_internal.h - what a publishing side has of its own, for the files of the fan only.

#ifndef ZB_WIRE_FAN_INTERNAL_H
#define ZB_WIRE_FAN_INTERNAL_H

#include "wire/fan.h"
#include "wire/interest.h"

typedef struct {
    interest_t *interest;
    conn_t **subscribers; // by their number, NULL: free
    uint32_t count, room;
    uint32_t restricted;  // of them, those with rights
    bool upstream;        // the other side is told what is wanted
    bool invert, verbose;
} fan_t;

static inline fan_t *
fan_of(const wport_t *self)
{
    return self->own;
}

// What nobody here asks for is wanted, too: by those who come later, or on other machines.
static inline bool
fan_takes_all(const wport_t *self)
{
    return self->remembered || self->wire->cluster;
}

fan_t *fan_open(wport_t *self); // made when it is needed first
void fan_close(wport_t *self);

// What a publishing side's socket type does when a subscriber comes, comes over from another program, goes, and asks
// for a topic by a command or by a message.
int fan_joined(conn_t *conn);
int fan_rejoined(conn_t *conn);
void fan_left(conn_t *conn);
void fan_subscribed(conn_t *conn, const uint8_t *topic, size_t size, bool on);
bool fan_hears(conn_t *conn, piece_t *piece);

// To one peer that may read it; counted as lost if there is no room. True: it gets it.
bool fan_send(conn_t *conn, const piece_t *piece);

#endif
