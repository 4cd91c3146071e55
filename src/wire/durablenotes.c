// SPDX-License-Identifier: MPL-2.0
// durablenotes.c - see durable_internal.h.

#include "base/mem.h"
#include "wire/archivelog.h"
#include "wire/durable_internal.h"
#include "wire/fan.h"
#include "wire/keptrecord.h"

enum {
    NOTE_BYTES = 32 * 1024, // of topics in one
    AGAIN_MOST = 1000,      // messages that are written once more in a turn
    WHOLE_PART = 8,         // of store_max, that is written at once
};

static record_t
about(const durable_t *self)
{
    record_t fields = { 0 };
    record_bytes(&fields, TAG_NAME, self->name, self->size);
    return fields;
}

static bool
write(const durable_t *self, record_t *fields, bool must, kept_t *kept)
{
    return archivelog_note(self->all->port->wire, NOTE_DURABLE, fields, must, kept);
}

static bool
is_on_disk(const durable_t *self)
{
    return self->noted && !self->behind && !self->all->reading;
}

void
durable_note(durable_t *self, unsigned tag, const void *bytes, size_t size)
{
    if (!is_on_disk(self))
        return;
    record_t fields = about(self);
    record_bytes(&fields, tag, bytes, size);
    self->behind = !write(self, &fields, false, NULL);
}

void
durable_note_number(durable_t *self, unsigned tag, uint64_t number)
{
    durable_note(self, tag, &number, sizeof number);
}

void
durable_note_left(durable_t *self)
{
    durable_note_number(self, TAG_LEFT, (uint64_t)(self->left_ms + archivelog_shift_ms()));
}

// There is no other way to say it later.
void
durable_note_forgotten(const durable_t *self)
{
    if (!self->noted || self->all->reading)
        return;
    record_t fields = about(self);
    record_bytes(&fields, TAG_FORGOTTEN, NULL, 0);
    write(self, &fields, true, NULL);
}

static bool
write_kept_of(const durable_t *self, kept_t *kept, bool must)
{
    record_t fields = about(self);
    keptrecord_write(&fields, kept, archivelog_shift_ms());
    return write(self, &fields, must, kept);
}

void
durable_note_kept(durable_t *self, kept_t *kept)
{
    if (is_on_disk(self))
        self->behind = !write_kept_of(self, kept, false);
}

// --- all of it --------------------------------------------------------------------------

typedef struct {
    durable_t *durable;
    record_t fields;
} noted_topics_t;

static void
write_topic(void *arg, const void *topic, size_t size)
{
    noted_topics_t *self = arg;
    record_bytes(&self->fields, TAG_TOPIC, topic, size);
    if (self->fields.size < NOTE_BYTES)
        return;
    write(self->durable, &self->fields, true, NULL);
    self->fields = about(self->durable);
}

static void
write_who(durable_t *self)
{
    noted_topics_t topics = { self, about(self) };
    const conn_t *conn = self->conn;
    record_bytes(&topics.fields, TAG_ANEW, NULL, 0);
    record_number(&topics.fields, TAG_SINCE, (uint64_t)(conn ? conn->since_wall_ns : self->since_wall_ns));
    record_text(&topics.fields, TAG_PEER_NAME, conn ? conn->peer_name : self->peer_name);
    record_text(&topics.fields, TAG_USER, conn ? conn->user : self->user);
    record_number(&topics.fields, TAG_MESSAGES_MOST, (uint64_t)self->limits.messages);
    record_number(&topics.fields, TAG_BYTES_MOST, (uint64_t)self->limits.bytes);
    record_number(&topics.fields, TAG_TIME_MOST, (uint64_t)self->limits.time_ms);
    if (self->kept)
        record_number(&topics.fields, TAG_LEFT, (uint64_t)(self->left_ms + archivelog_shift_ms()));
    else
        record_bytes(&topics.fields, TAG_HERE, NULL, 0);
    fan_topics_each_at(self->all->port, self->number, write_topic, &topics);
    write(self, &topics.fields, true, NULL);
}

static bool
write_kept(void *durable, const kept_t *kept)
{
    kept_t again = *kept;
    write_kept_of(durable, &again, true);
    return true;
}

// It goes to the disk at once, so there has to be room for it.
static bool
is_too_much(const durable_t *self)
{
    return self->kept && durable_total(self).bytes > (uint64_t)self->all->port->wire->conf->store_max / WHOLE_PART;
}

void
durable_write_whole(durable_t *self)
{
    const wire_t *wire = self->all->port->wire;
    self->behind = wire->archive && (is_too_much(self) || !archivelog_note(wire, NOTE_OPEN, NULL, false, NULL));
    if (!wire->archive || self->behind)
        return;
    uint64_t sequence = archivelog_next(wire);
    write_who(self);
    if (self->kept) {
        keeper_history.each(self->kept, write_kept, self);
        history_is_stored(self->kept, sequence);
    }
    archivelog_note(wire, NOTE_CLOSE, NULL, true, NULL);
    self->noted = true;
}

// --- all of them, once more -----------------------------------------------------------

uint64_t
durables_known(const durables_t *self)
{
    return self->known;
}

uint64_t
durables_needed(const durables_t *self)
{
    uint64_t needed = 0;
    for (uint32_t i = 0; i < self->room; i++)
        if (self->at[i])
            needed += 1 + (self->at[i]->kept ? durable_total(self->at[i]).messages : 0);
    return needed;
}

void
durables_rewind(durables_t *self)
{
    self->again_at = 0;
}

bool
durables_write_some(durables_t *self)
{
    for (uint64_t messages = 0; messages < AGAIN_MOST; self->again_at++) {
        if (self->again_at >= self->room)
            return true;
        durable_t *durable = self->at[self->again_at];
        if (!durable || !durable->noted)
            continue;
        durable_write_whole(durable);
        if (durable->behind)
            return false;
        messages += 1 + (durable->kept ? durable_total(durable).messages : 0);
    }
    return false;
}
