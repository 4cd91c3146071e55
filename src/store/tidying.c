// SPDX-License-Identifier: MPL-2.0
#include "store/store_internal.h"

#include "base/clock.h"
#include "store/writer.h"

enum {
    DRAINED_PART = 4,        // of a file, from which on it is not kept when it is drained
    NOTES_FILE = 128 * 1024, // bytes of one with notes only, besides the notes
    LOOK_AGAIN_MS = 1000,    // at ids that are about to be forgotten
};

static void
forget_done(store_t *self)
{
    contents_t *contents = &self->contents;
    while (contents->located_count > 0 &&
           located_end(&contents->located[contents->located_from]) <= contents->done.before) {
        contents->located_from++;
        contents->located_count--;
    }
}

// Nothing can be put for want of it.
static bool
lacks_room(const store_t *self)
{
    return self->news.state == STORE_FULL || self->news.state == STORE_NO_DISK;
}

// Ids that are written down in FILE only, again: they are known for as long as the others.
static void
write_ids_again(store_t *self, const store_file_t *file, batch_t *notes)
{
    ids_t *ids = &self->contents.ids;
    int64_t now_ns = clock_wall_ns();
    ids_expire(ids, now_ns - self->conf.dedupe_ms * 1000000, self->conf.max_bytes / IDS_PART);
    for (size_t i = 0; i < ids->count; i++) {
        taken_id_t *id = ids_at(ids, i);
        bool is_on_its_way = id->sequence >= self->committed;
        if (id->batch > file->last_batch || is_on_its_way)
            continue;
        id->batch = notes->head.number;
        batch_say(notes, SAID_ID, (uint32_t)((now_ns - id->wall_ns) / 1000000), id->hash, sizeof id->hash);
    }
}

static void
retire(store_t *self, const store_file_t *file)
{
    batch_t *notes = batch_new();
    filling_number(self, notes);
    self->notes = notes->head.number;
    write_ids_again(self, file, notes);
    bool is_newest = self->contents.file_count == 1;
    if (notes->head.said == 0 && !is_newest) {
        batch_free(notes);
        notes = NULL;
    }
    self->retiring = file->name.number;
    committer_retire(self->committer, &file->name, file->damaged, is_newest ? self->committed : UINT64_MAX, notes);
}

// The ids in it keep a file for a while, as long as there is much room; not one that ends in .done, which an earlier version of
// zbroker would not read.
static bool
is_kept_for_ids(store_t *self, const store_file_t *file)
{
    ids_t *ids = &self->contents.ids;
    if (file->name.is_done)
        return false;
    ids_expire(ids, clock_wall_ns() - self->conf.dedupe_ms * 1000000, self->conf.max_bytes / IDS_PART);
    bool has_ids = ids->count > 0 && ids_at(ids, 0)->batch <= file->last_batch;
    return has_ids && self->news.bytes < self->conf.max_bytes / 2 && !lacks_room(self);
}

// The newest one: while something may be on its way to it, or there is little in it. Where room is wanted it goes if that makes some.
static bool
is_kept_open(const store_t *self, const store_file_t *file)
{
    uint64_t worth = writer_file_bytes(self->conf.max_bytes) / DRAINED_PART;
    bool is_quiet = self->commits == 0 && self->words_given == 0;
    if (lacks_room(self))
        return self->news.bytes < NOTES_FILE + self->contents.ids.count * sizeof(said_t);
    return !is_quiet || (self->news.bytes < worth && !file->damaged);
}

void
tidying_look(store_t *self)
{
    contents_t *contents = &self->contents;
    forget_done(self);
    if (self->retiring != 0 || self->undone || contents->ids_later || contents->file_count == 0)
        return;
    const store_file_t *file = &contents->files[0];
    bool is_needed = contents->located_count > 0 && contents->located[contents->located_from].file == file->name.number;
    if (is_needed || (contents->file_count == 1 && is_kept_open(self, file)))
        return;
    if (is_kept_for_ids(self, file))
        store_set_timer(self, LOOK_AGAIN_MS);
    else
        retire(self, file);
}

void
tidying_drop_oldest(store_t *self)
{
    contents_t *contents = &self->contents;
    bool may_go = self->retiring == 0 && !contents->ids_later && contents->file_count >= 2;
    if (self->news.state != STORE_FULL || !self->conf.drop_oldest || !may_go)
        return;
    const store_file_t *file = &contents->files[0];
    while (contents->located_count > 0 && contents->located[contents->located_from].file == file->name.number) {
        const located_t *located = &contents->located[contents->located_from];
        for (uint64_t i = located->first; i < located_end(located); i++)
            if (seqset_add(&contents->done, i)) {
                tries_set(&contents->tries, i, 0);
                contents->messages--;
                self->expired++;
            }
        if (self->cursor < located_end(located))
            self->cursor = located_end(located);
        contents->located_from++;
        contents->located_count--;
    }
    retire(self, file);
}

// The notes went to one of them.
static void
note_in_files(store_t *self)
{
    for (size_t i = 0; i < self->contents.file_count; i++)
        if (self->contents.files[i].last_batch < self->notes)
            self->contents.files[i].last_batch = self->notes;
}

void
tidying_take_files(store_t *self)
{
    file_name_t file;
    uint32_t number;
    while (committer_made(self->committer, &file))
        contents_add_file(&self->contents, &file);
    while (committer_retired(self->committer, &number)) {
        contents_remove_file(&self->contents, number);
        note_in_files(self);
        self->retiring = 0;
    }
}
