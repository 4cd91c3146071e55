// SPDX-License-Identifier: MPL-2.0
#include "wire/spans.h"

#include "base/mem.h"
#include "zmtp/frame.h"

#include <stdlib.h>
#include <string.h>

// --- adding --------------------------------------------------------------------

static void
grow(spans_t *self)
{
    uint32_t room = self->room ? self->room * 2 : 4;
    span_t *ring = xcalloc(room, sizeof *ring);
    for (uint32_t i = 0; i < self->count; i++)
        ring[i] = *spans_at(self, i);
    free(self->ring);
    self->ring = ring;
    self->head = 0;
    self->room = room;
}

static span_t *
push(spans_t *self)
{
    if (self->count == self->room)
        grow(self);
    self->count++;
    return spans_at(self, self->count - 1);
}

// A queue that is short needs little memory, one that grows larger pieces.
static size_t
room_for(const spans_t *self, size_t size)
{
    size_t usual = self->bytes < CHUNK_SMALL_BYTES ? CHUNK_SMALL_BYTES : CHUNK_BYTES;
    return size > usual ? size : usual;
}

span_t *
spans_push(spans_t *self, chunk_pool_t *pool, size_t size, bool ours)
{
    size_t room = room_for(self, size);
    span_t *span = push(self);
    *span = (span_t){ .chunk = chunk_new(pool, room), .own = true, .ours = ours };
    return span;
}

uint8_t *
spans_place_ours(spans_t *self, chunk_pool_t *pool, size_t size)
{
    return spans_place_in(self, pool, size, (load_t){ 0 }, true);
}

void
spans_share(spans_t *self, chunk_t *chunk, size_t at, size_t size, load_t load)
{
    span_t *span = spans_last(self);
    if (!span || span->own || span->chunk != chunk || span->at + span->size != at) {
        span = push(self);
        *span = (span_t){ .chunk = chunk_hold(chunk), .at = at };
    }
    spans_extend(self, span, size, load);
}

// --- walking -------------------------------------------------------------------

// How many bytes of SPAN, from its start, belong to the message that is there first; *ENDS: it ends in them.
static size_t
first_message(const span_t *span, load_t *load, bool *ends)
{
    size_t at = 0;
    frame_head_t head;
    *ends = false;
    while (at < span->size && frame_read(span->chunk->data + span->at + at, span->size - at, &head) == 1) {
        at += head.head + head.body;
        load->payload += span->ours ? 0 : head.body;
        if (!(head.flags & FRAME_MORE)) {
            *ends = true;
            load->messages = !span->ours;
            break;
        }
    }
    return at;
}

unsigned
spans_gather(const spans_t *self, struct iovec *pieces, unsigned most, bool first_only)
{
    unsigned count = 0;
    bool ends = false;
    size_t skip = self->sent;
    for (uint32_t i = 0; i < self->count && count < most && !ends; i++, skip = 0) {
        const span_t *span = spans_at(self, i);
        load_t load = { 0 };
        size_t size = first_only ? first_message(span, &load, &ends) : span->size;
        pieces[count++] = (struct iovec){ span->chunk->data + span->at + skip, size - skip };
    }
    return count;
}

// --- sending -------------------------------------------------------------------

static void
pop(spans_t *self, load_t *gone)
{
    span_t *span = spans_at(self, 0);
    gone->messages += span->load.messages;
    gone->payload += span->load.payload;
    self->begun = span->open;
    self->bytes -= span->size;
    chunk_drop(span->chunk);
    self->head = (self->head + 1) & (self->room - 1);
    self->count--;
}

// The frames of a routing id are in LOAD, but are no payload of the span: what is
// too much for one message is taken from the last.
static void
cut_front(spans_t *self, span_t *span, size_t size, load_t load, load_t *gone)
{
    if (load.payload > span->load.payload)
        load.payload = span->load.payload;
    span->at += size;
    span->size -= size;
    span->load.messages -= load.messages;
    span->load.payload -= load.payload;
    self->bytes -= size;
    self->sent -= size;
    self->begun = false;
    gone->messages += load.messages;
    gone->payload += load.payload;
}

// Whole messages at the front that went out are no longer ours: the head starts
// at a message again, so that what is counted is exact.
static void
settle(spans_t *self, load_t *gone)
{
    while (self->count > 0 && self->sent > 0) {
        load_t load = { 0 };
        bool ends;
        span_t *span = spans_at(self, 0);
        size_t size = first_message(span, &load, &ends);
        if (!ends || size > self->sent)
            return;
        cut_front(self, span, size, load, gone);
    }
}

load_t
spans_advance(spans_t *self, size_t size)
{
    load_t gone = { 0 };
    self->sent += size;
    while (self->count > 0 && self->sent >= spans_at(self, 0)->size) {
        self->sent -= spans_at(self, 0)->size;
        pop(self, &gone);
    }
    settle(self, &gone);
    self->load.messages -= gone.messages;
    self->load.payload -= gone.payload;
    return gone;
}

// --- taking back ---------------------------------------------------------------

// The first message, over as many spans as it has.
static size_t
measure(const spans_t *self, load_t *load)
{
    size_t size = 0;
    bool ends = false;
    for (uint32_t i = 0; i < self->count && !ends; i++)
        size += first_message(spans_at(self, i), load, &ends);
    return size;
}

static void
copy_out(const spans_t *self, uint8_t *to, size_t size)
{
    for (uint32_t i = 0; size > 0; i++) {
        const span_t *span = spans_at(self, i);
        size_t some = size < span->size ? size : span->size;
        memcpy(to, span->chunk->data + span->at, some);
        to += some;
        size -= some;
    }
}

bool
spans_take(spans_t *self, chunk_pool_t *pool, chunk_t **chunk, size_t *at, size_t *size, load_t *load)
{
    if (self->count == 0)
        return false;
    const span_t *span = spans_at(self, 0);
    *load = (load_t){ 0 };
    *size = measure(self, load);
    if (*size <= span->size) {
        *chunk = chunk_hold(span->chunk);
        *at = span->at;
    } else {
        *chunk = chunk_new(pool, *size);
        (*chunk)->size = *size;
        *at = 0;
        copy_out(self, (*chunk)->data, *size);
    }
    *load = spans_advance(self, *size);
    return true;
}

load_t
spans_move(spans_t *self, spans_t *to)
{
    load_t lost = { 0 };
    if (spans_inside(self)) {
        load_t first = { 0 };
        size_t rest = measure(self, &first) - self->sent;
        lost = spans_advance(self, rest);
    }
    for (uint32_t i = 0; i < self->count; i++) {
        span_t *span = spans_at(self, i);
        *push(to) = *span;
        span->chunk = NULL;
    }
    to->load.messages += self->load.messages;
    to->load.payload += self->load.payload;
    to->bytes += self->bytes;
    self->count = 0;
    spans_clear(self);
    return lost;
}

void
spans_clear(spans_t *self)
{
    for (uint32_t i = 0; i < self->count; i++)
        chunk_drop(spans_at(self, i)->chunk);
    free(self->ring);
    *self = (spans_t){ 0 };
}

// --- handing over ----------------------------------------------------------------

// The payload goes before the bytes: a routing id among them is none, which they do not show.
typedef uint64_t saved_payload_t;

size_t
spans_saved_size(const spans_t *self, uint32_t i)
{
    return sizeof(saved_payload_t) + spans_at(self, i)->size;
}

void
spans_save(const spans_t *self, uint32_t i, uint8_t *at)
{
    const span_t *span = spans_at(self, i);
    saved_payload_t payload = span->load.payload;
    memcpy(at, &payload, sizeof payload);
    memcpy(at + sizeof payload, span->chunk->data + span->at, span->size);
}

// Whole frames. What ends in them is counted.
static bool
measure_frames(const uint8_t *at, size_t size, bool ours, span_t *span)
{
    uint64_t bodies = 0;
    frame_head_t head;
    for (size_t done = 0; done < size; done += head.head + head.body) {
        if (frame_read(at + done, size - done, &head) != 1 || size - done - head.head < head.body)
            return false;
        if (!ours && head.flags & FRAME_COMMAND)
            return false;
        span->open = !ours && head.flags & FRAME_MORE;
        span->load.messages += !ours && !span->open;
        bodies += head.body;
    }
    return size > 0 && span->load.payload <= bodies;
}

bool
spans_restore(spans_t *self, chunk_pool_t *pool, const uint8_t *at, size_t size, bool ours)
{
    span_t span = { .own = true, .ours = ours };
    if (size < sizeof(saved_payload_t))
        return false;
    memcpy(&span.load.payload, at, sizeof(saved_payload_t));
    at += sizeof(saved_payload_t);
    span.size = size - sizeof(saved_payload_t);
    if (!measure_frames(at, span.size, ours, &span))
        return false;
    span.chunk = chunk_new(pool, span.size);
    memcpy(span.chunk->data, at, span.size);
    span.chunk->size = span.size;
    *push(self) = span;
    self->load.messages += span.load.messages;
    self->load.payload += span.load.payload;
    self->bytes += span.size;
    return true;
}
