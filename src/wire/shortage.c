// SPDX-License-Identifier: MPL-2.0
#include "wire/shortage.h"

#include "flow/memory.h"
#include "wire/conn.h"
#include "wire/doors.h"
#include "wire/input.h"
#include "wire/port.h"

enum {
    PATIENCE_MS = 10000,
    FOR_A_MOMENT_MS = 1000,
    WORTH_IT = 10, // what part of the limit messages that have not ended must take
};

static bool
is_unfinished(const conn_t *conn)
{
    return conn->state == CONN_OPEN && !conn->broken && !conn->parked && !conn->whole && input_size(conn) > 0;
}

// What waits for it goes with its end, to others or to nobody.
static bool
has_gone(const conn_t *conn)
{
    return conn->state == CONN_OPEN && !conn->broken && conn->hung_up && conn->out.count > 0 && conn_may_go_on(conn);
}

// It does not take what it is told of topics, or, where others do not wait for it, anything at all.
static bool
takes_nothing(const conn_t *conn)
{
    bool is_stuck = port_never_waits(conn->port) && conn->wire->now_ms - conn->moved_ms >= PATIENCE_MS;
    return conn->state == CONN_OPEN && !conn->broken && (is_stuck || conn->out.load.messages == 0);
}

// What nobody but this peer can make less.
static uint64_t
held_by(const conn_t *conn)
{
    return (is_unfinished(conn) ? input_size(conn) : 0) + (takes_nothing(conn) ? conn->out.bytes : 0);
}

// *ALL: bytes of all of them.
static conn_t *
largest_holder(const wire_t *self, uint64_t *all)
{
    conn_t *largest = NULL;
    uint64_t most = 0;
    *all = 0;
    for (side_t side = 0; side < SIDES; side++)
        for (conn_t *i = self->ports[side].conns; i; i = i->next) {
            uint64_t held = held_by(i);
            *all += held;
            if (held <= most)
                continue;
            largest = i;
            most = held;
        }
    return largest;
}

// Whoever has ended its message is not spared again. Whoever has gone is read to its end.
static void
look_at_spared(wire_t *self)
{
    const conn_t *conn = self->spared;
    if (!conn)
        return;
    if (has_gone(conn) && conn->readable)
        return;
    bool has_ended_it = conn->parked || conn->messages_received != self->spared_at;
    if (has_ended_it)
        self->patient_until_ms = self->now_ms + PATIENCE_MS;
    if (has_ended_it || !is_unfinished(conn))
        self->spared = NULL;
}

// One after the other, for each may take much. Of those that have something to be read.
static void
spare_another(wire_t *self)
{
    for (side_t side = 0; side < SIDES && !self->spared; side++)
        for (conn_t *i = self->ports[side].conns; i && !self->spared; i = i->next)
            if (i->readable && ((i->unfinished && is_unfinished(i)) || has_gone(i)))
                self->spared = i;
    if (!self->spared)
        return;
    self->spared->unfinished = false;
    self->spared_at = self->spared->messages_received;
    conn_schedule(self->spared);
}

// If it was over for a moment only, it goes on.
static void
begin(wire_t *self)
{
    if (self->now_ms - self->room_since_ms > FOR_A_MOMENT_MS)
        self->patient_until_ms = self->now_ms + PATIENCE_MS;
    for (side_t side = 0; side < SIDES; side++)
        for (conn_t *i = self->ports[side].conns; i; i = i->next)
            i->unfinished = is_unfinished(i);
}

static bool
is_short_now(const wire_t *self)
{
    const memory_t *memory = self->resources->memory;
    return memory && memory_is_short(memory);
}

void
shortage_begins_or_ends(wire_t *self)
{
    bool is_short = is_short_now(self);
    if (is_short && !self->is_short)
        begin(self);
    if (is_short != self->is_short) {
        self->is_short = is_short;
        self->spared = NULL;
        doors_hold(self);
        if (!is_short) {
            self->room_since_ms = self->now_ms;
            conn_wake_all(self);
        }
    }
    if (!is_short)
        return;
    look_at_spared(self);
    if (!self->spared)
        spare_another(self);
}

bool
shortage_stops_now(const conn_t *conn)
{
    wire_t *wire = conn->wire;
    if (!wire->is_short)
        shortage_look(wire); // whoever stops now is woken when it is over
    return wire->is_short && wire->spared != conn && !conn->port->socktype->lets_go;
}

void
shortage_tick(wire_t *self)
{
    uint64_t all;
    if (!self->is_short)
        return;
    doors_hold(self);
    if (self->now_ms < self->patient_until_ms)
        return;
    conn_t *conn = largest_holder(self, &all);
    if (conn && all >= memory_limit_of(self->resources->memory) / WORTH_IT)
        conn_break(conn, CUT_STALLED, "memory is short, and %llu bytes of it wait for this peer alone", (unsigned long long)held_by(conn));
}

void
shortage_forget(conn_t *conn)
{
    if (conn->wire->spared == conn)
        conn->wire->spared = NULL;
}
