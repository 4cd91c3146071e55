// SPDX-License-Identifier: MPL-2.0
#include "store/recover.h"

#include "base/mem.h"
#include "store/lmdbfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RANGE_MAX (UINT64_C(1) << 22) // messages in a row that may be missing, or of which one record may speak

// --- reading -------------------------------------------------------------------------

// What the file does not have reads as zeros.
static void
read_at(int fd, uint64_t offset, void *to, size_t size)
{
    uint8_t *at = to;
    while (size > 0) {
        ssize_t got = pread(fd, at, size, (off_t)offset);
        if (got == -1 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        at += got;
        offset += (uint64_t)got;
        size -= (size_t)got;
    }
    memset(at, 0, size);
}

bool
recover_batch(int fd, const located_t *located, uint64_t salt, batch_t *batch)
{
    uint8_t at[BATCH_HEAD];
    read_at(fd, located->offset, at, sizeof at);
    if (!batch_read_head(at, salt, UINT64_MAX, &batch->head) || batch->head.messages != located->messages ||
        batch->head.data != located->data)
        return false;
    size_t control = batch_control(&batch->head);
    uint8_t *bytes = xcalloc(control + 1, 1);
    read_at(fd, located->offset + BATCH_HEAD, bytes, control);
    batch->entries = xrealloc(batch->entries, batch->head.messages + 1, sizeof(entry_t));
    memcpy(batch->entries, bytes, batch->head.messages * sizeof(entry_t));
    free(bytes);
    read_at(fd, located->offset + BATCH_HEAD + control, batch->data, batch->head.data);
    batch->head.said = 0;
    batch_verify(batch);
    return true;
}

said_t *
recover_said(int fd, const located_t *located, uint64_t salt, uint32_t *count)
{
    uint8_t at[BATCH_HEAD];
    batch_head_t head;
    read_at(fd, located->offset, at, sizeof at);
    if (!batch_read_head(at, salt, UINT64_MAX, &head) || head.number != located->number)
        return NULL;
    said_t *said = xcalloc(head.said + 1, sizeof *said);
    *count = head.said;
    read_at(fd, located->offset + BATCH_HEAD + head.messages * sizeof(entry_t), said, head.said * sizeof *said);
    if (batch_check_said(at, said, &head))
        return said;
    free(said);
    return NULL;
}

// --- finding batches -----------------------------------------------------------------

typedef struct {
    contents_t *contents;
    const folder_t *folder;
    int64_t ids_since_ns;
    located_t *found;
    size_t count, room;
    int fd;
    uint64_t salt, bytes; // of the file at hand
    bool is_done;         // all of its messages are
    bool other_ids;       // of a later form
    size_t noted_before;  // contents->noted_count
    uint8_t *control;     // of the batch at hand
    size_t control_room;
} search_t;

// What LMDB says of a tree (MDB_db), and the beginning of its two first pages (MDB_meta), as its format 1 has them.
typedef struct {
    uint8_t shape[32];
    uint64_t entries, root;
} tree_t;

typedef struct {
    uint32_t magic, version;
    uint64_t address, map_bytes;
    tree_t free_pages, values;
    uint64_t last_page, transaction;
} meta_t;

// How many batches were committed; the power may have failed before it said so of one more. UINT64_MAX: the file does not say.
static uint64_t
count_committed(int fd)
{
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), entries = 0, transaction = 0;
    for (uint64_t i = 0; i < 2; i++) {
        meta_t meta;
        read_at(fd, i * page + LMDBFILE_PAGE_HEAD, &meta, sizeof meta);
        if (meta.magic != 0xBEEFC0DE || meta.version != 1)
            return UINT64_MAX;
        if (meta.transaction >= transaction) {
            transaction = meta.transaction;
            entries = meta.values.entries;
        }
    }
    return entries;
}

static int
compare(uint64_t a, uint64_t b)
{
    return a < b ? -1 : a > b;
}

// As they were written: what was said overtakes messages that the disk has no room for, and then has the sequence that
// these will have.
static int
compare_times(const void *a, const void *b)
{
    const located_t *first = a, *second = b;
    if (first->first != second->first)
        return compare(first->first, second->first);
    if (!first->messages != !second->messages)
        return first->messages ? 1 : -1;
    return compare(first->number, second->number);
}

// The head of LMDB's pages (MDB_page).
typedef struct {
    uint64_t number;
    uint16_t padding, flags;
    uint32_t more;
} page_head_t;
_Static_assert(sizeof(page_head_t) == LMDBFILE_PAGE_HEAD, "a value begins behind it");

// LMDB makes the pages of its trees in memory where a batch has been, and what is left of it goes to the file with them.
static bool
is_of_tree(const uint8_t *page)
{
    enum { BRANCH = 1, LEAF = 2, OVERFLOW = 4 };
    page_head_t head;
    memcpy(&head, page, sizeof head);
    return (head.flags & (BRANCH | LEAF)) && !(head.flags & OVERFLOW);
}

static void
find_batches(search_t *self, uint32_t file)
{
    uint8_t page[LMDBFILE_PAGE_HEAD + BATCH_HEAD];
    uint64_t step;
    self->count = 0;
    for (uint64_t at = 0; at + sizeof page < self->bytes; at += step) {
        batch_head_t head;
        step = LMDBFILE_PAGE;
        read_at(self->fd, at, page, sizeof page);
        if (!batch_read_head(page + LMDBFILE_PAGE_HEAD, self->salt, self->bytes, &head) || is_of_tree(page))
            continue;
        mem_grow(self->found, self->count, self->room);
        self->found[self->count++] = (located_t){ head.first,   at + LMDBFILE_PAGE_HEAD, head.data, head.number,
                                                  head.wall_ns, head.messages,           file };
        // What it says is read when all of them are found: the disk may begin.
        posix_fadvise(self->fd, (off_t)(at + sizeof page), (off_t)batch_control(&head), POSIX_FADV_WILLNEED);
        step = (LMDBFILE_PAGE_HEAD + batch_bytes(&head) + LMDBFILE_PAGE - 1) / LMDBFILE_PAGE * LMDBFILE_PAGE;
    }
    if (self->count > 0)
        qsort(self->found, self->count, sizeof *self->found, compare_times);
}

// --- what they say -------------------------------------------------------------------

static void
take_done(contents_t *contents, const said_t *said, bool done)
{
    uint64_t first = said->about.sequence, end = first + said->number;
    if (said->number > RANGE_MAX || first == 0 || first >= contents->next_sequence)
        return;
    end = end < contents->next_sequence ? end : contents->next_sequence;
    if (done)
        seqset_add_run(&contents->done, first, end - first);
    for (uint64_t i = first; !done && i < end; i++)
        seqset_remove(&contents->done, i);
}

static void
take_early(contents_t *contents, const said_t *said)
{
    const early_run_t run = { said->about.early.first, said->about.early.first + said->number,
                              said->about.early.group };
    if (run.first > 0 && run.end <= contents->next_sequence)
        early_add(&contents->early, &run);
}

static void
note_id(search_t *self, const said_t *said, const located_t *located)
{
    contents_t *contents = self->contents;
    if (self->other_ids || recover_taken_ns(said, located) < self->ids_since_ns)
        return;
    contents->noted_ids++;
    bool is_noted = contents->noted_count > 0 && contents->noted[contents->noted_count - 1].number == located->number &&
                    contents->noted[contents->noted_count - 1].file == located->file;
    if (is_noted)
        return;
    mem_grow(contents->noted, contents->noted_count, contents->noted_room);
    contents->noted[contents->noted_count++] = *located;
}

static void
take_key(search_t *self, const said_t *said)
{
    contents_t *contents = self->contents;
    self->other_ids = said->number > IDS_FORM;
    contents->has_key |= !self->other_ids;
    if (self->other_ids)
        contents->noted_count = self->noted_before;
    else
        memcpy(contents->ids.key, said->about.bytes, IDS_KEY);
}

static void
take_said(search_t *self, const said_t *said, const located_t *located)
{
    contents_t *contents = self->contents;
    switch (said->kind) {
    case SAID_DONE:
    case SAID_UNDONE:
        take_done(contents, said, said->kind == SAID_DONE);
        break;
    case SAID_TRIED:
        if (said->about.sequence > 0 && said->about.sequence < contents->next_sequence)
            tries_set(&contents->tries, said->about.sequence, said->number);
        break;
    case SAID_EARLY:
        take_early(contents, said);
        break;
    case SAID_ID:
        note_id(self, said, located);
        break;
    case SAID_KEY:
        take_key(self, said);
        break;
    default: // of a later version
        break;
    }
}

static void
lose(contents_t *contents, store_file_t *file, uint64_t from, uint64_t end)
{
    if (from == contents->done.before && contents->done.above == 0 && end > from) {
        seqset_done_before(&contents->done, end);
        contents->corrupt += end - from;
        file->damaged = true;
        return;
    }
    for (uint64_t i = from; i < end; i++)
        if (seqset_add(&contents->done, i)) {
            contents->corrupt++;
            file->damaged = true;
        }
}

// Messages that should be there before FIRST, and are not. False: so many cannot be.
static bool
look_for_gap(contents_t *contents, store_file_t *file, uint64_t first)
{
    if (first <= contents->next_sequence)
        return true;
    bool all_done = contents->done.before == contents->next_sequence;
    if (first - contents->next_sequence > RANGE_MAX && !all_done)
        return false;
    lose(contents, file, contents->next_sequence, first);
    contents->next_sequence = first;
    return true;
}

static void
take_flags(contents_t *contents, const located_t *located, const uint8_t *control)
{
    for (uint32_t i = 0; i < located->messages; i++) {
        entry_t entry;
        memcpy(&entry, control + i * sizeof entry, sizeof entry);
        if (entry.flags & ENTRY_DONE)
            seqset_add(&contents->done, located->first + i);
    }
}

static batch_t *
read_whole(const search_t *self, const located_t *located)
{
    batch_t *batch = batch_new();
    batch->data = xcalloc(1, located->data + 1);
    recover_batch(self->fd, located, self->salt, batch);
    return batch;
}

static void
free_whole(batch_t *batch)
{
    free(batch->data);
    batch_free(batch);
}

// Some entries are damaged: those of messages that are not are as they should be.
static void
take_flags_of_whole(search_t *self, store_file_t *file, const located_t *located)
{
    batch_t *batch = read_whole(self, located);
    for (uint32_t i = 0; i < located->messages; i++) {
        uint32_t flags = batch->entries ? batch->entries[i].flags : ENTRY_BAD;
        if (flags & ENTRY_BAD)
            lose(self->contents, file, located->first + i, located->first + i + 1);
        else if (flags & ENTRY_DONE)
            seqset_add(&self->contents->done, located->first + i);
    }
    free_whole(batch);
}

static void
take_records(search_t *self, const located_t *located, uint32_t count, const uint8_t *records)
{
    for (uint32_t i = 0; i < count; i++) {
        said_t said;
        memcpy(&said, records + i * sizeof said, sizeof said);
        take_said(self, &said, located);
    }
}

// A commit that was not finished was promised to nobody, and all of one that was is there.
static bool
is_whole(const search_t *self, const located_t *located)
{
    batch_t *batch = read_whole(self, located);
    bool whole = batch->entries != NULL;
    for (uint32_t i = 0; whole && i < located->messages; i++)
        whole = !(batch->entries[i].flags & ENTRY_BAD);
    free_whole(batch);
    return whole;
}

static const uint8_t *
read_control(search_t *self, const located_t *located, size_t size)
{
    if (size >= self->control_room)
        self->control = xrealloc(self->control, self->control_room = 2 * size + 64, 1);
    read_at(self->fd, located->offset + BATCH_HEAD, self->control, size);
    return self->control;
}

static void
take_batch(search_t *self, store_file_t *file, const located_t *located, bool committed)
{
    contents_t *contents = self->contents;
    uint8_t at[BATCH_HEAD];
    batch_head_t head;
    read_at(self->fd, located->offset, at, sizeof at);
    if (!batch_read_head(at, self->salt, self->bytes, &head))
        return;
    if (!committed && (self->is_done || !is_whole(self, located)))
        return;
    uint64_t end = head.first + head.messages;
    if (self->is_done)
        seqset_done_before(&contents->done, end);
    bool is_again = head.messages > 0 && end <= contents->next_sequence;
    if (is_again || !look_for_gap(contents, file, head.first))
        return;
    contents->next_sequence = end > contents->next_sequence ? end : contents->next_sequence;
    if (head.messages > 0 && !self->is_done)
        contents_locate(contents, located);
    seqset_done_before(&contents->done, head.done_before);
    const uint8_t *control = read_control(self, located, batch_control(&head));
    const uint8_t *said = control + head.messages * sizeof(entry_t);
    bool control_holds = batch_check_control(at, control, &head); // what was said is part of it
    if (control_holds)
        take_flags(contents, located, control);
    else if (!self->is_done)
        take_flags_of_whole(self, file, located);
    if (control_holds || batch_check_said(at, said, &head))
        take_records(self, located, head.said, said);
    else
        file->damaged = true;
}

// The messages of the first file that there is begin where it says; those of the others follow on the one before.
static void
begin_file(contents_t *contents, const file_name_t *name)
{
    store_file_t *before = contents->file_count ? &contents->files[contents->file_count - 1] : NULL;
    if (before)
        look_for_gap(contents, before, name->first);
    else if (name->first > 0 && name->first < INT64_MAX) {
        contents->next_sequence = name->first;
        seqset_done_before(&contents->done, name->first);
    }
    contents_add_file(contents, name);
}

// Not one of the batches that there are is found, as in a file of another format: each counts as a message.
static void
lose_all(contents_t *contents, store_file_t *file, uint64_t batches)
{
    file->damaged = true;
    contents->corrupt += batches < RANGE_MAX ? batches : RANGE_MAX;
}

static void
take_file(search_t *self, const file_name_t *name)
{
    contents_t *contents = self->contents;
    begin_file(contents, name);
    self->fd = folder_open_file(self->folder, name, O_RDONLY, &self->bytes);
    if (self->fd == -1)
        return;
    store_file_t *file = contents_file(contents, name->number);
    posix_fadvise(self->fd, 0, 0, POSIX_FADV_RANDOM); // of it only heads are read
    self->salt = name->salt;
    self->is_done = name->is_done;
    self->other_ids = false;
    self->noted_before = contents->noted_count;
    uint64_t committed = count_committed(self->fd);
    contents->bytes += self->bytes;
    find_batches(self, name->number);
    for (size_t i = 0; i < self->count; i++) {
        take_batch(self, file, &self->found[i], i < committed);
        if (self->found[i].number > file->last_batch)
            file->last_batch = self->found[i].number;
    }
    if (self->count == 0 && committed > 0 && committed < UINT64_MAX)
        lose_all(contents, file, committed);
    if (file->last_batch >= contents->next_batch)
        contents->next_batch = file->last_batch + 1;
    close(self->fd);
}

static void
empty_batch(const search_t *self, uint64_t offset)
{
    uint8_t at[BATCH_HEAD];
    batch_head_t head;
    read_at(self->fd, offset, at, sizeof at);
    if (!batch_read_head(at, self->salt, self->bytes, &head) || head.data == 0)
        return;
    uint64_t data = offset + BATCH_HEAD + batch_control(&head);
    fallocate(self->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)data, (off_t)head.data);
}

void
recover_empty(const folder_t *folder, const file_name_t *file)
{
    search_t search = { .salt = file->salt };
    search.fd = folder_open_file(folder, file, O_RDWR, &search.bytes);
    if (search.fd == -1)
        return;
    find_batches(&search, file->number);
    for (size_t i = 0; i < search.count; i++)
        empty_batch(&search, search.found[i].offset);
    free(search.found);
    close(search.fd);
}

int
recover(const folder_t *folder, int64_t ids_since_ns, contents_t *contents)
{
    size_t count;
    *contents = (contents_t){ .next_sequence = 1, .next_batch = 1, .next_file = 1 };
    seqset_done_before(&contents->done, 1);
    search_t search = { .contents = contents, .folder = folder, .ids_since_ns = ids_since_ns };
    file_name_t *names = folder_list(folder, &count);
    if (!names)
        return -1;
    for (size_t i = 0; i < count; i++)
        take_file(&search, &names[i]);
    free(search.found);
    free(search.control);
    free(names);
    early_arrange(&contents->early, contents->done.before);
    contents->messages = contents->next_sequence - contents->done.before - contents->done.above;
    return 0;
}
