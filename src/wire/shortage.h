// SPDX-License-Identifier: MPL-2.0
// shortage.h - memory is short (flow/memory.h): nothing new is accepted or read until
// enough of it is free. What has been read goes on, also to those who come to take it,
// and one connection at a time is read: it may end the message that it has begun, or
// has gone, and what waits for it is free at its end. Else nobody could ever go on.
//
// When that has not helped for a while, and much of it are messages that have not come
// whole, topics that publishers do not take, or the queues of peers that take nothing
// and that nobody would wait for, the connection that holds most of that is given up,
// and then the next.

#ifndef ZB_WIRE_SHORTAGE_H
#define ZB_WIRE_SHORTAGE_H

#include "flow/memory.h"
#include "wire/internal.h"

void shortage_tick(wire_t *self);
void shortage_forget(conn_t *conn); // it has ended

// While there is enough, nothing else happens. These two are for when there is not, or was not.
void shortage_begins_or_ends(wire_t *self);
bool shortage_stops_now(const conn_t *conn);

static inline bool
shortage_is_there(const wire_t *self)
{
    const memory_t *memory = self->resources->memory;
    return self->is_short || (memory && memory_is_short(memory));
}

static inline void
shortage_look(wire_t *self) // once a round
{
    if (shortage_is_there(self))
        shortage_begins_or_ends(self);
}

static inline bool
shortage_stops(const conn_t *conn) // it may not be read now
{
    return shortage_is_there(conn->wire) && shortage_stops_now(conn);
}

#endif
