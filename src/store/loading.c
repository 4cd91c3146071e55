// SPDX-License-Identifier: MPL-2.0
#include "store/store_internal.h"

// What is being read at a time: many small batches, so that one commit is for all of them.
enum { READS_MOST = 16, READING_BYTES = 4 * 1024 * 1024 };

void
loading_add(store_t *self, batch_t *batch)
{
    batch->next = NULL;
    *(self->loaded ? self->loaded_end : &self->loaded) = batch;
    self->loaded_end = &batch->next;
    self->loaded_bytes += batch->room;
}

static const early_run_t *
early_of(const store_t *self)
{
    const early_t *early = &self->contents.early;
    return self->early < early->count ? &early->runs[self->early] : NULL;
}

static void
go_to(store_t *self, size_t early)
{
    self->early = early;
    self->cursor = early_of(self) ? early_of(self)->first : self->contents.done.before;
}

void
loading_begin(store_t *self)
{
    go_to(self, 0);
}

bool
loading_is_at(const store_t *self, uint64_t sequence)
{
    return !early_of(self) && self->cursor == sequence && self->reads == 0;
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

static void
read(store_t *self, const located_t *located, const store_file_t *file)
{
    batch_t *batch = batch_new();
    batch->room = located->data;
    batch->file = located->file;
    batch->early = early_of(self);
    batch->block = self->memory.take(self->memory.arg, located->data + 1, &batch->data);
    self->loaded_bytes += batch->room;
    self->reading_bytes += batch->room;
    self->cursor = located_end(located);
    self->reads++;
    committer_read(self->committer, batch, located, &file->name);
}

// The end of what the cursor goes through.
static uint64_t
end_of(const store_t *self)
{
    return early_of(self) ? early_of(self)->end : self->committed;
}

static bool
has_more(store_t *self)
{
    while (early_of(self) && self->cursor >= end_of(self))
        go_to(self, self->early + 1);
    return self->cursor < end_of(self);
}

static bool
may_read(const store_t *self)
{
    return self->reads < READS_MOST && self->reading_bytes < READING_BYTES && self->loaded_bytes < LOADED_BYTES;
}

void
loading_read_ahead(store_t *self)
{
    while (may_read(self) && has_more(self)) {
        const located_t *located = find_next(self);
        store_file_t *file = located ? contents_file(&self->contents, located->file) : NULL;
        if (file && located->first < end_of(self))
            read(self, located, file);
        else
            self->cursor = end_of(self);
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
        self->reading_bytes -= batch->room;
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

static void
pass(store_t *self, uint32_t messages)
{
    self->at += messages;
    if (self->at == self->loaded->head.messages)
        release_first(self);
}

void
store_pass(store_t *self)
{
    pass(self, 1);
}

void
store_pass_run(store_t *self, const store_run_t *run)
{
    pass(self, (uint32_t)run->messages);
}

// It was put as done, in this process.
static bool
is_given_now(const batch_t *batch, const entry_t *entry)
{
    return batch->fresh && entry->flags & ENTRY_DONE;
}

// What comes early does so once.
static bool
is_its_turn(const store_t *self, const batch_t *batch, uint64_t sequence)
{
    const early_run_t *early = batch->early;
    return early ? sequence >= early->first && sequence < early->end : !early_has(&self->contents.early, sequence);
}

static bool
is_shown(const store_t *self, const batch_t *batch, uint32_t i)
{
    const entry_t *entry = &batch->entries[i];
    if (entry->flags & ENTRY_BAD || !is_its_turn(self, batch, batch->head.first + i))
        return false;
    return is_given_now(batch, entry) || !seqset_has(&self->contents.done, batch->head.first + i);
}

// The entry that is shown next. NULL: there is none now.
static const entry_t *
find_shown(store_t *self)
{
    while (self->loaded && !is_shown(self, self->loaded, self->at))
        store_pass(self);
    if (self->loaded)
        return &self->loaded->entries[self->at];
    loading_read_ahead(self);
    return NULL;
}

bool
store_next(store_t *self, store_message_t *message)
{
    const entry_t *entry = find_shown(self);
    if (!entry)
        return false;
    const batch_t *batch = self->loaded;
    uint64_t sequence = batch->head.first + self->at;
    *message = (store_message_t){ .sequence = sequence,
                                  .tries = tries_of(&self->contents.tries, sequence),
                                  .done = is_given_now(batch, entry),
                                  .data = batch->data + entry->at,
                                  .size = entry->size,
                                  .payload = entry->size - entry->heads,
                                  .wall_ns = batch->head.wall_ns,
                                  .block = batch->block };
    return true;
}

// Does entry I of BATCH lie behind RUN, and is it like those in it?
static bool
goes_on(const store_t *self, const batch_t *batch, uint32_t i, const store_run_t *run)
{
    const entry_t *entry = &batch->entries[i];
    return batch->data + entry->at == run->data + run->size && is_given_now(batch, entry) == run->done &&
           is_shown(self, batch, i);
}

bool
store_next_run(store_t *self, uint64_t most, store_run_t *run)
{
    const entry_t *entry = find_shown(self);
    if (!entry)
        return false;
    const batch_t *batch = self->loaded;
    *run = (store_run_t){ .first = batch->head.first + self->at,
                          .done = is_given_now(batch, entry),
                          .data = batch->data + entry->at,
                          .block = batch->block };
    uint64_t left = batch->head.messages - self->at, end = self->at + (run->done || left < most ? left : most);
    for (uint32_t i = self->at; i < end && goes_on(self, batch, i, run); i++) {
        run->messages++;
        run->size += batch->entries[i].size;
        run->payload += batch->entries[i].size - batch->entries[i].heads;
    }
    return run->messages > 0;
}

bool
store_is_read(const store_t *self)
{
    return self->opened && loading_is_at(self, self->committed);
}

bool
store_is_passed(const store_t *self)
{
    return store_is_read(self) && !self->loaded && self->commits == 0 && self->fill->head.messages == 0;
}
