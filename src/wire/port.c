// SPDX-License-Identifier: MPL-2.0
#include "wire/port.h"

#include "base/clock.h"
#include "base/mem.h"
#include "wire/conn.h"
#include "wire/piece.h"

// --- who has room ------------------------------------------------------------------

static void
put_at(wport_t *self, uint32_t place, conn_t *conn)
{
    self->open[place] = conn;
    conn->place = place;
}

static void
swap(wport_t *self, uint32_t a, uint32_t b)
{
    conn_t *first = self->open[a];
    put_at(self, a, self->open[b]);
    put_at(self, b, first);
}

void
port_room_changed(conn_t *conn)
{
    wport_t *self = conn->port;
    if (conn->full) {
        swap(self, conn->place, --self->ready);
        if (self->turn >= self->ready)
            self->turn = 0;
        return;
    }
    swap(self, conn->place, self->ready++);
    self->wire->made_room = true;
}

static int
join(conn_t *conn, int (*joined)(conn_t *conn))
{
    wport_t *self = conn->port;
    if (joined && joined(conn) == -1)
        return -1;
    mem_grow(self->open, self->count, self->room);
    put_at(self, self->count++, conn);
    swap(self, conn->place, self->ready++);
    self->wire->made_room = true;
    return 0;
}

int
port_join(conn_t *conn)
{
    return join(conn, conn->port->socktype->joined);
}

int
port_rejoin(conn_t *conn)
{
    return join(conn, conn->port->socktype->rejoined);
}

void
port_leave(conn_t *conn)
{
    wport_t *self = conn->port;
    if (!conn->full)
        swap(self, conn->place, --self->ready);
    conn->full = true;
    swap(self, conn->place, --self->count);
    if (self->turn >= self->ready)
        self->turn = 0;
    if (self->socktype->left)
        self->socktype->left(conn);
    port_unpark_all(self);
}

// --- who waits ---------------------------------------------------------------------

void
port_park(wport_t *self, conn_t *conn)
{
    if (conn->parked)
        return;
    conn->parked = true;
    conn->next_parked = NULL;
    *self->parked_end = conn;
    self->parked_end = &conn->next_parked;
    port_count(self);
    if (counter_get(&self->counters->blocked_since_ns) == 0)
        counter_set(&self->counters->blocked_since_ns, (uint64_t)clock_mono_ns());
}

void
port_unpark(wport_t *self, uint32_t most)
{
    self->contended = self->parked && self->parked->next_parked;
    self->retried |= self->parked != NULL;
    port_count(self);
    for (uint32_t i = 0; i < most && self->parked; i++) {
        conn_t *conn = self->parked;
        self->parked = conn->next_parked;
        conn->parked = false;
        conn->invited = true;
        conn_schedule(conn);
    }
    if (!self->parked)
        self->parked_end = &self->parked;
}

void
port_unpark_all(wport_t *self)
{
    port_unpark(self, UINT32_MAX);
}

void
port_forget_parked(conn_t *conn)
{
    wport_t *to = conn->port->to;
    if (!conn->parked || !to)
        return;
    for (conn_t **at = &to->parked; *at; at = &(*at)->next_parked)
        if (*at == conn) {
            *at = conn->next_parked;
            if (!*at)
                to->parked_end = at;
            break;
        }
    conn->parked = false;
}

bool
port_give_returned(wport_t *self)
{
    while (self->returned.count > 0) {
        piece_t piece = { 0 };
        if (self->ready == 0 || (self->socktype->has_room && !self->socktype->has_room(self)))
            return false;
        uint64_t bytes = self->returned.bytes;
        spans_take(&self->returned, &self->wire->pool, &piece.chunk, &piece.at, &piece.size, &piece.load);
        self->queued.messages -= piece.load.messages;
        self->queued_bytes -= bytes - self->returned.bytes;
        self->socktype->give(self, &piece);
        chunk_drop(piece.chunk);
    }
    return true;
}

uint64_t
port_discard_returned(wport_t *self)
{
    uint64_t messages = self->returned.load.messages;
    self->queued.messages -= messages;
    self->queued_bytes -= self->returned.bytes;
    spans_clear(&self->returned);
    port_count(self);
    return messages;
}

given_t
port_keep(wport_t *self, const piece_t *piece)
{
    uint64_t before = self->returned.bytes;
    if (!self->wire->draining || self->socktype->subscribed || self->side == SIDE_CAPTURE)
        return NO_ROOM;
    piece_queue(&self->returned, &self->wire->pool, piece);
    self->queued.messages += piece->load.messages;
    self->queued_bytes += self->returned.bytes - before;
    port_count(self);
    return GIVEN;
}

void
port_return(wport_t *self, spans_t *spans)
{
    self->queued.messages += spans->load.messages;
    self->queued_bytes += spans->bytes;
    spans_move(&self->returned, spans);
    self->returned = *spans;
    port_count(self);
    *spans = (spans_t){ 0 };
}

// --- counters ----------------------------------------------------------------------

// While messages go through, however few, it is not blocked: the time begins anew. It goes on while those who wait only
// try again, as they do whenever somebody comes or goes.
static void
count_blocked(wport_t *self)
{
    uint64_t since = counter_get(&self->counters->blocked_since_ns);
    bool waits = self->parked || self->retried;
    if (since != 0 && (self->moved || !waits)) {
        uint64_t now = (uint64_t)clock_mono_ns();
        counter_add(&self->counters->blocked_ns, now - since);
        counter_set(&self->counters->blocked_since_ns, waits ? now : 0);
    }
    self->moved = self->retried = false;
}

static void
add_load(load_t *load, counter_t *bytes, counter_t *messages)
{
    if (load->messages == 0)
        return;
    counter_add(bytes, load->payload);
    counter_add(messages, load->messages);
    *load = (load_t){ 0 };
}

// The number of messages comes last: who sees it finds all the rest counted.
static void
write_counters(wport_t *self)
{
    count_blocked(self);
    counter_set(&self->counters->queued, self->queued.messages);
    counter_set(&self->counters->queued_bytes, self->queued_bytes);
    self->counted = false;
    side_counters_t *counters = self->counters;
    add_load(&self->received, &counters->received_bytes, &counters->messages_received);
    add_load(&self->sent, &counters->sent_bytes, &counters->messages_sent);
}

void
port_write_all(wire_t *self)
{
    while (self->counted) {
        wport_t *port = self->counted;
        self->counted = port->next_counted;
        write_counters(port);
    }
}

void
port_tick(wport_t *self)
{
    int64_t now_ms = self->wire->now_ms;
    if (self->socktype->tick)
        self->socktype->tick(self);
    if (self->lossy || !self->parked || self->conf->stall_timeout_ms <= 0 || !self->socktype->subscribed)
        return;
    for (uint32_t i = self->ready; i < self->count; i++) {
        conn_t *conn = self->open[i];
        if (now_ms - conn->moved_ms >= self->conf->stall_timeout_ms)
            conn_break(conn, CUT_STALLED, "it took nothing for %lld ms and held up the others", (long long)(now_ms - conn->moved_ms));
    }
}
