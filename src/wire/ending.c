// SPDX-License-Identifier: MPL-2.0
#include "wire/ending.h"

#include "base/clock.h"
#include "wire/cluster.h"
#include "wire/conn.h"
#include "wire/connect.h"
#include "wire/doors.h"
#include "wire/input.h"
#include "wire/output.h"
#include "wire/port.h"
#include "wire/round.h"
#include "wire/sides.h"

#include <sys/ioctl.h>

enum {
    TURN_MS = 10,
    QUIET_MS = 30, // without a client before it is believed that none is coming any more
};

static bool
hurries(const wire_t *self)
{
    return atomic_load(&self->finish) == FINISH_AT_ONCE || clock_mono_ms() >= atomic_load(&self->deadline_ms);
}

// --- who may go ------------------------------------------------------------------------

static bool
is_between_messages(const conn_t *conn)
{
    int waiting = 0;
    return !conn->in && !conn->parked && !conn->readable && ioctl(conn->fd, FIONREAD, &waiting) == 0 && waiting == 0;
}

static bool
is_owed(const conn_t *conn)
{
    return conn->unanswered > 0 || output_pending(conn);
}

// A PAIR is not half-closed while something is on its way to it.
static bool
feeds_it(const conn_t *conn)
{
    const wport_t *self = conn->port;
    for (side_t side = 0; side < SIDES; side++) {
        const wport_t *port = &self->wire->ports[side];
        if (!port->socktype || port->to != self || !port->input)
            continue;
        for (const conn_t *i = port->conns; i; i = i->next)
            if (i->in || i->parked)
                return true;
    }
    return false;
}

// FORCE: the time in which each could end a message of its own is over.
static size_t
send_away(wport_t *port, bool force)
{
    size_t left = 0;
    for (conn_t *conn = port->conns; conn; conn = conn->next) {
        if (conn->broken)
            continue;
        left++;
        if (conn->half_closed)
            continue;
        if (conn->state != CONN_OPEN || force || (is_between_messages(conn) && !is_owed(conn) && !feeds_it(conn)))
            conn_half_close(conn);
    }
    return left;
}

static size_t
send_clients_away(wire_t *self, bool force)
{
    size_t left = 0;
    for (side_t side = 0; side < SIDES; side++)
        if (self->ports[side].socktype && self->ports[side].input)
            left += send_away(&self->ports[side], force);
    return left;
}

// --- what is left ----------------------------------------------------------------------

// What has waited for LINGERED_MS does so no longer on a side whose linger says so.
static bool
anything_queued(const wire_t *self, int64_t lingered_ms)
{
    for (side_t side = 0; side < SIDES; side++) {
        const wport_t *port = &self->ports[side];
        int64_t linger_ms = self->conf->sides[side].linger_ms;
        if (!port->socktype || side == SIDE_CAPTURE || (linger_ms >= 0 && lingered_ms >= linger_ms))
            continue;
        if (port->returned.count > 0 || port->waiting > 0 || port->parked)
            return true;
        for (const conn_t *conn = port->conns; conn; conn = conn->next)
            if (!conn->broken && conn->state == CONN_OPEN && output_pending(conn))
                return true;
    }
    return cluster_waits(self);
}

static uint64_t
messages_in_hand(conn_t *conn)
{
    uint64_t messages = 0;
    piece_t piece;
    while (!conn->broken && conn->in && input_next(conn, &piece) == 1)
        messages++;
    return messages;
}

static uint64_t
abandon(wire_t *self)
{
    uint64_t left = cluster_abandon(self);
    self->closing = true;
    for (side_t side = 0; side < SIDES; side++) {
        wport_t *port = &self->ports[side];
        if (!port->socktype || side == SIDE_CAPTURE)
            continue;
        left += port->returned.load.messages + port->waiting;
        for (conn_t *conn = port->conns; conn; conn = conn->next) {
            if (port->input)
                left += messages_in_hand(conn);
            left += conn->out.load.messages;
            spans_clear(&conn->out);
        }
    }
    return left;
}

// --- the steps --------------------------------------------------------------------------

static void
read_requests(wire_t *self, bool on)
{
    if (self->stopped != on)
        return;
    self->stopped = !on;
    if (on)
        round_wake_all(self);
}

// A client that always has requests under way is never owed nothing: when a quarter of
// the time is over no more of them are read, and it goes with its last answer.
static void
wait_for_clients(wire_t *self)
{
    int64_t start = clock_mono_ms(), share = (atomic_load(&self->deadline_ms) - start) / 4, quiet_since = start;
    bool force = false;
    while (!hurries(self)) {
        bool late = clock_mono_ms() - start >= share;
        force |= late && self->pending <= 0;
        read_requests(self, !late || force);
        if (send_clients_away(self, force) > 0)
            quiet_since = clock_mono_ms();
        else if (clock_mono_ms() - quiet_since >= QUIET_MS)
            return;
        round_run(self, TURN_MS);
    }
}

// Nobody is left. Where another route has the listener too, it alone accepts from now on; workers may still come here.
static void
leave_inputs(wire_t *self)
{
    doors_remove_side(self, SIDE_FRONTEND);
    doors_remove_side(self, SIDE_INGRESS);
    sides_let_others_accept(self);
}

static void
deliver_the_rest(wire_t *self)
{
    int64_t start = clock_mono_ms();
    while (anything_queued(self, clock_mono_ms() - start) && !hurries(self))
        round_run(self, TURN_MS);
}

// A connection that is closed with something unread loses what is on its way to the
// peer: so the peer is told that this was all, and is heard until it has gone.
static void
part_from(const wire_t *self, conn_t *conn)
{
    int64_t linger_ms = self->conf->sides[conn->port->side].linger_ms;
    conn_half_close(conn);
    if (linger_ms >= 0)
        conn->deadline_ms = self->now_ms + linger_ms;
}

static void
part(wire_t *self)
{
    for (side_t side = 0; side < SIDES; side++)
        for (conn_t *conn = self->ports[side].conns; conn; conn = conn->next)
            part_from(self, conn);
    self->next_tick_ms = self->now_ms;
    self->stopped = self->frozen = false;
    while (self->alive > 0 && !hurries(self))
        round_run(self, TURN_MS);
}

void
ending_run(wire_t *self)
{
    bool at_once = atomic_load(&self->finish) == FINISH_AT_ONCE;
    self->draining = true;
    self->stopped = self->frozen = false;
    round_wake_all(self);
    round_run(self, 0);
    if (!at_once) {
        wait_for_clients(self);
        leave_inputs(self);
        wait_for_clients(self); // who came in between is still heard
        deliver_the_rest(self);
    }
    self->left.unanswered = self->pending > 0 ? (uint64_t)self->pending : 0;
    self->left.undelivered = abandon(self);
    counter_add(&self->counters->dropped[DROP_SHUTDOWN], self->left.undelivered);
    part(self);
}
