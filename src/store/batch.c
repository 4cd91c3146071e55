// SPDX-License-Identifier: MPL-2.0
#include "store/batch.h"

#include "base/crc32c.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

static const char magic[8] = "zbatch1";

// A head as it lies on the disk.
typedef struct {
    char magic[8];
    batch_head_t head;
    uint32_t control_crc, crc; // of all that stands before it
} stored_head_t;

_Static_assert(sizeof(stored_head_t) <= BATCH_HEAD, "the head fits its place");
_Static_assert(sizeof(entry_t) == 16 && sizeof(said_t) == 24, "records have no holes");

// --- on the disk -------------------------------------------------------------------

void
batch_write_head(uint8_t *at, const batch_head_t *head, const uint8_t *control)
{
    stored_head_t stored = { .head = *head, .control_crc = crc32c(0, control, batch_control(head)) };
    memcpy(stored.magic, magic, sizeof magic);
    stored.crc = crc32c(0, &stored, offsetof(stored_head_t, crc));
    memset(at, 0, BATCH_HEAD);
    memcpy(at, &stored, sizeof stored);
}

bool
batch_read_head(const uint8_t *at, uint64_t salt, uint64_t file_bytes, batch_head_t *head)
{
    stored_head_t stored;
    memcpy(&stored, at, sizeof stored);
    if (memcmp(stored.magic, magic, sizeof magic) != 0 || stored.head.salt != salt)
        return false;
    if (stored.crc != crc32c(0, &stored, offsetof(stored_head_t, crc)))
        return false;
    *head = stored.head;
    bool fits = head->data <= file_bytes && batch_control(head) <= file_bytes && head->first > 0
                && head->first < INT64_MAX && head->done_before <= head->first + head->messages;
    return fits;
}

bool
batch_check_control(const uint8_t *at, const uint8_t *control, const batch_head_t *head)
{
    stored_head_t stored;
    memcpy(&stored, at, sizeof stored);
    return stored.control_crc == crc32c(0, control, batch_control(head));
}

bool
batch_check_entries(const entry_t *entries, const batch_head_t *head)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < head->messages; i++) {
        if (entries[i].size > MESSAGE_BYTES_MAX || entries[i].heads > entries[i].size)
            return false;
        sum += entries[i].size;
    }
    return sum == head->data;
}

// --- in memory ---------------------------------------------------------------------

batch_t *
batch_new(void)
{
    return xcalloc(1, sizeof(batch_t));
}

void
batch_free(batch_t *self)
{
    free(self->entries);
    free(self->saying);
    free(self);
}

entry_t *
batch_add_entry(batch_t *self)
{
    mem_grow(self->entries, self->head.messages, self->entry_room);
    return &self->entries[self->head.messages++];
}

void
batch_say(batch_t *self, said_kind_t kind, uint32_t number, const void *about, size_t size)
{
    mem_grow(self->saying, self->head.said, self->saying_room);
    said_t *said = &self->saying[self->head.said++];
    *said = (said_t){ .kind = kind, .number = number };
    memcpy(said->about.bytes, about, size);
}

// What is said of neighbours is said once.
void
batch_say_sequence(batch_t *self, said_kind_t kind, uint32_t number, uint64_t sequence)
{
    said_t *last = self->head.said ? &self->saying[self->head.said - 1] : NULL;
    bool goes_on = last && kind != SAID_TRIED && last->kind == kind && last->about.sequence + last->number == sequence;
    if (goes_on && last->number < INT32_MAX)
        last->number += number;
    else
        batch_say(self, kind, number, &sequence, sizeof sequence);
}

void
batch_seal(batch_t *self)
{
    const uint8_t *at = self->data;
    for (uint32_t i = 0; !self->sealed && i < self->head.messages; at += self->entries[i++].size)
        self->entries[i].crc = crc32c(0, at, self->entries[i].size);
    self->sealed = true;
}

void
batch_verify(batch_t *self)
{
    const uint8_t *at = self->data;
    for (uint32_t i = 0; i < self->head.messages; at += self->entries[i++].size)
        if (self->entries[i].crc != crc32c(0, at, self->entries[i].size))
            self->entries[i].flags |= ENTRY_BAD;
}
