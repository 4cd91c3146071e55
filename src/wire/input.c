// SPDX-License-Identifier: MPL-2.0
#include "wire/input.h"

#include "base/kernel.h"
#include "wire/conn.h"
#include "wire/port.h"
#include "wire/pulse.h"

#include <errno.h>
#include <string.h>

enum {
    READ_MOST = 4 * CHUNK_BYTES,
    GROW_MOST = 1024 * 1024,   // beyond what has come, for a message whose announced length may be a lie
    SLACK = 4096,              // behind a large message, for the beginning of the next
    KEEP_SMALL = CHUNK_SMALL_BYTES,
    FEW = 4, // parts
};

// --- memory ----------------------------------------------------------------------

static void
move_into(conn_t *self, chunk_t *chunk)
{
    size_t left = self->in->size - self->start;
    memcpy(chunk->data, self->in->data + self->start, left);
    chunk->size = left;
    chunk_drop(self->in);
    self->in = chunk;
    self->scan -= self->start;
    self->raw -= self->start;
    self->start = 0;
}

static void
move_to_front(conn_t *self)
{
    size_t left = self->in->size - self->start;
    memmove(self->in->data, self->in->data + self->start, left);
    self->in->size = left;
    self->scan -= self->start;
    self->raw -= self->start;
    self->start = 0;
}

// How much the chunk should hold, of which LEFT is there. It grows with what has come, never by what was announced.
static size_t
room_wanted(const conn_t *self, size_t left)
{
    size_t need = self->want > left ? self->want : left + 1;
    if (need <= CHUNK_BYTES)
        return CHUNK_BYTES;
    size_t trusted = 2 * left + GROW_MOST;
    return need + SLACK < trusted ? need + SLACK : trusted;
}

static void
make_room(conn_t *self)
{
    chunk_pool_t *pool = conn_pool(self);
    if (!self->in) {
        self->in = self->hint > CHUNK_BYTES / 2 ? chunk_new(pool, self->hint + SLACK) : chunk_usual(pool);
        self->start = self->scan = self->raw = 0;
        return;
    }
    size_t left = self->in->size - self->start, room = room_wanted(self, left);
    bool enough = self->in->room >= room;
    if (enough && self->in->refs == 1) {
        bool behind = self->start + self->want <= self->in->room && self->in->room - self->in->size >= CHUNK_BYTES / 2;
        if (self->start > 0 && !behind)
            move_to_front(self);
        return;
    }
    if (enough && self->start == 0 && self->in->size < self->in->room)
        return;
    move_into(self, chunk_new(pool, room));
}

void
input_rest(conn_t *self)
{
    if (!self->in)
        return;
    size_t left = self->in->size - self->start;
    bool is_little = left < KEEP_SMALL / 2 && self->in->room > KEEP_SMALL;
    bool stays_little = self->want <= KEEP_SMALL && !self->readable;
    if (left == 0)
        conn_drop_input(self);
    else if (is_little && (stays_little || self->wire->is_short))
        move_into(self, chunk_new(conn_pool(self), KEEP_SMALL));
}

void
input_begin(conn_t *self, const uint8_t *bytes, size_t size)
{
    self->in = chunk_new(conn_pool(self), size);
    memcpy(self->in->data, bytes, size);
    self->in->size = size;
    self->start = self->scan = self->raw = self->want = 0;
}

// --- reading ---------------------------------------------------------------------

// Somebody is missing who would have to take it.
static bool
is_blocked(const wport_t *to)
{
    if (to->socktype->between)
        return to->parked != NULL;
    return to->socktype->subscribed ? to->ready < to->count : to->ready == 0;
}

// How many bytes are at most rcvhwm messages: while nobody has room certainly, else if they are as those before.
static size_t
read_ahead_most(const conn_t *self)
{
    const wport_t *port = self->port;
    uint64_t each = FRAME_SHORT_HEAD;
    if (port->rcvhwm == UINT64_MAX || !port->to || port_never_waits(port->to))
        return CHUNK_BYTES;
    if (self->messages_received > 0 && !is_blocked(port->to))
        each += self->received_bytes / self->messages_received;
    return port->rcvhwm < CHUNK_BYTES / each ? port->rcvhwm * each : CHUNK_BYTES;
}

// Of the message that has begun all that is missing.
static size_t
read_most(const conn_t *self)
{
    size_t have = input_size(self), ahead = read_ahead_most(self);
    if (self->want <= have + ahead)
        return ahead;
    size_t missing = self->want - have;
    return missing < READ_MOST ? missing : READ_MOST;
}

bool
input_read(conn_t *self)
{
    make_room(self);
    size_t ask = self->in->room - self->in->size, most = read_most(self);
    if (ask > most)
        ask = most;
    ssize_t got = kernel_recv(self->fd, self->in->data + self->in->size, ask);
    if (got <= 0) {
        self->readable = false;
        if (got == 0 || (errno != EAGAIN && errno != EINTR))
            conn_end_of_input(self, got == 0 ? 0 : errno);
        return false;
    }
    // A stream that gave less is empty: what comes next is told of. Not its end, if that is known already.
    if ((size_t)got < ask && !self->hung_up)
        self->readable = false;
    self->in->size += (size_t)got;
    self->heard_ms = self->wire->now_ms;
    return true;
}

// --- collecting --------------------------------------------------------------------

// A frame at [AT, END) does not lie behind those that were collected: the shorter of
// the two moves, so that no message costs more than a few times its length.
static void
close_gap(conn_t *self, size_t at, size_t end)
{
    uint8_t *data = self->in->data;
    size_t had = self->scan - self->start, size = end - at;
    if (had > size) {
        memmove(data + self->scan, data + at, size);
        self->scan += size;
        return;
    }
    memmove(data + at - had, data + self->start, had);
    self->start = at - had;
    self->scan = end;
}

static int
too_long(conn_t *self, const char *what, uint64_t size)
{
    conn_break(self, CUT_TOO_LARGE, "a %s of %llu bytes is over maxmsgsize", what, (unsigned long long)size);
    return -1;
}

// One more part of BODY bytes of the message, in a frame at [AT, END) of the chunk.
static inline int
add_frame(conn_t *self, size_t at, size_t end, uint64_t body, uint8_t flags)
{
    if (__builtin_expect(self->scan != at, 0))
        close_gap(self, at, end);
    else
        self->scan = end;
    self->payload += body;
    if (__builtin_expect(self->payload > self->port->maxmsgsize, 0))
        return too_long(self, "message", self->payload);
    if (!(flags & FRAME_MORE))
        return 1;
    if (++self->parts < self->port->max_parts)
        return 0;
    conn_break(self, CUT_TOO_LARGE, "a message of more than %u parts, max_parts", self->port->max_parts);
    return -1;
}

// A PING, or a subscription. Others are no business of ours.
static void
obey(conn_t *self, const traffic_t *command)
{
    const socktype_t *socktype = self->port->socktype;
    if (command->kind == TRAFFIC_PING)
        pulse_hears_ping(self, command);
    else if ((command->kind == TRAFFIC_SUBSCRIBE || command->kind == TRAFFIC_CANCEL) && socktype->subscribed)
        socktype->subscribed(self, command->data, command->size, command->kind == TRAFFIC_SUBSCRIBE);
}

static int
hear_command(conn_t *self, const uint8_t *body, size_t size)
{
    traffic_t command;
    if (traffic_read(&command, body, size) == -1) {
        conn_break(self, CUT_PROTOCOL, "a malformed command");
        return -1;
    }
    if (self->broken)
        return 0; // only what it had sent is of interest still
    obey(self, &command);
    return self->broken || self->turn_over ? -1 : 0;
}

// A sealed frame [AT, AT + HEAD + SIZE): opened where it is, its frame then ends where the box ended.
static int
open_box(conn_t *self, size_t at, size_t end, size_t head)
{
    uint8_t flags, *body;
    size_t size;
    uint8_t *data = self->in->data;
    if (curve_open(self->curve, data + at + head, end - at - head, &flags, &body, &size) == -1) {
        conn_break(self, CUT_PROTOCOL, "a box that does not open");
        return -1;
    }
    if (flags & FRAME_COMMAND)
        return hear_command(self, body, size);
    size_t from = (size_t)(body - data) - frame_head_size(size);
    frame_write_head(data + from, flags & FRAME_MORE, size);
    return add_frame(self, from, end, size, flags);
}

static int
add_old_frame(conn_t *self, size_t at, size_t end, const frame_head_t *head)
{
    size_t from = at + head->head - frame_head_size(head->body);
    frame_write_head(self->in->data + from, head->flags, head->body);
    return add_frame(self, from, end, head->body, head->flags);
}

static int
take_frame(conn_t *self, size_t at, size_t end, const frame_head_t *head)
{
    if (self->curve)
        return open_box(self, at, end, head->head);
    if (self->major == 1)
        return add_old_frame(self, at, end, head);
    if (head->flags & FRAME_COMMAND)
        return hear_command(self, self->in->data + at + head->head, head->body);
    return add_frame(self, at, end, head->body, head->flags);
}

static inline int
read_head(const conn_t *self, const uint8_t *at, size_t have, frame_head_t *head)
{
    return __builtin_expect(self->major == 1, 0) ? frame_read_old(at, have, head) : frame_read(at, have, head);
}

// Of a sealed frame what is in the box counts.
static inline uint64_t
size_on_the_way(const conn_t *self, const frame_head_t *head)
{
    return self->curve && head->body > CURVE_OVERHEAD ? head->body - CURVE_OVERHEAD : head->body;
}

// There is no more of it than SIZE bytes from AT on, as far as that is known. Commands before it that were heard are done with.
static int
wait_for_more(conn_t *self, size_t at, size_t size)
{
    if (self->scan == self->start)
        self->start = self->scan = at;
    self->want = at - self->start + size;
    return 0;
}

int
input_collect(conn_t *self)
{
    if (self->whole)
        return 1;
    if (!self->in)
        return 0;
    for (;;) {
        frame_head_t head;
        size_t at = self->raw, have = self->in->size - at;
        int rc = read_head(self, self->in->data + at, have, &head);
        if (rc == 0)
            return wait_for_more(self, at, FRAME_HEAD_MAX);
        if (rc == -1) {
            conn_break(self, CUT_PROTOCOL, "what came is no frame");
            return -1;
        }
        if (size_on_the_way(self, &head) > self->port->maxmsgsize)
            return too_long(self, "frame", head.body);
        if (have - head.head < head.body)
            return wait_for_more(self, at, head.head + head.body);
        self->raw = at + head.head + head.body;
        rc = take_frame(self, at, self->raw, &head);
        if (rc == 1 && self->raw - self->start > CHUNK_BYTES / 2)
            self->hint = self->raw - self->start;
        if (rc != 0) {
            self->whole = rc == 1;
            return rc;
        }
    }
}

// --- many ----------------------------------------------------------------------------

extent_t
input_few_at(const wport_t *port, const uint8_t *at, size_t have)
{
    size_t size = 0;
    uint32_t parts = 0;
    bool more;
    do {
        if (++parts > FEW || size + FRAME_SHORT_HEAD > have || at[size] > FRAME_MORE)
            return (extent_t){ 0 };
        more = at[size];
        size += FRAME_SHORT_HEAD + (size_t)at[size + 1];
    } while (more);
    extent_t extent = { size, size - parts * FRAME_SHORT_HEAD };
    return size <= have && extent.payload <= port->maxmsgsize && parts <= port->max_parts ? extent : (extent_t){ 0 };
}

// Of a message of however many frames; none if it has a command in it.
static __attribute__((noinline)) extent_t
measure(const wport_t *port, const uint8_t *at, size_t have)
{
    extent_t extent = { 0 };
    for (uint32_t parts = 0; parts < port->max_parts; parts++) {
        frame_head_t head;
        const uint8_t *next = at + extent.size;
        size_t left = have - extent.size;
        if (frame_read(next, left, &head) != 1 || head.flags & FRAME_COMMAND || left - head.head < head.body)
            break;
        extent.size += head.head + head.body;
        extent.payload += head.body;
        if (extent.payload > port->maxmsgsize)
            break;
        if (!(head.flags & FRAME_MORE))
            return extent;
    }
    return (extent_t){ 0 };
}

static extent_t
look(const conn_t *self)
{
    if (!input_is_fresh(self) || self->whole)
        return (extent_t){ 0 };
    return measure(self->port, self->in->data + self->raw, self->in->size - self->raw);
}

int
input_next_long(conn_t *self, piece_t *piece)
{
    if (input_empty(self)) {
        self->want = 0;
        return 0;
    }
    extent_t extent = look(self);
    if (extent.size > 0)
        return input_cut(self, piece, extent);
    int rc = input_collect(self);
    if (rc != 1)
        return rc;
    *piece = (piece_t){ .from = self, .chunk = self->in, .at = self->start, .size = self->scan - self->start,
                        .load = { 1, self->payload } };
    self->start = self->scan;
    self->whole = false;
    self->payload = self->parts = 0;
    return 1;
}

static inline extent_t
next_of_run(const wport_t *port, const uint8_t *at, size_t have)
{
    extent_t extent = input_one_at(port, at, have);
    bool enough = __builtin_expect(extent.size > 0, 1) || (port->to && port->to->socktype->one_frame);
    return enough ? extent : measure(port, at, have);
}

extent_t
input_extent(const wport_t *port, const uint8_t *at, size_t have)
{
    extent_t extent = input_few_at(port, at, have);
    return __builtin_expect(extent.size > 0, 1) ? extent : measure(port, at, have);
}

bool
input_run(conn_t *self, uint64_t most, uint64_t most_bytes, piece_t *run)
{
    if (!input_is_fresh(self) || self->whole)
        return false;
    const wport_t *port = self->port;
    counter_t *sizes = self->wire->counters->sizes;
    const uint8_t *begin = self->in->data + self->start, *at = begin, *end = self->in->data + self->in->size;
    const uint8_t *enough = most_bytes < (size_t)(end - begin) ? begin + most_bytes : end;
    load_t load = { 0 };
    while (at < enough && load.messages < most) {
        extent_t extent = next_of_run(port, at, (size_t)(end - at));
        if (extent.size == 0)
            break;
        at += extent.size;
        load.messages++;
        load.payload += extent.payload;
        counter_add(&sizes[size_bucket(extent.payload)], 1);
    }
    *run = (piece_t){ .from = self, .chunk = self->in, .at = self->start, .size = (size_t)(at - begin), .load = load };
    input_take(self, run->size);
    return load.messages > 0;
}

uint32_t
input_parts(const conn_t *self, store_part_t *parts, uint32_t most)
{
    if (!input_is_fresh(self) || self->whole)
        return 0;
    const uint8_t *at = self->in->data + self->start, *end = self->in->data + self->in->size;
    uint32_t count = 0;
    while (at < end && count < most) {
        extent_t extent = next_of_run(self->port, at, (size_t)(end - at));
        if (extent.size == 0)
            break;
        parts[count++] = (store_part_t){ (uint32_t)extent.size, (uint32_t)extent.payload };
        at += extent.size;
    }
    return count;
}

void
input_take(conn_t *self, size_t size)
{
    self->start = self->scan = self->raw = self->start + size;
}
