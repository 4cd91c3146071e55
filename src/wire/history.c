// SPDX-License-Identifier: MPL-2.0
#include "wire/history.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

// Every record holds its chunk.
typedef struct {
    chunk_t *chunk;
    size_t at, size;
    uint64_t payload;
    int64_t since_ms;
    uint64_t sequence : 63, stored : 1;
} history_record_t;

typedef struct {
    chunk_pool_t *pool;
    kept_limits_t limits;
    chunk_t *last; // held; small messages are copied into it. NULL: none yet
    history_record_t *ring;
    size_t head, room; // ROOM is a power of two
    kept_total_t total;
} history_t;

static history_record_t *
record_at(const history_t *self, size_t i)
{
    return &self->ring[(self->head + i) & (self->room - 1)];
}

static void *
history_new(chunk_pool_t *pool, const kept_limits_t *limits)
{
    history_t *self = xcalloc(1, sizeof *self);
    self->pool = pool;
    self->limits = *limits;
    return self;
}

static bool
history_forget(void *arg)
{
    history_t *self = arg;
    if (self->total.messages == 0)
        return false;
    history_record_t *record = record_at(self, 0);
    self->total.messages--;
    self->total.bytes -= record->payload;
    chunk_drop(record->chunk);
    self->head++;
    return true;
}

static void
let_go_of_last(history_t *self)
{
    if (self->last)
        chunk_drop(self->last);
    self->last = NULL;
}

static void
history_free(void *arg)
{
    history_t *self = arg;
    while (history_forget(self))
        continue;
    let_go_of_last(self);
    self->pool->bytes -= self->room * sizeof *self->ring;
    free(self->ring);
    free(self);
}

// --- publishing ------------------------------------------------------------------------

static void
grow(history_t *self)
{
    size_t room = self->room ? 2 * self->room : 16;
    history_record_t *ring = xcalloc(room, sizeof *ring);
    for (size_t i = 0; i < self->total.messages; i++)
        ring[i] = *record_at(self, i);
    free(self->ring);
    self->pool->bytes += (room - self->room) * sizeof *ring;
    self->ring = ring;
    self->head = 0;
    self->room = room;
}

// One that is short needs little memory: there may be many, see durable.h.
static size_t
room_for(const history_t *self, size_t size)
{
    size_t usual = self->total.bytes < CHUNK_SMALL_BYTES / 2 ? CHUNK_SMALL_BYTES : CHUNK_BYTES;
    return size > usual ? size : usual;
}

static uint8_t *
place(history_t *self, size_t size)
{
    if (!self->last || self->last->room - self->last->size < size) {
        let_go_of_last(self);
        self->last = chunk_new(self->pool, room_for(self, size));
    }
    uint8_t *at = self->last->data + self->last->size;
    self->last->size += size;
    return at;
}

static history_record_t
take(history_t *self, const kept_t *message)
{
    history_record_t record = { .size = message->size,
                        .payload = message->payload,
                        .since_ms = message->since_ms,
                        .sequence = message->sequence,
                        .stored = message->stored };
    const uint8_t *data = message->data;
    if (!message->chunk || message->size < KEPT_SHARE_FROM) {
        uint8_t *copy = place(self, message->size);
        memcpy(copy, data, message->size);
        data = copy;
    }
    record.chunk = chunk_hold(data == message->data ? message->chunk : self->last);
    record.at = (size_t)(data - record.chunk->data);
    return record;
}

static bool
is_over(const history_t *self)
{
    const kept_limits_t *limits = &self->limits;
    return (limits->messages > 0 && self->total.messages > (uint64_t)limits->messages) ||
           (limits->bytes > 0 && self->total.bytes > (uint64_t)limits->bytes);
}

uint64_t
history_count_old(const void *arg, int64_t now_ms)
{
    const history_t *self = arg;
    uint64_t count = 0;
    while (self->limits.time_ms > 0 && count < self->total.messages &&
           now_ms - record_at(self, count)->since_ms > self->limits.time_ms)
        count++;
    return count;
}

static void
history_expire(void *arg, int64_t now_ms)
{
    for (uint64_t count = history_count_old(arg, now_ms); count > 0; count--)
        history_forget(arg);
}

static void
history_put(void *arg, const kept_t *message)
{
    history_t *self = arg;
    if (self->total.messages == self->room)
        grow(self);
    *record_at(self, self->total.messages) = take(self, message);
    self->total.messages++;
    self->total.bytes += message->payload;
    while (is_over(self))
        history_forget(self);
    history_expire(self, message->since_ms);
}

// --- looking -----------------------------------------------------------------------------

static kept_t
kept_of(const history_record_t *record)
{
    const uint8_t *data = record->chunk->data + record->at;
    return (kept_t){ .chunk = record->chunk,
                     .data = data,
                     .size = record->size,
                     .payload = record->payload,
                     .since_ms = record->since_ms,
                     .topic = kept_first(data, record->size),
                     .sequence = record->sequence,
                     .stored = record->stored };
}

static void
history_list(const void *arg, bytes_t prefix, kept_fn *fn, void *fn_arg)
{
    const history_t *self = arg;
    for (size_t i = 0; i < self->total.messages; i++) {
        kept_t kept = kept_of(record_at(self, i));
        if (bytes_begin(kept.topic, prefix) && !fn(fn_arg, &kept))
            return;
    }
}

static void
history_each(const void *arg, kept_fn *fn, void *fn_arg)
{
    history_list(arg, bytes_of(NULL, 0), fn, fn_arg);
}

static void
history_clear(void *arg, bytes_t prefix)
{
    history_t *self = arg;
    size_t all = self->total.messages;
    for (size_t i = 0; i < all; i++) {
        history_record_t record = *record_at(self, 0);
        bool stays = !bytes_begin(kept_of(&record).topic, prefix);
        if (stays)
            chunk_hold(record.chunk);
        history_forget(self);
        if (!stays)
            continue;
        *record_at(self, self->total.messages++) = record; // behind all others: in the end they lie as before
        self->total.bytes += record.payload;
    }
}

static kept_total_t
history_total(const void *self)
{
    return ((const history_t *)self)->total;
}

static uint64_t
history_oldest(const void *arg)
{
    const history_t *self = arg;
    return self->total.messages > 0 ? record_at(self, 0)->sequence : UINT64_MAX;
}

void
history_is_stored(void *arg, uint64_t sequence)
{
    history_t *self = arg;
    for (size_t i = 0; i < self->total.messages; i++) {
        record_at(self, i)->sequence = sequence & KEPT_SEQUENCE_MOST;
        record_at(self, i)->stored = true;
    }
}

const keeper_t keeper_history = {
    .new = history_new,
    .free = history_free,
    .put = history_put,
    .match = history_list,
    .each = history_each,
    .list = history_list,
    .clear = history_clear,
    .expire = history_expire,
    .forget = history_forget,
    .total = history_total,
    .oldest = history_oldest,
};
