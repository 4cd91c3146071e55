// SPDX-License-Identifier: MPL-2.0
// spans.h - what waits to be sent to one peer: messages in order, as spans of
// chunks. Small messages are copied into a chunk of the queue's own, large ones
// and long runs are shared with whoever else sends them.
//
// What is in a queue is ZMTP 2.0 frames of whole messages (RFC 37), whatever the
// peer speaks: how they are put on its connection is conn's business. A frame
// never crosses two spans, a message may.

#ifndef ZB_SPANS_H
#define ZB_SPANS_H

#include "wire/chunk.h"

#include <stdbool.h>
#include <string.h>
#include <sys/uio.h>

enum { SPANS_COPY_BELOW = 4096 }; // bytes; what is shorter is copied, what is longer shared

typedef struct {
    uint64_t messages; // whole ones
    uint64_t payload;  // bytes of all their frames, without the frames' heads
} load_t;

typedef struct {
    chunk_t *chunk;
    size_t at, size;
    load_t load; // of the messages that end here
    bool own;    // nobody else writes to or reads from this chunk
    bool open;   // its last message ends in the next span
    bool ours;   // frames that are no messages, each whole
} span_t;

// All zeros is an empty one.
typedef struct {
    span_t *ring;
    uint32_t head, count, room;
    size_t sent;  // bytes of the first message, from where the head starts
    bool begun;   // spans of the first message were sent already
    load_t load;  // all that is not sent whole
    uint64_t bytes;
} spans_t;

static inline span_t *
spans_at(const spans_t *self, uint32_t i)
{
    return &self->ring[(self->head + i) & (self->room - 1)];
}

static inline span_t *
spans_last(const spans_t *self)
{
    return self->count > 0 ? spans_at(self, self->count - 1) : NULL;
}

// SPAN, the last one, has SIZE more bytes.
static inline void
spans_extend(spans_t *self, span_t *span, size_t size, load_t load)
{
    span->size += size;
    span->load.messages += load.messages;
    span->load.payload += load.payload;
    span->open = load.messages == 0 && !span->ours;
    self->load.messages += load.messages;
    self->load.payload += load.payload;
    self->bytes += size;
}

// A new last one, for SIZE bytes and more.
span_t *spans_push(spans_t *self, chunk_pool_t *pool, size_t size, bool ours);

// SIZE bytes for the caller to write. OURS: they are a whole frame that is no message.
static inline uint8_t *
spans_place_in(spans_t *self, chunk_pool_t *pool, size_t size, load_t load, bool ours)
{
    span_t *span = spans_last(self);
    if (!span || !span->own || span->ours != ours || span->chunk->size + size > span->chunk->room)
        span = spans_push(self, pool, size, ours);
    uint8_t *at = span->chunk->data + span->chunk->size;
    span->chunk->size += size;
    spans_extend(self, span, size, load);
    return at;
}

// LOAD is what ends with these bytes: none for the first part of a message.
static inline uint8_t *
spans_place(spans_t *self, chunk_pool_t *pool, size_t size, load_t load)
{
    return spans_place_in(self, pool, size, load, false);
}

uint8_t *spans_place_ours(spans_t *self, chunk_pool_t *pool, size_t size); // it is not counted

static inline void
spans_copy(spans_t *self, chunk_pool_t *pool, const void *data, size_t size, load_t load)
{
    memcpy(spans_place(self, pool, size, load), data, size);
}

void spans_share(spans_t *self, chunk_t *chunk, size_t at, size_t size, load_t load);

// Copied or shared, whichever is better.
static inline void
spans_add(spans_t *self, chunk_pool_t *pool, chunk_t *chunk, size_t at, size_t size, load_t load)
{
    if (size < SPANS_COPY_BELOW)
        spans_copy(self, pool, chunk->data + at, size, load);
    else
        spans_share(self, chunk, at, size, load);
}

static inline bool
spans_inside(const spans_t *self) // between two octets of a message
{
    return self->begun || self->sent > 0;
}

// What comes next, as at most MOST pieces. FIRST_ONLY: no more than the rest of the message that has begun.
unsigned spans_gather(const spans_t *self, struct iovec *pieces, unsigned most, bool first_only);

// SIZE more bytes went out. Returns what has gone whole by that.
load_t spans_advance(spans_t *self, size_t size);

// The first message, which has not begun, in one piece: held by the caller. Returns false if there is none.
bool spans_take(spans_t *self, chunk_pool_t *pool, chunk_t **chunk, size_t *at, size_t *size, load_t *load);

// Give all but the message that has begun to TO, at its end. Returns what was lost: that one, or nothing.
load_t spans_move(spans_t *self, spans_t *to);

void spans_clear(spans_t *self); // forget all, keep nothing

// Handing over: the I-th span as bytes, and at the end of another queue again. False: the bytes are no span.
size_t spans_saved_size(const spans_t *self, uint32_t i);
void spans_save(const spans_t *self, uint32_t i, uint8_t *at);
bool spans_restore(spans_t *self, chunk_pool_t *pool, const uint8_t *at, size_t size, bool ours);

#endif
