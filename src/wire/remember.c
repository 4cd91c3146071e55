// SPDX-License-Identifier: MPL-2.0
#include "wire/remember.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "flow/memory.h"
#include "wire/archivelog.h"
#include "wire/conn.h"
#include "wire/history.h"
#include "wire/keptrecord.h"
#include "wire/output.h"
#include "wire/values.h"

#include <stdlib.h>
#include <string.h>

enum { TAG_PREFIX = 1 }; // of what is cleared. Never used for anything else again

enum {
    WORTH_IT = 10,     // what part of the limit is given back at a time
    SHOWN_BYTES = 256, // of a topic
};

struct remember {
    wire_t *wire;
    const keeper_t *keeper;
    void *kept;
};

static kept_limits_t
limits_of(const route_conf_t *conf)
{
    return (kept_limits_t){
        .messages = conf->last_value > 0 ? conf->last_value : conf->replay_messages,
        .bytes = conf->replay_bytes,
        .time_ms = conf->replay_time_ms,
        .topic_end = conf->topic_end,
    };
}

remember_t *
remember_new(wport_t *port)
{
    wire_t *wire = port->wire;
    if (port->side != SIDE_BACKEND || !route_conf_remembers(wire->conf))
        return NULL;
    remember_t *self = xcalloc(1, sizeof *self);
    kept_limits_t limits = limits_of(wire->conf);
    self->wire = wire;
    self->keeper = wire->conf->last_value > 0 ? &keeper_values : &keeper_history;
    self->kept = self->keeper->new (&wire->pool, &limits);
    return self;
}

void
remember_free(remember_t **self_p)
{
    remember_t *self = *self_p;
    if (!self)
        return;
    self->keeper->free(self->kept);
    free(self);
    *self_p = NULL;
}

static void
write_counters(const remember_t *self)
{
    kept_total_t total = self->keeper->total(self->kept);
    counter_set(&self->wire->counters->remembered_messages, total.messages);
    counter_set(&self->wire->counters->remembered_bytes, total.bytes);
}

void
remember_put(remember_t *self, const kept_t *kept)
{
    self->keeper->put(self->kept, kept);
    write_counters(self);
}

kept_total_t
remember_total(const remember_t *self)
{
    return self->keeper->total(self->kept);
}

// --- on the disk -----------------------------------------------------------------------

void
remember_again(remember_t *self, const kept_t *kept)
{
    self->keeper->put(self->kept, kept);
    self->keeper->expire(self->kept, self->wire->now_ms);
    write_counters(self);
}

static void
read_again(void *arg, const kept_t *kept)
{
    remember_again(arg, kept);
}

void
remember_read(wport_t *port, record_fields_t from)
{
    if (port->remembered)
        keptrecord_restore(from, archivelog_shift_ms(), port->wire->now_ms, read_again, port->remembered);
}

void
remember_read_cleared(wport_t *port, record_fields_t from)
{
    record_field_t field;
    if (port->remembered && record_find(from, TAG_PREFIX, &field))
        port->remembered->keeper->clear(port->remembered->kept, bytes_of(field.at, field.size));
}

static bool
write_one(const remember_t *self, kept_t *kept, bool must)
{
    record_t fields = { 0 };
    keptrecord_write(&fields, kept, archivelog_shift_ms());
    return archivelog_note(self->wire, NOTE_REMEMBERED, &fields, must, kept);
}

bool
remember_is_mixed(const remember_t *self)
{
    return self->keeper->next && self->keeper->total(self->kept).messages > 0;
}

void
remember_rewind(remember_t *self)
{
    if (self->keeper->rewind)
        self->keeper->rewind(self->kept);
}

// The first that finds no room goes beyond that: it would not come again.
bool
remember_write_some(remember_t *self, unsigned most)
{
    kept_t kept;
    for (unsigned i = 0; i < most; i++) {
        if (!self->keeper->next || !self->keeper->next(self->kept, &kept))
            return true;
        if (!write_one(self, &kept, false)) {
            write_one(self, &kept, true);
            return false;
        }
    }
    return false;
}

uint64_t
remember_oldest(const remember_t *self)
{
    return self->keeper->oldest ? self->keeper->oldest(self->kept) : UINT64_MAX;
}

static bool
write_ordered(void *arg, const kept_t *kept)
{
    kept_t again = *kept;
    return write_one(arg, &again, true);
}

void
remember_write_ordered(const remember_t *self)
{
    uint64_t sequence = archivelog_next(self->wire);
    if (self->keeper->next)
        return;
    self->keeper->each(self->kept, write_ordered, (void *)self);
    history_is_stored(self->kept, sequence);
}

// --- handing over --------------------------------------------------------------------

void
remember_save(const remember_t *self, record_t *to)
{
    self->keeper->each(self->kept, keptrecord_save, to);
}

static void
put_again(void *arg, const kept_t *kept)
{
    const remember_t *self = arg;
    self->keeper->put(self->kept, kept);
}

void
remember_restore(remember_t *self, record_fields_t from)
{
    keptrecord_restore(from, 0, self->wire->now_ms, put_again, self);
    write_counters(self);
}

// --- a new subscription --------------------------------------------------------------

// What lies behind each other in a chunk is queued at once.
typedef struct {
    conn_t *conn;
    remember_news_fn *news;
    kept_t run;
    uint64_t messages;
} bringing_t;

static void
emit(bringing_t *self)
{
    if (self->messages > 0)
        output_beyond(self->conn, self->run.chunk, self->run.data, self->run.size,
                      (load_t){ self->messages, self->run.payload });
    self->messages = 0;
}

static bool
joins(const bringing_t *self, const kept_t *kept)
{
    return self->messages > 0 && kept->chunk && kept->chunk == self->run.chunk &&
           kept->data == self->run.data + self->run.size;
}

static bool
bring(void *arg, const kept_t *kept)
{
    bringing_t *self = arg;
    if (!self->news(self->conn, kept_first(kept->data, kept->size)))
        return true;
    if (joins(self, kept)) {
        self->run.size += kept->size;
        self->run.payload += kept->payload;
    } else {
        emit(self);
        self->run = *kept;
    }
    self->messages++;
    return true;
}

void
remember_bring(remember_t *self, conn_t *conn, bytes_t prefix, remember_news_fn *news)
{
    bringing_t bringing = { .conn = conn, .news = news };
    int64_t since_ns = clock_mono_ns();
    self->keeper->expire(self->kept, self->wire->now_ms);
    self->keeper->match(self->kept, prefix, bring, &bringing);
    emit(&bringing);
    self->wire->brought_ns += clock_mono_ns() - since_ns;
    conn->turn_over = true;
    if (conn->beyond.messages == 0)
        conn_schedule(conn);
}

// --- time and memory -----------------------------------------------------------------

// Else nothing would ever be read again, where it is the messages remembered that take the memory.
static void
give_back(remember_t *self)
{
    const chunk_pool_t *pool = &self->wire->pool;
    size_t before = pool->bytes, some = memory_limit_of(self->wire->resources->memory) / WORTH_IT;
    while (before - pool->bytes < some && self->keeper->forget(self->kept))
        continue;
}

void
remember_tick(remember_t *self)
{
    self->keeper->expire(self->kept, self->wire->now_ms);
    if (self->wire->is_short)
        give_back(self);
    write_counters(self);
}

// --- commands ------------------------------------------------------------------------

typedef struct {
    const route_prefix_t *prefix;
    route_value_t *at;
    size_t count, room, max;
    uint64_t more;
    int64_t now_ms;
} value_listing_t;

static char *
shown(bytes_t topic)
{
    text_t text = { 0 };
    text_escaped(&text, topic.at, topic.size < SHOWN_BYTES ? topic.size : SHOWN_BYTES);
    if (topic.size > SHOWN_BYTES)
        text_add(&text, "...");
    text_add(&text, "%s", "");
    return text_take(&text);
}

static bool
list_one(void *arg, const kept_t *kept)
{
    value_listing_t *self = arg;
    if (self->count == self->max) {
        self->more++;
        return true;
    }
    mem_grow(self->at, self->count, self->room);
    self->at[self->count++] = (route_value_t){ shown(kept->topic), kept->payload, self->now_ms - kept->since_ms };
    return true;
}

static bytes_t
bytes_in(const route_prefix_t *prefix)
{
    return bytes_of(prefix->at, prefix->size);
}

static int
list(wire_t *wire, void *arg)
{
    value_listing_t *listing = arg;
    remember_t *self = wire->ports[SIDE_BACKEND].remembered;
    if (!self)
        return -1;
    listing->now_ms = wire->now_ms;
    remember_tick(self);
    self->keeper->list(self->kept, bytes_in(listing->prefix), list_one, listing);
    return 0;
}

route_value_t *
remember_values(route_t *self, const route_prefix_t *prefix, size_t *count, size_t max, uint64_t *more)
{
    value_listing_t listing = { .prefix = prefix, .max = max };
    route_call(self, list, &listing);
    *count = listing.count;
    *more = listing.more;
    return listing.at;
}

typedef struct {
    const route_prefix_t *prefix;
    uint64_t cleared;
} clearing_t;

// In the archive too: what was there before it does not come back.
static void
note_cleared(const wire_t *wire, const route_prefix_t *prefix)
{
    record_t fields = { 0 };
    record_bytes(&fields, TAG_PREFIX, prefix->at, prefix->size);
    archivelog_note(wire, NOTE_CLEARED, &fields, true, NULL);
}

static int
clear(wire_t *wire, void *arg)
{
    clearing_t *clearing = arg;
    remember_t *self = wire->ports[SIDE_BACKEND].remembered;
    if (!self)
        return -1;
    uint64_t before = self->keeper->total(self->kept).messages;
    self->keeper->clear(self->kept, bytes_in(clearing->prefix));
    clearing->cleared = before - self->keeper->total(self->kept).messages;
    write_counters(self);
    note_cleared(wire, clearing->prefix);
    return 0;
}

uint64_t
remember_clear(route_t *self, const route_prefix_t *prefix)
{
    clearing_t clearing = { .prefix = prefix };
    route_call(self, clear, &clearing);
    return clearing.cleared;
}
