// SPDX-License-Identifier: MPL-2.0
// durablerecord.c - see durable_internal.h.

#include "base/mem.h"
#include "flow/client.h"
#include "wire/archivelog.h"
#include "wire/durable_internal.h"
#include "wire/fan.h"
#include "wire/keptrecord.h"

#include <stdlib.h>
#include <string.h>

// --- handing over ------------------------------------------------------------------

static void
save_topic(void *to, const void *topic, size_t size)
{
    record_bytes(to, TAG_TOPIC, topic, size);
}

static void
save_one(const durable_t *self, record_t *to)
{
    size_t opened = record_open(to, TAG_AWAY);
    record_bytes(to, TAG_NAME, self->name, self->size);
    record_number(to, TAG_ID, self->id);
    record_number(to, TAG_SINCE, (uint64_t)self->since_wall_ns);
    record_number(to, TAG_LEFT, (uint64_t)self->left_ms);
    record_text(to, TAG_PEER_NAME, self->peer_name);
    record_text(to, TAG_USER, self->user);
    fan_topics_each_at(self->all->port, self->number, save_topic, to);
    keeper_history.each(self->kept, keptrecord_save, to);
    record_close(to, opened);
}

void
durables_save(const durables_t *self, record_t *to)
{
    for (const durable_t *i = self->oldest; i; i = i->newer)
        save_one(i, to);
}

// --- what was written of one of them -------------------------------------------------

typedef struct {
    durable_t *durable;
    int64_t shift_ms; // of its times
} durable_reading_t;

static void
read_id(const durable_reading_t *self, const record_field_t *field)
{
    record_to_number(field, UINT64_MAX, &self->durable->id);
}

static void
read_since(const durable_reading_t *self, const record_field_t *field)
{
    uint64_t since;
    if (record_to_number(field, INT64_MAX, &since))
        self->durable->since_wall_ns = (int64_t)since;
}

static void
read_left(const durable_reading_t *self, const record_field_t *field)
{
    durable_t *durable = self->durable;
    int64_t now_ms = durable->all->port->wire->now_ms, left_ms = now_ms;
    uint64_t number;
    if (record_to_number(field, INT64_MAX / 2, &number) && (int64_t)number - self->shift_ms < now_ms)
        left_ms = (int64_t)number - self->shift_ms;
    if (durable->kept)
        durable_is_back(durable);
    durable_go_away(durable, left_ms);
}

static void
read_limit(int64_t *limit, const record_field_t *field)
{
    uint64_t most;
    if (record_to_number(field, INT64_MAX / 2, &most))
        *limit = (int64_t)most;
}

static void
read_messages_most(const durable_reading_t *self, const record_field_t *field)
{
    read_limit(&self->durable->limits.messages, field);
}

static void
read_bytes_most(const durable_reading_t *self, const record_field_t *field)
{
    read_limit(&self->durable->limits.bytes, field);
}

static void
read_time_most(const durable_reading_t *self, const record_field_t *field)
{
    read_limit(&self->durable->limits.time_ms, field);
}

static void
read_text(char **text, const record_field_t *field)
{
    free(*text);
    *text = record_to_text(field, UINT8_MAX);
}

static void
read_peer_name(const durable_reading_t *self, const record_field_t *field)
{
    read_text(&self->durable->peer_name, field);
}

static void
read_user(const durable_reading_t *self, const record_field_t *field)
{
    read_text(&self->durable->user, field);
}

static void
read_topic(const durable_reading_t *self, const record_field_t *field)
{
    fan_topic_again_at(self->durable->all->port, self->durable->number, field->at, field->size, true);
}

static void
read_no_topic(const durable_reading_t *self, const record_field_t *field)
{
    fan_topic_again_at(self->durable->all->port, self->durable->number, field->at, field->size, false);
}

static void
read_here(const durable_reading_t *self, const record_field_t *field)
{
    durable_t *durable = self->durable;
    (void)field;
    if (!durable->kept)
        return;
    durable_is_back(durable);
    durable_let_go_of_kept(durable);
}

static void
read_had(const durable_reading_t *self, const record_field_t *field)
{
    uint64_t count = 0;
    record_to_number(field, UINT64_MAX, &count);
    while (count-- > 0 && self->durable->kept && keeper_history.forget(self->durable->kept))
        continue;
}

static void
read_one_kept(void *durable, const kept_t *kept)
{
    kept_t again = *kept;
    again.stored = ((durable_t *)durable)->all->reading;
    durable_put(durable, &again);
}

static void
read_kept(const durable_reading_t *self, const record_field_t *field)
{
    wire_t *wire = self->durable->all->port->wire;
    if (self->durable->kept)
        keptrecord_read(field, self->shift_ms, wire->now_ms, read_one_kept, self->durable);
}

static void
read_fields(durable_t *self, record_fields_t from, int64_t shift_ms)
{
    static const struct {
        unsigned tag;
        void (*read)(const durable_reading_t *self, const record_field_t *field);
    } readers[] = { { TAG_ID, read_id },
                    { TAG_SINCE, read_since },
                    { TAG_LEFT, read_left },
                    { TAG_PEER_NAME, read_peer_name },
                    { TAG_USER, read_user },
                    { TAG_TOPIC, read_topic },
                    { TAG_NO_TOPIC, read_no_topic },
                    { TAG_HERE, read_here },
                    { TAG_HAD, read_had },
                    { TAG_MESSAGES_MOST, read_messages_most },
                    { TAG_BYTES_MOST, read_bytes_most },
                    { TAG_TIME_MOST, read_time_most },
                    { TAG_KEPT, read_kept } };
    const durable_reading_t reading = { self, shift_ms };
    record_field_t field;
    while (record_next(&from, &field))
        for (size_t i = 0; i < COUNT(readers); i++)
            if (readers[i].tag == field.tag)
                readers[i].read(&reading, &field);
}

// NULL: the record has no name.
static durable_t *
find(durables_t *self, record_fields_t from, record_field_t *name)
{
    bool is_named = record_find(from, TAG_NAME, name) && name->size >= 2 && name->size <= NAME_MOST;
    void **known = is_named ? bytetree_find(&self->names, bytes_of(name->at, name->size)) : NULL;
    if (!is_named)
        name->size = 0;
    return known ? *known : NULL;
}

static durable_t *
enter_new(durables_t *self, const record_field_t *name)
{
    durable_t *durable = durable_make(name->at, name->size);
    durable_enter(self, durable, durables_free_number(self));
    durable->id = client_next_id();
    return durable;
}

// --- of another route ------------------------------------------------------------------

static void
restore_one(durables_t *self, record_fields_t from)
{
    record_field_t name;
    bool reading = self->reading;
    if (find(self, from, &name) || name.size == 0)
        return;
    durable_t *durable = enter_new(self, &name);
    self->reading = false;
    read_fields(durable, from, 0);
    self->reading = reading;
    if (!durable->kept)
        durable_go_away(durable, self->port->wire->now_ms);
    durable->behind = self->port->wire->archive;
}

static void
count_one(void *messages, const kept_t *kept)
{
    (void)kept;
    ++*(uint64_t *)messages;
}

uint64_t
durables_restore(durables_t *self, record_fields_t from)
{
    record_field_t field;
    uint64_t messages = 0;
    while (record_next(&from, &field)) {
        if (field.tag != TAG_AWAY)
            continue;
        keptrecord_restore(record_inside(&field), 0, INT64_MAX, count_one, &messages);
        if (self && self->away < AWAY_MAX)
            restore_one(self, record_inside(&field));
    }
    return messages;
}

// --- of the disk -----------------------------------------------------------------------

void
durables_begin_reading(durables_t *self)
{
    self->reading = true;
}

void
durables_read(wport_t *port, record_fields_t from)
{
    durables_t *self = port->durables;
    record_field_t name, field;
    durable_t *durable = self ? find(self, from, &name) : NULL;
    bool anew, forgotten;
    if (!self || name.size == 0 || (durable && durable->conn))
        return;
    anew = record_find(from, TAG_ANEW, &field);
    forgotten = record_find(from, TAG_FORGOTTEN, &field);
    if (durable && (anew || forgotten)) {
        durable_forget(durable);
        durable = NULL;
    }
    if (anew && self->known < AWAY_MAX)
        durable = enter_new(self, &name);
    if (!durable)
        return;
    durable->noted = true;
    read_fields(durable, from, archivelog_shift_ms());
}

static bool
put_within(void *durable, const kept_t *kept)
{
    durable_put(durable, kept);
    return true;
}

// What was within the limits that held then, and is not within those that hold now, expires.
static void
take_limits(durable_t *self, const kept_limits_t *limits)
{
    void *before = self->kept;
    if (memcmp(&self->limits, limits, sizeof *limits) == 0)
        return;
    self->limits = *limits;
    self->behind = true;
    if (!before)
        return;
    self->kept = keeper_history.new(&self->all->port->wire->pool, limits);
    keeper_history.each(before, put_within, self);
    keeper_history.free(before);
}

// Whoever was there when the process ended is away since now.
void
durables_are_read(durables_t *self)
{
    self->reading = false;
    for (uint32_t i = 0; i < self->room; i++) {
        durable_t *durable = self->at[i];
        if (!durable || durable->conn)
            continue;
        take_limits(durable, &self->limits);
        if (durable->kept)
            continue;
        durable_go_away(durable, self->port->wire->now_ms);
        durable_note_left(durable);
    }
}
