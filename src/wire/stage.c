// SPDX-License-Identifier: MPL-2.0
#include "wire/stage.h"

#include "wire/conn.h"

#include <string.h>

// --- filling -------------------------------------------------------------------------

static size_t
staged_size(const conn_t *self, uint64_t body)
{
    if (self->curve)
        return CURVE_SEALED_SIZE(body);
    return body + (body > FRAME_OLD_SHORT_BODY ? FRAME_OLD_LARGE_HEAD : FRAME_OLD_SHORT_HEAD);
}

static size_t
write_staged(conn_t *self, uint8_t *at, const uint8_t *body, const frame_head_t *head)
{
    if (self->curve)
        return curve_seal(self->curve, at, head->flags & (FRAME_MORE | FRAME_COMMAND), body, head->body);
    size_t size = frame_write_old_head(at, head->flags & FRAME_MORE, head->body);
    memcpy(at + size, body, head->body);
    return size + head->body;
}

static void
make_room(conn_t *self, size_t more)
{
    chunk_t *stage = self->stage;
    size_t size = stage ? stage->size : 0,
           usual = self->out.bytes < CHUNK_SMALL_BYTES / 2 ? CHUNK_SMALL_BYTES : CHUNK_BYTES;
    if (stage && stage->room - size >= more)
        return;
    self->stage = chunk_new(conn_pool(self), size + more > usual ? size + more : usual);
    if (stage) {
        memcpy(self->stage->data, stage->data, size);
        chunk_drop(stage);
    }
    self->stage->size = size;
}

static bool
put_frame(conn_t *self, const uint8_t *at, const frame_head_t *head)
{
    size_t size = staged_size(self, head->body);
    make_room(self, size);
    size_t written = write_staged(self, self->stage->data + self->stage->size, at + head->head, head);
    self->stage->size += written;
    return written > 0;
}

// Where in the queue's I-th span what was not sent begins: of a message that has begun, whole frames may be out.
static inline size_t
unsent_at(const conn_t *self, uint32_t i)
{
    return i == 0 ? self->out.sent : 0;
}

// Put frames of the queue in the peer's form, whole messages if they are small.
static bool
put_queue(conn_t *self)
{
    for (uint32_t i = 0; i < self->out.count; i++) {
        const span_t *span = spans_at(&self->out, i);
        frame_head_t head;
        for (size_t at = unsent_at(self, i); at < span->size; at += head.head + head.body) {
            const uint8_t *frame = span->chunk->data + span->at + at;
            if (frame_read(frame, span->size - at, &head) != 1)
                return false;
            bool enough = self->stage && self->stage->size + staged_size(self, head.body) > CHUNK_BYTES;
            if (enough)
                return true;
            if (!put_frame(self, frame, &head))
                return false;
            self->stage_spans += head.head + head.body;
        }
    }
    return true;
}

static bool
put_urgent(conn_t *self)
{
    frame_head_t head;
    if (self->urgent_size == 0 || spans_inside(&self->out))
        return true;
    frame_read(self->urgent, self->urgent_size, &head);
    self->urgent_size = 0;
    return put_frame(self, self->urgent, &head);
}

bool
stage_fill(conn_t *self)
{
    return put_urgent(self) && (self->wire->frozen || put_queue(self));
}

// --- what of it went out -------------------------------------------------------------

// The frames of the queue that are staged: where each begins there, and how it is called in the queue.
typedef struct {
    size_t staged, bytes; // so far
    size_t written;       // of the bytes, what went out: the frame that is half out counts one byte
} walk_t;

static void
walk_frame(const conn_t *self, walk_t *walk, const frame_head_t *head, size_t start)
{
    size_t size = staged_size(self, head->body), bytes = head->head + head->body;
    size_t at = start + walk->staged;
    if (at + size <= self->stage_at)
        walk->written = walk->bytes + bytes;
    else if (at < self->stage_at)
        walk->written = walk->bytes + 1;
    walk->staged += size;
    walk->bytes += bytes;
}

static walk_t
walk_stage(const conn_t *self, size_t start)
{
    walk_t walk = { 0 };
    for (uint32_t i = 0; i < self->out.count && walk.bytes < self->stage_spans; i++) {
        const span_t *span = spans_at(&self->out, i);
        frame_head_t head;
        for (size_t at = unsent_at(self, i); at < span->size && walk.bytes < self->stage_spans;
             at += head.head + head.body) {
            if (frame_read(span->chunk->data + span->at + at, span->size - at, &head) != 1)
                return walk;
            walk_frame(self, &walk, &head, start);
        }
    }
    return walk;
}

// What is before the bytes of the queue is of a handshake, or a PONG.
size_t
stage_written(const conn_t *self)
{
    size_t staged = walk_stage(self, self->stage->size).staged;
    return walk_stage(self, self->stage->size - staged).written;
}
