// SPDX-License-Identifier: MPL-2.0
// fan_internal.h - what a publishing side has of its own; only for fan.c, subscribers.c, publish.c
// and upstream.c.

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

// True: NUMBER asks for it now, and did not before, or the other way round. *EDGE: it is the first, or was the last.
bool fan_change(wport_t *self, uint32_t number, const uint8_t *topic, size_t size, bool on, bool *edge);
void fan_tell_upstream(wport_t *self, const void *topic, size_t size, bool on); // where it has to know

#endif
