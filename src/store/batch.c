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

void
batch_write_head(uint8_t *at, const batch_head_t *head, const void *entries, const void *said)
{
    stored_head_t stored = { .head = *head };
    size_t said_size = head->said * sizeof(said_t);
    stored.control_crc = crc32c(crc32c(0, entries, head->messages * sizeof(entry_t)), said, said_size);
    stored.said_crc = crc32c(0, said, said_size);
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
batch_check_said(const uint8_t *at, const void *said, const batch_head_t *head)
{
    stored_head_t stored;
    return find_head(at, &stored) && stored.said_crc == crc32c(0, said, head->said * sizeof(said_t));
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

void
batch_say_early(batch_t *self, uint64_t sequence, uint64_t group)
{
    const uint64_t about[] = { sequence, group };
    said_t *last = self->head.said ? &self->saying[self->head.said - 1] : NULL;
    if (last && last->kind == SAID_EARLY && last->about.early.first + last->number == sequence)
        last->number++;
    else
        batch_say(self, SAID_EARLY, 1, about, sizeof about);
}

// What is told of a message is part of its check sum.
static uint32_t
crc_of_entry(const entry_t *entry)
{
    const uint32_t words[] = { entry->at, entry->size, entry->heads, entry->flags };
    return crc32c(0, words, sizeof words);
}

static void
crc_of_one(const batch_t *self, uint32_t i, uint32_t *crc)
{
    const entry_t *entry = &self->entries[i];
    *crc = crc32c(crc_of_entry(entry), self->data + entry->at, entry->size);
}

// As many as crc32c_rows takes, from I on: side by side as far as the shortest of them goes.
static void
crc_of_row(const batch_t *self, uint32_t i, uint32_t crcs[CRC32C_ROWS])
{
    const entry_t *entries = &self->entries[i];
    const uint8_t *rows[CRC32C_ROWS];
    uint32_t shortest = UINT32_MAX;
    for (unsigned row = 0; row < CRC32C_ROWS; row++) {
        crcs[row] = crc_of_entry(&entries[row]);
        rows[row] = self->data + entries[row].at;
        shortest = entries[row].size < shortest ? entries[row].size : shortest;
    }
    crc32c_rows(crcs, rows, shortest);
    for (unsigned row = 0; row < CRC32C_ROWS; row++)
        if (entries[row].size > shortest)
            crcs[row] = crc32c(crcs[row], rows[row] + shortest, entries[row].size - shortest);
}

static bool
fits(const batch_t *self, uint32_t i)
{
    const entry_t *entry = &self->entries[i];
    return entry->at <= self->head.data && entry->size <= self->head.data - entry->at && entry->heads <= entry->size;
}

// How many messages from I on can be looked at side by side: all of them, or one.
static uint32_t
row_from(const batch_t *self, uint32_t i)
{
    for (uint32_t end = i + CRC32C_ROWS; i < end; i++)
        if (i >= self->head.messages || !fits(self, i))
            return 1;
    return CRC32C_ROWS;
}

void
batch_seal(batch_t *self)
{
    uint32_t crcs[CRC32C_ROWS];
    for (uint32_t i = 0, row; !self->sealed && i < self->head.messages; i += row) {
        row = row_from(self, i);
        (row > 1 ? crc_of_row : crc_of_one)(self, i, crcs);
        for (uint32_t j = 0; j < row; j++)
            self->entries[i + j].crc = crcs[j];
    }
    self->sealed = true;
}

void
batch_verify(batch_t *self)
{
    uint32_t crcs[CRC32C_ROWS];
    for (uint32_t i = 0, row; i < self->head.messages; i += row) {
        row = row_from(self, i);
        if (row > 1 || fits(self, i))
            (row > 1 ? crc_of_row : crc_of_one)(self, i, crcs);
        for (uint32_t j = 0; j < row; j++)
            if (!fits(self, i + j) || self->entries[i + j].crc != crcs[j])
                self->entries[i + j].flags = ENTRY_BAD;
    }
}
