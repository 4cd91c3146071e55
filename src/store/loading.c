// SPDX-License-Identifier: MPL-2.0
#include "store/store_parts.h"

enum { READS_MOST = 2 }; // batches that are being read

void
loading_add(store_t *self, batch_t *batch)
{
    batch->next = NULL;
    *(self->loaded ? self->loaded_end : &self->loaded) = batch;
    self->loaded_end = &batch->next;
    self->loaded_bytes += batch->room;
}

// The first batch that has messages from the cursor on.
static const located_t *
find_next(const store_t *self)
{
    const located_t *from = self->contents.located + self->contents.located_from;
    size_t low = 0, high = self->contents.located_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (located_end(&from[middle]) <= self->cursor)
            low = middle + 1;
        else
            high = middle;
    }
    return low < self->contents.located_count ? &from[low] : NULL;
}

void
loading_read_ahead(store_t *self)
{
    while (self->reads < READS_MOST && self->loaded_bytes < LOADED_BYTES && self->cursor < self->committed) {
        const located_t *located = find_next(self);
        store_file_t *file = located ? contents_file(&self->contents, located->file) : NULL;
        if (!file) {
            self->cursor = self->committed;
            return;
        }
        batch_t *batch = batch_new();
        batch->room = located->data;
        batch->file = located->file;
        batch->block = self->memory.take(self->memory.arg, located->data + 1, &batch->data);
        self->loaded_bytes += batch->room;
        self->cursor = located_end(located);
        self->reads++;
        committer_read(self->committer, batch, located, &file->name);
    }
}

static void
lose_damaged(store_t *self, const batch_t *batch)
{
    store_file_t *file = contents_file(&self->contents, batch->file);
    for (uint32_t i = 0; i < batch->head.messages; i++) {
        uint64_t sequence = batch->head.first + i;
        if (!(batch->entries[i].flags & ENTRY_BAD) || seqset_has(&self->contents.done, sequence))
            continue;
        store_done(self, sequence);
        self->corrupt++;
        if (file)
            file->damaged = true;
    }
}

void
loading_take_read(store_t *self)
{
    for (batch_t *batch; (batch = committer_was_read(self->committer));) {
        self->reads--;
        self->loaded_bytes -= batch->room;
        lose_damaged(self, batch);
        loading_add(self, batch);
    }
}

static void
release_first(store_t *self)
{
    batch_t *batch = self->loaded;
    self->loaded = batch->next;
    self->loaded_bytes -= batch->room;
    self->at = 0;
    store_release(self, batch);
}

void
store_pass(store_t *self)
{
    batch_t *batch = self->loaded;
    if (++self->at == batch->head.messages)
        release_first(self);
}

static bool
is_shown(const store_t *self, const batch_t *batch, const entry_t *entry, uint64_t sequence)
{
    if (entry->flags & ENTRY_BAD)
        return false;
    return !seqset_has(&self->contents.done, sequence) || (batch->fresh && entry->flags & ENTRY_DONE);
}

bool
store_next(store_t *self, store_message_t *message)
{
    for (; self->loaded; store_pass(self)) {
        const batch_t *batch = self->loaded;
        const entry_t *entry = &batch->entries[self->at];
        uint64_t sequence = batch->head.first + self->at;
        if (!is_shown(self, batch, entry, sequence))
            continue;
        *message = (store_message_t){ .sequence = sequence,
                                      .tries = tries_of(&self->contents.tries, sequence),
                                      .done = batch->fresh && entry->flags & ENTRY_DONE,
                                      .data = batch->data + entry->at,
                                      .size = entry->size,
                                      .payload = entry->size - entry->heads,
                                      .wall_ns = batch->head.wall_ns,
                                      .block = batch->block };
        return true;
    }
    loading_read_ahead(self);
    return false;
}

bool
store_is_passed(const store_t *self)
{
    return self->opened && !self->loaded && self->reads == 0 && self->cursor == self->committed && self->commits == 0 &&
           self->fill->head.messages == 0;
}
