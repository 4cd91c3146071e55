// SPDX-License-Identifier: MPL-2.0
#include "wire/output.h"

#include "base/kernel.h"
#include "base/mem.h"
#include "net/unread.h"
#include "wire/conn.h"
#include "wire/piece.h"
#include "wire/port.h"
#include "wire/stage.h"

#include <errno.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>

enum { PIECES = 64, SMALL = 512 };

// --- room ------------------------------------------------------------------------

static bool
is_over(const conn_t *self)
{
    const wport_t *port = self->port;
    return self->out.load.messages - self->beyond.messages >= port->sndhwm || self->out.bytes - self->beyond.bytes >= port->queue_bytes;
}

static bool
is_half_empty(const conn_t *self)
{
    const wport_t *port = self->port;
    return self->out.load.messages - self->beyond.messages <= port->sndhwm / 2
           && self->out.bytes - self->beyond.bytes <= port->queue_bytes / 2;
}

static void
set_full(conn_t *self, bool full)
{
    if (full == self->full || self->state != CONN_OPEN)
        return;
    self->full = full;
    port_room_changed(self);
}

// Like libzmq's, a queue that was full takes messages again when half of it has gone.
static void
settle_room(conn_t *self)
{
    set_full(self, self->full ? !is_half_empty(self) : is_over(self));
}

void
output_limits_changed(conn_t *self)
{
    set_full(self, is_over(self));
}

static __attribute__((noinline)) void
mark_written(conn_t *self, uint64_t bytes, uint64_t messages)
{
    if (!self->written)
        self->written = xcalloc(1, sizeof *self->written);
    written_add(self->written, bytes, messages);
}

// What is no message is not lost, either.
static void
mark_ours(conn_t *self, uint64_t bytes)
{
    if (self->written && bytes > 0)
        written_ours(self->written, bytes);
}

// BYTES as they were on the connection.
static void
count_sent(conn_t *self, load_t gone, uint64_t bytes)
{
    wport_t *port = self->port;
    self->messages_sent += gone.messages;
    self->sent_bytes += gone.payload;
    port->sent.messages += gone.messages;
    port->sent.payload += gone.payload;
    port_count(port);
    if (!written_more(self->written, bytes, gone.messages))
        mark_written(self, bytes, gone.messages);
}

// --- adding ----------------------------------------------------------------------

void
output_frame(conn_t *self, uint8_t flags, const void *head, size_t head_size, const void *body, size_t size)
{
    size_t all = head_size + size;
    uint8_t *at = spans_place_ours(&self->out, conn_pool(self), frame_head_size(all) + all);
    self->port->queued_bytes += frame_head_size(all) + all;
    at += frame_write_head(at, flags, all);
    if (head_size > 0)
        memcpy(at, head, head_size);
    if (size > 0)
        memcpy(at + head_size, body, size);
    conn_mark(self);
}

void
output_urgent(conn_t *self, const uint8_t *body, size_t size)
{
    if (self->urgent_sent > 0 || self->major < 3)
        return; // half of one is out: the next one comes with the next tick
    size_t head = frame_write_head(self->urgent, FRAME_COMMAND, size);
    memcpy(self->urgent + head, body, size);
    self->urgent_size = (uint8_t)(head + size);
    conn_mark(self);
}

// --- writing -----------------------------------------------------------------------

static unsigned
gather(const conn_t *self, struct iovec *pieces)
{
    if (self->stage) {
        pieces[0] = (struct iovec){ self->stage->data + self->stage_at, self->stage->size - self->stage_at };
        return 1;
    }
    if (self->urgent_size == 0)
        return spans_gather(&self->out, pieces, PIECES, false);
    if (spans_inside(&self->out))
        return spans_gather(&self->out, pieces, PIECES, true);
    pieces[0] = (struct iovec){ (void *)(self->urgent + self->urgent_sent), (size_t)(self->urgent_size - self->urgent_sent) };
    return self->wire->frozen ? 1 : 1 + spans_gather(&self->out, pieces + 1, PIECES - 1, false);
}

static uint64_t
less(uint64_t *what, uint64_t by)
{
    return *what -= by < *what ? by : *what;
}

// What was remembered goes first: it is the first thing that most subscribers get. When it has gone they are heard again.
static void
advance_beyond(conn_t *self, uint64_t messages, uint64_t bytes)
{
    less(&self->beyond.bytes, bytes);
    if (less(&self->beyond.messages, messages) > 0)
        return;
    self->beyond.bytes = 0;
    conn_schedule(self);
}

// SIZE bytes of the queue, which were STAGED on the connection if not as they are.
static void
advance_queue(conn_t *self, size_t size, size_t staged)
{
    uint64_t before = self->out.bytes;
    load_t gone = spans_advance(&self->out, size);
    self->fed_ms = self->wire->now_ms;
    uint64_t bytes = before - self->out.bytes;
    self->port->queued_bytes -= bytes;
    self->port->queued.messages -= gone.messages;
    if (self->beyond.messages > 0)
        advance_beyond(self, gone.messages, bytes);
    if (gone.messages > 0)
        count_sent(self, gone, staged ? staged : bytes);
    else
        mark_ours(self, staged ? staged : bytes);
}

static void
advance_stage(conn_t *self, size_t size)
{
    self->stage_at += size;
    if (self->stage_at < self->stage->size)
        return;
    size_t spans = self->stage_spans, size_staged = self->stage->size;
    chunk_drop(self->stage);
    self->stage = NULL;
    self->stage_at = self->stage_spans = 0;
    if (spans > 0)
        advance_queue(self, spans, size_staged);
    else
        mark_ours(self, size_staged);
}

static void
advance(conn_t *self, size_t size)
{
    if (self->stage) {
        advance_stage(self, size);
        return;
    }
    if (self->urgent_size > 0 && !spans_inside(&self->out)) {
        size_t rest = (size_t)(self->urgent_size - self->urgent_sent);
        size_t some = size < rest ? size : rest;
        self->urgent_sent += (uint8_t)some;
        size -= some;
        mark_ours(self, some);
        if (self->urgent_sent == self->urgent_size)
            self->urgent_size = self->urgent_sent = 0;
    }
    if (size > 0)
        advance_queue(self, size, 0);
}

bool
output_pending(const conn_t *self)
{
    return self->stage || self->urgent_size > 0 || self->out.count > 0;
}

// A paused route sends no messages, but its peers must not think that it has gone.
static bool
is_due(const conn_t *self)
{
    if (!self->wire->frozen)
        return output_pending(self);
    return self->stage ? self->stage_spans == 0 : self->urgent_size > 0 && !spans_inside(&self->out);
}

static ssize_t
write_pieces(const conn_t *self, struct iovec *pieces, unsigned count)
{
    if (count == 1)
        return kernel_send(self->fd, pieces[0].iov_base, pieces[0].iov_len);
    struct msghdr message = { .msg_iov = pieces, .msg_iovlen = count };
    return kernel_sendmsg(self->fd, &message);
}

// Returns false when no more can be written now.
static bool
write_some(conn_t *self)
{
    struct iovec pieces[PIECES];
    if (stage_is_needed(self) && !self->stage && !stage_fill(self)) {
        conn_break(self, CUT_PROTOCOL, "its keys are used up");
        return false;
    }
    unsigned count = gather(self, pieces);
    size_t all = 0;
    for (unsigned i = 0; i < count; i++)
        all += pieces[i].iov_len;
    ssize_t written = write_pieces(self, pieces, count);
    if (written < 0 && errno != EAGAIN && errno != EINTR) {
        self->writable = false;
        conn_write_failed(self, errno);
        return false;
    }
    if (written > 0) {
        self->moved_ms = self->wire->now_ms;
        advance(self, (size_t)written);
    }
    self->writable = written == (ssize_t)all;
    return self->writable;
}

void
output_flush(conn_t *self)
{
    if (self->state == CONN_ENDED)
        return;
    while (self->writable && !self->broken && is_due(self) && write_some(self))
        continue;
    conn_ask_for_room(self, !self->writable && !self->broken);
    settle_room(self);
}

void
output_beyond(conn_t *self, chunk_t *chunk, const uint8_t *data, size_t size, load_t load)
{
    wport_t *port = self->port;
    if (chunk && size >= SPANS_COPY_BELOW)
        spans_share(&self->out, chunk, (size_t)(data - chunk->data), size, load);
    else
        spans_copy(&self->out, conn_pool(self), data, size, load);
    self->beyond.messages += load.messages;
    self->beyond.bytes += size;
    port->queued.messages += load.messages;
    port->queued_bytes += size;
    port_count(port);
    conn_mark(self);
}

// --- at once -----------------------------------------------------------------------

static void
queue(conn_t *self, const piece_t *piece)
{
    wport_t *port = self->port;
    uint64_t before = self->out.bytes;
    piece_queue(&self->out, conn_pool(self), piece);
    port_count(port);
    port->queued.messages += piece->load.messages;
    port->queued_bytes += self->out.bytes - before;
    conn_mark(self);
    if (self->out.load.messages >= port->sndhwm || self->out.bytes >= port->queue_bytes)
        output_flush(self);
}

// Nothing waits before PIECE, and nothing that could be written with it will follow in this round.
static inline bool
goes_at_once(const conn_t *self, const piece_t *piece)
{
    const wire_t *wire = self->wire;
    return !self->out.count && !wire->dirty && wire->last_turn && self->writable && !self->stage && !self->urgent_size
           && piece->from && piece->at + piece->size == piece->from->in->size && !stage_is_needed(self);
}

// To copy a small one is less than to tell the kernel of two places.
static __attribute__((noinline)) ssize_t
write_prefixed(const conn_t *self, const piece_t *piece)
{
    uint8_t whole[SMALL];
    const uint8_t *at = piece->chunk->data + piece->at;
    if (piece->prefix_size + piece->size > sizeof whole) {
        struct iovec both[] = { { (void *)piece->prefix, piece->prefix_size }, { (void *)at, piece->size } };
        return write_pieces(self, both, COUNT(both));
    }
    memcpy(whole, piece->prefix, piece->prefix_size);
    memcpy(whole + piece->prefix_size, at, piece->size);
    return kernel_send(self->fd, whole, piece->prefix_size + piece->size);
}

// What the kernel takes at once need not be queued.
static void
write_at_once(conn_t *self, const piece_t *piece)
{
    size_t all = piece->prefix_size + piece->size;
    ssize_t written = piece->prefix ? write_prefixed(self, piece) : kernel_send(self->fd, piece->chunk->data + piece->at, all);
    if (written == (ssize_t)all) {
        self->moved_ms = self->fed_ms = self->wire->now_ms;
        count_sent(self, piece->load, all);
        return;
    }
    self->writable = written < 0; // the queue finds out why
    queue(self, piece);
    if (written > 0) {
        self->moved_ms = self->wire->now_ms;
        advance_queue(self, (size_t)written, 0);
    }
}

void
output_add(conn_t *self, const piece_t *piece)
{
    self->port->moved = true;
    (goes_at_once(self, piece) ? write_at_once : queue)(self, piece);
}

// --- the end -----------------------------------------------------------------------

load_t
output_abandon(conn_t *self, spans_t *unbegun)
{
    if (self->stage && self->stage_spans > 0)
        advance_queue(self, stage_written(self), 0);
    if (self->stage)
        chunk_drop(self->stage);
    self->stage = NULL;
    wport_t *port = self->port;
    port->queued.messages -= self->out.load.messages;
    port->queued_bytes -= self->out.bytes;
    load_t lost = { 0 };
    self->begun += self->out.sent;
    if (unbegun)
        lost = spans_move(&self->out, unbegun);
    else {
        lost = self->out.load;
        spans_clear(&self->out);
    }
    port_count(port);
    return lost;
}

// A UNIX socket has handed over what was written to it; who is held up when it is closed, as at the end of a route, does
// not read it any more all the same.
static uint64_t
bytes_on_the_way(const conn_t *self)
{
    int bytes = 0;
    if (self->ipc)
        return self->wire->hurries ? unread_by_peer(self->fd) : 0;
    if (ioctl(self->fd, SIOCOUTQ, &bytes) == -1 || bytes <= 0)
        return 0;
    return (uint64_t)(bytes - self->half_closed); // its end is one, too
}

uint64_t
output_unacknowledged(const conn_t *self)
{
    uint64_t bytes = self->written && self->fd != -1 ? bytes_on_the_way(self) : 0;
    uint64_t begun = self->begun + self->out.sent; // of a message that is counted with the queue
    return bytes > begun ? written_last(self->written, bytes - begun) : 0;
}
