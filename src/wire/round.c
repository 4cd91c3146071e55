// SPDX-License-Identifier: MPL-2.0
#include "wire/round.h"

#include "base/clock.h"
#include "wire/cluster.h"
#include "wire/conn.h"
#include "wire/connect.h"
#include "wire/connlife.h"
#include "wire/observe.h"
#include "wire/output.h"
#include "wire/places.h"
#include "wire/port.h"
#include "wire/settle.h"
#include "wire/shortage.h"
#include "wire/stored.h"

enum {
    TICK_MS = 1000,      // heartbeats and deadlines, as fine as that
    TICK_SHORT_MS = 100, // where something shorter is due
    WAIT_MOST_MS = 60 * TICK_MS,
    COSTLY_A_ROUND = 8,
    BRINGING_MOST_NS = 1000000,
};

void
round_note_time(wire_t *self)
{
    self->now_ns = clock_mono_ns();
    self->now_ms = self->now_ns / 1000000;
}

void
round_flush(wire_t *self)
{
    while (self->dirty) {
        conn_t *conn = self->dirty;
        self->dirty = conn->next_dirty;
        conn->dirty = false;
        output_flush(conn);
    }
}

// A step of a CURVE handshake costs as much as hundreds of messages.
static bool
is_costly(const conn_t *conn)
{
    return conn->state == CONN_GREETING && conn->port->greeting.mechanism == HANDSHAKE_CURVE && !conn->broken;
}

// What it asks for may have to be looked for among millions of messages, and enough was looked for in this round.
static bool
must_wait(const conn_t *conn)
{
    return conn->port->remembered && conn->wire->brought_ns > BRINGING_MOST_NS && conn->state == CONN_OPEN && !conn->broken;
}

static void
serve_costly(conn_t *conn)
{
    for (int served = 0; conn; served++) {
        conn_t *next = conn->next_scheduled;
        conn->scheduled = false;
        (served < COSTLY_A_ROUND ? connlife_serve : conn_schedule)(conn);
        conn = next;
    }
}

// Everybody's turn that is due now: what comes due meanwhile is for the next round. What costs much comes last.
static void
serve(wire_t *self)
{
    conn_t *conn = self->scheduled, *costly = NULL, *last_costly = NULL;
    self->scheduled = NULL;
    self->scheduled_end = &self->scheduled;
    self->brought_ns = 0;
    while (conn) {
        conn_t *next = conn->next_scheduled;
        self->last_turn = !next;
        if (__builtin_expect(is_costly(conn), 0)) {
            conn->next_scheduled = NULL;
            if (last_costly)
                last_costly->next_scheduled = conn;
            else
                costly = conn;
            last_costly = conn;
        } else {
            conn->scheduled = false;
            (must_wait(conn) ? conn_schedule : connlife_serve)(conn);
        }
        conn = next;
    }
    serve_costly(costly);
}

static void
unpark(wire_t *self)
{
    if (!self->made_room)
        return;
    self->made_room = false;
    for (side_t side = 0; side < SIDES; side++) {
        wport_t *port = &self->ports[side];
        if (!port->socktype)
            continue;
        if (port->socktype->made_room) {
            port->socktype->made_room(port);
            continue;
        }
        port_give_returned(port);
        port_unpark_all(port);
    }
    if (self->stored)
        stored_made_room(self);
    cluster_room(self);
}

static void
bury(wire_t *self)
{
    while (self->ended) {
        conn_t *conn = self->ended;
        self->ended = conn->next;
        conn_free(conn);
    }
}

// --- time ----------------------------------------------------------------------------

static bool
is_soon(int64_t ms) // 0: never
{
    return ms > 0 && ms < 4 * TICK_MS;
}

static bool
is_short(const wport_t *port)
{
    bool has_jobs = port->side == SIDE_WORKER_ACK && port->count > 0;
    return port->unnamed > 0 || is_soon(port->heartbeat_ms) || is_soon(port->conf->stall_timeout_ms)
           || (has_jobs && is_soon(port->wire->conf->ack_timeout_ms));
}

static void
tick(wire_t *self)
{
    bool soon = self->is_short;
    if (self->now_ms < self->next_tick_ms)
        return;
    for (side_t side = 0; side < SIDES; side++) {
        wport_t *port = &self->ports[side];
        if (!port->socktype)
            continue;
        soon |= is_short(port);
        port_tick(port);
        places_look_at_crowd(port);
        for (conn_t *conn = port->conns; conn; conn = conn->next)
            soon |= connlife_tick(conn);
    }
    cluster_tick(self);
    shortage_tick(self);
    settle_tick(self);
    soon |= settle_waits(self);
    self->next_tick_ms = self->now_ms + (soon ? TICK_SHORT_MS : TICK_MS);
}

static int64_t
tick_due_ms(const wire_t *self)
{
    if (self->is_short)
        return self->now_ms + TICK_SHORT_MS; // also without a connection
    return self->alive > 0 || settle_waits(self) || self->cluster ? self->next_tick_ms : INT64_MAX;
}

static int
wait_ms(const wire_t *self, int64_t most_ms)
{
    if (self->scheduled || self->made_room)
        return 0;
    int64_t next = tick_due_ms(self), dial = self->dialled ? connect_next_ms(self) : INT64_MAX;
    next = dial < next ? dial : next;
    int64_t wait = next > self->now_ms ? next - self->now_ms : 0;
    if (most_ms >= 0 && wait > most_ms)
        wait = most_ms;
    if (wait <= WAIT_MOST_MS)
        return (int)wait;
    return next == INT64_MAX && most_ms < 0 ? -1 : WAIT_MOST_MS;
}

// --- all -----------------------------------------------------------------------------

void
round_run(wire_t *self, int64_t most_ms)
{
    int count = loop_wait(&self->loop, wait_ms(self, most_ms));
    round_note_time(self); // a wait may have been long: who is accepted now is given its time from now on
    loop_tell(&self->loop, count);
    bool observable = self->observers.taps || self->ports[SIDE_CAPTURE].socktype;
    if (observable || self->observed)
        observe_begin(self);
    round_flush(self); // those that were told of room
    chunk_pool_tell(&self->pool);
    shortage_look(self);
    unpark(self);
    serve(self);
    if (observable)
        observe_end(self);
    round_flush(self);
    unpark(self);
    tick(self);
    if (self->dialled)
        connect_tick(self);
    port_write_all(self);
    if (!self->dirty)
        bury(self);
}
