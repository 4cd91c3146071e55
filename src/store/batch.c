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
    uint32_t control_crc, said_crc;
    uint32_t crc; // of all that stands before it
} stored_head_t;

_Static_assert(2 * sizeof(stored_head_t) <= BATCH_HEAD, "the head fits its place");
_Static_assert(sizeof(entry_t) == 16 && sizeof(said_t) == 24, "records have no holes");

// --- on the disk -------------------------------------------------------------------

static uint32_t
crc_of_said(const uint8_t *control, const batch_head_t *head)
{
    return crc32c(0, control + head->messages * sizeof(entry_t), head->said * sizeof(said_t));
}

void
batch_write_head(uint8_t *at, const batch_head_t *head, const uint8_t *control)
{
    stored_head_t stored = { .head = *head };
    stored.control_crc = crc32c(0, control, batch_control(head));
    stored.said_crc = crc_of_said(control, head);
    memcpy(stored.magic, magic, sizeof magic);
    stored.crc = crc32c(0, &stored, offsetof(stored_head_t, crc));
    memset(at, 0, BATCH_HEAD);
    memcpy(at, &stored, sizeof stored);
    memcpy(at + BATCH_HEAD / 2, &stored, sizeof stored);
}

static bool
find_head(const uint8_t *at, stored_head_t *stored)
{
    for (size_t i = 0; i < BATCH_HEAD; i += BATCH_HEAD / 2) {
        memcpy(stored, at + i, sizeof *stored);
        if (memcmp(stored->magic, magic, sizeof magic) == 0 &&
            stored->crc == crc32c(0, stored, offsetof(stored_head_t, crc)))
            return true;
    }
    return false;
}

bool
batch_read_head(const uint8_t *at, uint64_t salt, uint64_t file_bytes, batch_head_t *head)
{
    stored_head_t stored;
    if (!find_head(at, &stored) || stored.head.salt != salt)
        return false;
    *head = stored.head;
    bool fits = head->data <= file_bytes && batch_control(head) <= file_bytes && head->first > 0 &&
                head->first < INT64_MAX && head->done_before <= head->first + head->messages;
    return fits;
}

bool
batch_check_control(const uint8_t *at, const uint8_t *control, const batch_head_t *head)
{
    stored_head_t stored;
    return find_head(at, &stored) && stored.control_crc == crc32c(0, control, batch_control(head));
}

bool
batch_check_said(const uint8_t *at, const uint8_t *control, const batch_head_t *head)
{
    stored_head_t stored;
    return find_head(at, &stored) && stored.said_crc == crc_of_said(control, head);
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
batch_add_entries(batch_t *self, uint32_t count)
{
    uint32_t at = self->head.messages;
    self->head.messages += count;
    while (self->head.messages > self->entry_room)
        mem_grow(self->entries, self->entry_room, self->entry_room);
    return &self->entries[at];
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

static uint32_t
crc_of(const entry_t *entry, const uint8_t *data)
{
    const uint32_t words[] = { entry->at, entry->size, entry->heads, entry->flags };
    return crc32c(crc32c(0, words, sizeof words), data + entry->at, entry->size);
}

void
batch_seal(batch_t *self)
{
    for (uint32_t i = 0; !self->sealed && i < self->head.messages; i++)
        self->entries[i].crc = crc_of(&self->entries[i], self->data);
    self->sealed = true;
}

void
batch_verify(batch_t *self)
{
    for (uint32_t i = 0; i < self->head.messages; i++) {
        entry_t *entry = &self->entries[i];
        bool fits =
            entry->at <= self->head.data && entry->size <= self->head.data - entry->at && entry->heads <= entry->size;
        if (!fits || entry->crc != crc_of(entry, self->data))
            entry->flags = ENTRY_BAD;
    }
}
