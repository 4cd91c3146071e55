// SPDX-License-Identifier: MPL-2.0
#include "wire/values.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

typedef struct value {
    struct value *older, *newer;
    chunk_t *chunk; // held; NULL: the message lies behind
    union {
        size_t at; // in the chunk
        size_t room;
    };
    uint64_t payload;
    int64_t since_ms;
    uint32_t topic_size;
    size_t size;
    uint8_t data[];
} value_t;

typedef struct {
    chunk_pool_t *pool;
    kept_limits_t limits;
    bytetree_t topics;
    value_t *oldest, *newest;
    value_t *walk; // the next one
    kept_total_t total;
} values_t;

static const uint8_t *
data_of(const value_t *self)
{
    return self->chunk ? self->chunk->data + self->at : self->data;
}

static bytes_t
topic_of(const void *value)
{
    const value_t *self = value;
    bytes_t first = kept_first(data_of(self), self->size);
    return bytes_of(first.at, self->topic_size);
}

static kept_t
kept_of(const value_t *self)
{
    return (kept_t){ .chunk = self->chunk,
                     .data = data_of(self),
                     .size = self->size,
                     .payload = self->payload,
                     .since_ms = self->since_ms,
                     .topic = topic_of(self) };
}

// What its chunk takes is counted there.
static size_t
bytes_taken(const value_t *self)
{
    return sizeof *self + BYTETREE_NODE + (self->chunk ? 0 : self->room);
}

static void *
values_new(chunk_pool_t *pool, const kept_limits_t *limits)
{
    values_t *self = xcalloc(1, sizeof *self);
    self->pool = pool;
    self->limits = *limits;
    self->topics.name = topic_of;
    return self;
}

// --- in the order of publishing ------------------------------------------------------

static void
append(values_t *self, value_t *value)
{
    value->older = self->newest;
    value->newer = NULL;
    *(self->newest ? &self->newest->newer : &self->oldest) = value;
    self->newest = value;
    self->total.messages++;
    self->total.bytes += value->payload;
    self->pool->bytes += bytes_taken(value);
}

static void
take_out(values_t *self, value_t *value)
{
    *(value->older ? &value->older->newer : &self->oldest) = value->newer;
    *(value->newer ? &value->newer->older : &self->newest) = value->older;
    if (self->walk == value)
        self->walk = value->newer;
    self->total.messages--;
    self->total.bytes -= value->payload;
    self->pool->bytes -= bytes_taken(value);
}

static void
free_value(value_t *value)
{
    if (value->chunk)
        chunk_drop(value->chunk);
    free(value);
}

static void
forget(values_t *self, value_t *value)
{
    bytetree_remove(&self->topics, topic_of(value));
    take_out(self, value);
    free_value(value);
}

static bool
values_forget(void *arg)
{
    values_t *self = arg;
    if (!self->oldest)
        return false;
    forget(self, self->oldest);
    return true;
}

static void
values_free(void *arg)
{
    values_t *self = arg;
    bytetree_clear(&self->topics);
    for (value_t *value = self->oldest, *newer; value; value = newer) {
        newer = value->newer;
        self->pool->bytes -= bytes_taken(value);
        free_value(value);
    }
    free(self);
}

// --- publishing ------------------------------------------------------------------------

static bytes_t
topic_in(const values_t *self, bytes_t first)
{
    const uint8_t *end = self->limits.topic_end < 0 || first.size == 0
                             ? NULL
                             : memchr(first.at, (int)self->limits.topic_end, first.size);
    size_t size = end ? (size_t)(end - first.at) : first.size;
    return bytes_of(first.at, size < UINT32_MAX ? size : UINT32_MAX);
}

static value_t *
make(const kept_t *message)
{
    bool shared = message->chunk && message->size >= KEPT_SHARE_FROM;
    value_t *value = xrealloc(NULL, sizeof *value + (shared ? 0 : message->size), 1);
    value->chunk = shared ? chunk_hold(message->chunk) : NULL;
    if (shared)
        value->at = (size_t)(message->data - message->chunk->data);
    else
        value->room = message->size;
    return value;
}

static void
fill(value_t *value, const kept_t *message, size_t topic_size)
{
    value->size = message->size;
    value->payload = message->payload;
    value->since_ms = message->since_ms;
    value->topic_size = (uint32_t)topic_size;
    if (!value->chunk)
        memcpy(value->data, message->data, message->size);
}

// A message of the size of the one before, as they often are, takes its memory.
static bool
fits(const value_t *value, const kept_t *message)
{
    return !value->chunk && message->size == value->room;
}

static void
values_put(void *arg, const kept_t *message)
{
    values_t *self = arg;
    bytes_t topic = topic_in(self, message->topic);
    void **place = bytetree_find(&self->topics, topic);
    value_t *had = place ? *place : NULL;
    if (had)
        take_out(self, had);
    value_t *value = had && fits(had, message) ? had : make(message);
    fill(value, message, topic.size);
    append(self, value);
    if (!had)
        bytetree_add(&self->topics, value);
    else if (had != value) {
        *place = value;
        free_value(had);
    }
    if (self->total.messages > (uint64_t)self->limits.messages)
        values_forget(self);
}

// --- looking -----------------------------------------------------------------------------

static void
values_list(const void *arg, bytes_t prefix, kept_fn *fn, void *fn_arg)
{
    const values_t *self = arg;
    for (const value_t *value = bytetree_first(&self->topics, prefix); value;
         value = bytetree_next(&self->topics, value, prefix)) {
        kept_t kept = kept_of(value);
        if (!fn(fn_arg, &kept))
            return;
    }
}

static void
values_each(const void *arg, kept_fn *fn, void *fn_arg)
{
    const values_t *self = arg;
    for (const value_t *value = self->oldest; value; value = value->newer) {
        kept_t kept = kept_of(value);
        if (!fn(fn_arg, &kept))
            return;
    }
}

// What goes on behind the topic is of one topic at most.
static void
values_match(const void *arg, bytes_t prefix, kept_fn *fn, void *fn_arg)
{
    values_t *self = (values_t *)arg;
    bytes_t topic = topic_in(self, prefix);
    void **place = topic.size < prefix.size ? bytetree_find(&self->topics, topic) : NULL;
    if (topic.size == prefix.size) {
        values_list(self, prefix, fn, fn_arg);
        return;
    }
    if (!place)
        return;
    kept_t kept = kept_of(*place);
    if (bytes_begin(kept_first(kept.data, kept.size), prefix))
        fn(fn_arg, &kept);
}

static void
values_clear(void *arg, bytes_t prefix)
{
    values_t *self = arg;
    for (value_t *value; (value = bytetree_first(&self->topics, prefix));)
        forget(self, value);
}

static void
values_expire(void *self, int64_t now_ms)
{
    (void)self;
    (void)now_ms;
}

static kept_total_t
values_total(const void *self)
{
    return ((const values_t *)self)->total;
}

static void
values_rewind(void *arg)
{
    values_t *self = arg;
    self->walk = self->oldest;
}

static bool
values_next(void *arg, kept_t *kept)
{
    values_t *self = arg;
    if (!self->walk)
        return false;
    *kept = kept_of(self->walk);
    self->walk = self->walk->newer;
    return true;
}

const keeper_t keeper_values = {
    .new = values_new,
    .free = values_free,
    .put = values_put,
    .match = values_match,
    .each = values_each,
    .list = values_list,
    .clear = values_clear,
    .expire = values_expire,
    .forget = values_forget,
    .total = values_total,
    .rewind = values_rewind,
    .next = values_next,
};
