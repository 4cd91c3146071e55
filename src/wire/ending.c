// SPDX-License-Identifier: MPL-2.0
#include "wire/ending.h"

#include "base/clock.h"
#include "wire/archive.h"
#include "wire/cluster.h"
#include "wire/conn.h"
#include "wire/doors.h"
#include "wire/durable.h"
#include "wire/output.h"
#include "wire/pump.h"
#include "wire/round.h"
#include "wire/settle.h"
#include "wire/stored.h"
#include "wire/workers.h"

#include <sys/ioctl.h>

enum {
    TURN_MS = 10,
    COMMIT_MS = 2000,
    CAPTURE_PATIENCE_MS = 1000,
    QUIET_MS = 30,  // without a client before it is believed that none is coming any more
    GRACE_MS = 100, // for a client that is on its way in, or about to ask
};

static bool
hurries(const wire_t *self)
{
    return routethread_left_ms(&self->base.thread) == 0;
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
    return (conn->unanswered > 0 && conn->wire->pending > 0) || output_pending(conn);
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

// Nothing has come from it for a moment, since it came and since the end began.
static bool
is_quiet(const conn_t *conn)
{
    const wire_t *wire = conn->wire;
    int64_t since_ms = conn->heard_ms > wire->ending_ms ? conn->heard_ms : wire->ending_ms;
    return wire->now_ms - since_ms >= GRACE_MS;
}

// Where both sides send, one of them has to go first: those that only send, then those in front. Who only hears is last.
static bool
waits_for_the_others(const conn_t *conn)
{
    const wport_t *to = conn->port->to;
    return to && to->input && to->conns && (conn->messages_received == 0 || conn->port->side == SIDE_BACKEND);
}

// What a peer sends while we half-close it is read, but can't be answered. So one that is answered goes right behind an
// answer, when a peer that waits for each has sent nothing since, or when it has been quiet for a moment.
static bool
may_go(conn_t *conn)
{
    bool served = conn->messages_sent != conn->sent_before;
    conn->sent_before = conn->messages_sent;
    if (conn->state != CONN_OPEN)
        return is_quiet(conn);
    if (is_owed(conn) || !is_between_messages(conn) || feeds_it(conn))
        return false;
    if (!conn->prefix && conn->messages_sent == 0)
        return true; // it only sends
    return (served || is_quiet(conn)) && !waits_for_the_others(conn);
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
        if (force || may_go(conn))
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

// A capture never holds up its route, but gets what it takes.
static bool
is_waited_for(const conn_t *conn)
{
    return conn->port->side != SIDE_CAPTURE || conn->wire->now_ms - conn->moved_ms < CAPTURE_PATIENCE_MS;
}

// What has waited for LINGERED_MS does so no longer on a side whose linger says so.
static bool
anything_queued(const wire_t *self, int64_t lingered_ms)
{
    if (workers_are_busy(self))
        return true;
    for (side_t side = 0; side < SIDES; side++) {
        const wport_t *port = &self->ports[side];
        int64_t linger_ms = self->conf->sides[side].linger_ms;
        if (!port->socktype || (linger_ms >= 0 && lingered_ms >= linger_ms))
            continue;
        if (port_is_awaited(port))
            return true;
        for (const conn_t *conn = port->conns; conn; conn = conn->next)
            if (!conn->broken && conn->state == CONN_OPEN && output_pending(conn) && is_waited_for(conn))
                return true;
    }
    return cluster_waits(self);
}

// A request that no service got waits for no answer.
static bool
takes_requests(const wport_t *port)
{
    return port->to && port->to->socktype->addresses;
}

// What nobody gets any more. REQUESTS: those among them.
static uint64_t
abandon(wire_t *self, uint64_t *requests)
{
    uint64_t left = 0;
    self->closing = true;
    for (side_t side = 0; side < SIDES; side++) {
        wport_t *port = &self->ports[side];
        if (!port->socktype || side == SIDE_CAPTURE)
            continue;
        uint64_t queued = port_discard_returned(port) + port->waiting;
        for (conn_t *conn = port->conns; conn; conn = conn->next) {
            if (port->input && !conn->broken)
                left += pump_discard(conn);
            left += durables_keep_queue(conn);
            queued += conn->out.load.messages;
            conn->begun += conn->out.sent;
            spans_clear(&conn->out);
        }
        left += queued;
        *requests += takes_requests(port) ? queued : 0;
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
        conn_wake_all(self);
}

// A client that always has requests under way is never owed nothing: when a quarter of
// the time is over no more of them are read, and it goes with its last answer.
static void
wait_for_clients(wire_t *self)
{
    int64_t start = clock_mono_ms(), share = routethread_left_ms(&self->base.thread) / 4, quiet_since = start;
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

// Who is sent away comes back at once, and here would be sent away again: it waits at the listener for whoever accepts
// next. Where another route has the listener too, that is the other one, now. Workers may still come here.
static void
leave_inputs(wire_t *self)
{
    for (side_t side = 0; side < SIDES; side++)
        if (side_takes_in(side))
            doors_remove_side(self, side);
    listeners_let_others_accept(&self->base.listeners);
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
part_from_newcomers(wire_t *self)
{
    for (side_t side = 0; side < SIDES; side++)
        for (conn_t *conn = self->ports[side].conns; conn; conn = conn->next)
            if (!conn->half_closed)
                part_from(self, conn);
}

// Whoever is parted from comes back at once, and is not for this route any more.
static void
part(wire_t *self)
{
    doors_remove_all(self);
    listeners_let_others_accept(&self->base.listeners);
    for (side_t side = 0; side < SIDES; side++)
        for (conn_t *conn = self->ports[side].conns; conn; conn = conn->next)
            part_from(self, conn);
    self->next_tick_ms = self->now_ms;
    self->stopped = self->frozen = false;
    while ((self->alive > 0 || settle_waits(self)) && !hurries(self)) {
        round_run(self, TURN_MS);
        part_from_newcomers(self); // we were connecting to it
    }
}

// What was committed is kept whatever happens; what is on its way there gets some time, however short the rest is.
static int64_t
time_left_ms(const wire_t *self)
{
    int64_t left = atomic_load(&self->base.thread.deadline_ms) - clock_mono_ms();
    return left > COMMIT_MS ? left : COMMIT_MS;
}

void
ending_close_store(wire_t *self)
{
    self->archived = archive_close(self, time_left_ms(self));
    uint64_t lost = stored_close(self, time_left_ms(self)) + cluster_close_outbox(self, time_left_ms(self));
    self->left.undelivered += lost;
    counter_add(&self->counters->dropped[DROP_SHUTDOWN], lost);
}

static void
begin(wire_t *self)
{
    self->draining = true;
    self->ending_ms = clock_mono_ms();
    for (side_t side = 0; side < SIDES; side++)
        for (conn_t *conn = self->ports[side].conns; conn; conn = conn->next)
            conn->sent_before = conn->messages_sent;
}

void
ending_run(wire_t *self)
{
    bool at_once = routethread_hurries(&self->base.thread);
    begin(self);
    self->stopped = self->frozen = false;
    conn_wake_all(self);
    round_run(self, 0);
    if (!at_once) {
        leave_inputs(self);
        wait_for_clients(self);
        deliver_the_rest(self);
    }
    stored_settle(self, time_left_ms(self));
    stored_keep_queues(self);
    uint64_t requests = 0, pending = self->pending > 0 ? (uint64_t)self->pending : 0;
    self->left.undelivered += abandon(self, &requests);
    self->left.unanswered = pending > requests ? pending - requests : 0;
    counter_add(&self->counters->dropped[DROP_SHUTDOWN], self->left.undelivered);
    part(self);
}
