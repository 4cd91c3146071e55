// SPDX-License-Identifier: MPL-2.0
#include "store/store.h"

#include "base/bell.h"
#include "base/clock.h"
#include "base/mem.h"
#include "store/committer.h"
#include "store/lmdbfile.h"

#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum {
    LOADED_BYTES = 16 * 1024 * 1024,// of messages that wait in memory
    READS_MOST = 2,                 // batches that are being read
    COMMITS_MOST = 2,               // batches that the thread has
    ROOM_FIRST = 64 * 1024,         // of a batch that is filled
    DRAINED_PART = 4,               // of a file, from which on it is not kept when it is drained
    LOOK_AGAIN_MS = 1000,           // at ids that are about to be forgotten
    HEADS_MASK = (1 << 30) - 1,
    IDS_PART = 256,                 // of max_bytes, that an id counts for
};

struct store {
    char *owner;
    store_conf_t conf; // without its folder
    store_memory_t memory;
    committer_t *committer;
    committer_news_t news;
    int bell, timer;
    bool timer_is_set;
    bool opened; // the disk was read
    contents_t contents;
    uint64_t corrupt, expired;

    // On the way to the disk.
    batch_t *fill;  // messages, and their ids
    batch_t *words; // what was said of others
    uint64_t said, committed;
    unsigned commits, words_given; // that the thread has: with messages, without
    uint64_t *later;               // messages that are done and not committed
    size_t later_count, later_room;

    // On the way back.
    batch_t *loaded, **loaded_end;
    uint64_t loaded_bytes;
    uint32_t at;      // next one in the first of them
    uint64_t cursor;  // all below are loaded, or being read
    unsigned reads;
    uint32_t retiring; // file that is about to go, 0: none
    uint64_t notes;    // batch that is written before
    bool undone;       // something was: no file goes any more
};

int64_t
store_bucket_ns(unsigned bucket)
{
    return bucket < STORE_BUCKETS - 1 ? INT64_C(250000) << bucket : INT64_MAX;
}

const char *
store_state_name(store_state_t state)
{
    static const char *const names[] = { "ready", "opening", "full", "no_disk", "failed" };
    return names[state];
}

const char *
store_error(int error)
{
    return lmdbfile_error(error);
}

// --- opening and closing -----------------------------------------------------------

bool
store_is_built(void)
{
    return lmdbfile_is_built();
}

store_t *
store_open(const char *owner, const store_conf_t *conf, diag_t *diag, place_t place)
{
    folder_t *folder = folder_open(conf->folder, owner, diag, place);
    if (!folder)
        return NULL;
    store_t *self = xcalloc(1, sizeof *self);
    self->owner = xstrdup(owner);
    self->conf = *conf;
    self->conf.folder = NULL;
    self->committer = committer_new(&folder);
    self->news.state = STORE_OPENING;
    self->bell = bell_new();
    self->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    self->loaded_end = &self->loaded;
    return self;
}

void
store_begin(store_t *self, const store_memory_t *memory)
{
    self->memory = *memory;
    self->fill = batch_new();
    self->words = batch_new();
    if (committer_start(self->committer, self->owner, self->bell, &self->conf) == -1)
        self->news.state = STORE_FAILED;
}

void
store_change(store_t *self, const store_conf_t *conf)
{
    self->conf = *conf;
    self->conf.folder = NULL;
    committer_change(self->committer, conf);
}

int
store_fd(const store_t *self, unsigned i)
{
    return i == 0 ? self->bell : self->timer;
}

static void
release(store_t *self, batch_t *batch)
{
    if (batch->block)
        self->memory.drop(batch->block);
    batch_free(batch);
}

static void submit(store_t *self);
static void submit_words(store_t *self);
static void take_committed(store_t *self);

static uint64_t
close_begun(store_t *self, int64_t wait_ms)
{
    uint64_t lost = 0;
    if (self->opened) {
        submit(self);
        submit_words(self);
    }
    committer_stop(self->committer, wait_ms);
    take_committed(self);
    for (batch_t *batch; (batch = committer_lost(self->committer)); release(self, batch))
        lost += batch->head.messages;
    for (batch_t *batch; (batch = committer_was_read(self->committer)); release(self, batch))
        ;
    for (batch_t *batch; (batch = self->loaded); release(self, batch))
        self->loaded = batch->next;
    lost += self->fill->head.messages;
    release(self, self->fill);
    release(self, self->words);
    return lost;
}

uint64_t
store_close(store_t **self_p, int64_t wait_ms)
{
    store_t *self = *self_p;
    if (!self)
        return 0;
    uint64_t lost = self->fill ? close_begun(self, wait_ms) : 0;
    committer_free(&self->committer);
    contents_free(&self->contents);
    close(self->bell);
    close(self->timer);
    free(self->later);
    free(self->owner);
    free(self);
    *self_p = NULL;
    return lost;
}

// --- to the disk ---------------------------------------------------------------------

static void
number(store_t *self, batch_t *batch)
{
    batch->head.number = self->contents.next_batch++;
    batch->head.done_before = self->contents.done.before;
    batch->said_number = self->said;
}

static void
submit_words(store_t *self)
{
    if (self->words->head.said == 0)
        return;
    number(self, self->words);
    committer_commit(self->committer, self->words);
    self->words_given++;
    self->words = batch_new();
}

// What was said goes with the messages.
static void
submit(store_t *self)
{
    batch_t *batch = self->fill;
    if (batch->head.messages == 0)
        return;
    batch->own_said = batch->head.said;
    for (uint32_t i = 0; i < self->words->head.said; i++) {
        const said_t *said = &self->words->saying[i];
        batch_say(batch, (said_kind_t)said->kind, said->number, said->about.bytes, sizeof said->about);
    }
    self->words->head.said = 0;
    number(self, batch);
    committer_commit(self->committer, batch);
    self->commits++;
    self->fill = batch_new();
}

static bool
is_large(const store_t *self)
{
    return self->fill->head.data >= committer_batch_bytes(self->conf.max_bytes) / 2;
}

// While the thread writes one batch the next one grows; it has that before it would wait for it.
static bool
may_submit(const store_t *self)
{
    return self->news.state == STORE_READY && (self->commits == 0 ? self->words_given == 0 : self->commits < COMMITS_MOST && is_large(self));
}

static void
set_timer(store_t *self, int64_t ms)
{
    struct itimerspec when = { .it_value = { ms / 1000, ms % 1000 * 1000000 + 1 } };
    if (!self->timer_is_set)
        timerfd_settime(self->timer, 0, &when, NULL);
    self->timer_is_set = true;
}

static int64_t
since_ms(const store_t *self)
{
    int64_t fill = self->fill->head.messages ? self->fill->since_ms : INT64_MAX;
    int64_t words = self->words->head.said ? self->words->since_ms : INT64_MAX;
    return fill < words ? fill : words;
}

static void
turn(store_t *self, bool hurry)
{
    int64_t since = since_ms(self);
    if (!self->opened || since == INT64_MAX)
        return;
    int64_t left = hurry || is_large(self) ? 0 : since + self->conf.commit_ms - clock_mono_ms();
    if (left > 0) {
        set_timer(self, left);
        return;
    }
    if (may_submit(self))
        submit(self);
    if (self->words_given == 0 && (self->commits == 0 || self->news.state != STORE_READY))
        submit_words(self);
}

void
store_turn(store_t *self)
{
    turn(self, false);
}

void
store_hurry(store_t *self)
{
    turn(self, true);
}

// --- putting in ------------------------------------------------------------------------

uint64_t
store_committed(const store_t *self)
{
    return self->committed;
}

uint64_t
store_next_sequence(const store_t *self)
{
    return self->contents.next_sequence;
}

static void
make_room(store_t *self, size_t size)
{
    batch_t *batch = self->fill;
    size_t need = batch->head.data + size, room = batch->room ? batch->room : ROOM_FIRST;
    if (need <= batch->room)
        return;
    while (room < need)
        room *= 4;
    uint8_t *data;
    void *block = self->memory.take(self->memory.arg, room, &data);
    if (batch->block) {
        memcpy(data, batch->data, batch->head.data);
        self->memory.drop(batch->block);
    }
    batch->block = block;
    batch->data = data;
    batch->room = room;
}

static bool
has_room(store_t *self, size_t size)
{
    bool fits = self->fill->head.messages == 0 || self->fill->head.data + size <= committer_batch_bytes(self->conf.max_bytes);
    if (!fits && may_submit(self))
        submit(self);
    return self->fill->head.messages == 0 || self->fill->head.data + size <= committer_batch_bytes(self->conf.max_bytes);
}

static bool
is_known(store_t *self, const store_put_in_t *message, uint8_t hash[IDS_HASH], uint64_t *sequence)
{
    ids_hash(&self->contents.ids, message->who, message->who_size, message->id, message->id_size, hash);
    taken_id_t *known = ids_find(&self->contents.ids, hash);
    if (!known || clock_wall_ns() - known->wall_ns > self->conf.dedupe_ms * 1000000)
        return false;
    *sequence = known->sequence;
    return true;
}

static void
remember_id(store_t *self, const uint8_t hash[IDS_HASH], uint64_t sequence)
{
    ids_t *ids = &self->contents.ids;
    taken_id_t id = { .wall_ns = clock_wall_ns(), .sequence = sequence, .batch = self->contents.next_batch };
    memcpy(id.hash, hash, sizeof id.hash);
    ids_expire(ids, id.wall_ns - self->conf.dedupe_ms * 1000000, self->conf.max_bytes / IDS_PART);
    taken_id_t *known = ids_find(ids, hash);
    if (known)
        *known = id;
    else
        ids_add(ids, &id);
    batch_say(self->fill, SAID_ID, 0, hash, IDS_HASH);
}

static uint64_t
add(store_t *self, const store_put_in_t *message)
{
    batch_t *batch = self->fill;
    if (batch->head.messages == 0) {
        batch->since_ms = clock_mono_ms();
        batch->head.first = self->contents.next_sequence;
    }
    make_room(self, message->size);
    entry_t *entry = batch_add_entry(batch);
    *entry = (entry_t){ .at = (uint32_t)batch->head.data,
                        .size = (uint32_t)message->size,
                        .heads = (uint32_t)(message->size - message->payload) & HEADS_MASK };
    memcpy(batch->data + batch->head.data, message->data, message->size);
    batch->head.data += message->size;
    uint64_t sequence = self->contents.next_sequence++;
    bool nothing_waits = self->cursor == self->committed && self->reads == 0;
    if (message->done && nothing_waits) {
        entry->flags = ENTRY_DONE;
        batch->fresh = true;
        seqset_add(&self->contents.done, sequence);
    } else
        batch->alive++;
    return sequence;
}

store_put_t
store_put(store_t *self, const store_put_in_t *message, uint64_t *sequence)
{
    uint8_t hash[IDS_HASH];
    bool has_id = message->id_size > 0 && self->conf.dedupe_ms > 0;
    if (!self->opened)
        return STORE_NO_ROOM;
    if (message->size > MESSAGE_BYTES_MAX || message->size > self->conf.max_bytes / 4)
        return STORE_TOO_LARGE;
    if (has_id && is_known(self, message, hash, sequence))
        return STORE_KNOWN;
    bool must = message->must && self->fill->head.data + message->size < MESSAGE_BYTES_MAX;
    if (!has_room(self, message->size) && !must)
        return STORE_NO_ROOM;
    *sequence = add(self, message);
    if (has_id)
        remember_id(self, hash, *sequence);
    return STORE_TAKEN;
}

// --- what is said of messages ------------------------------------------------------------

static void
say(store_t *self, said_kind_t kind, uint32_t number, uint64_t sequence)
{
    if (self->words->head.said == 0)
        self->words->since_ms = clock_mono_ms();
    batch_say_sequence(self->words, kind, number, sequence);
    self->said++;
}

void
store_done(store_t *self, uint64_t sequence)
{
    if (sequence >= self->committed) {
        mem_grow(self->later, self->later_count, self->later_room);
        self->later[self->later_count++] = sequence;
        return;
    }
    if (!seqset_add(&self->contents.done, sequence))
        return;
    self->contents.messages--;
    tries_set(&self->contents.tries, sequence, 0);
    say(self, SAID_DONE, 1, sequence);
}

bool
store_undo(store_t *self, uint64_t sequence)
{
    const store_file_t *oldest = self->contents.files;
    bool there = self->contents.file_count > 0 && sequence >= oldest->name.first && sequence < self->committed
                 && self->retiring == 0;
    if (!there || !seqset_remove(&self->contents.done, sequence))
        return false;
    self->undone = true;
    self->contents.messages++;
    say(self, SAID_UNDONE, 1, sequence);
    return true;
}

void
store_try(store_t *self, uint64_t sequence, uint32_t tries)
{
    tries_set(&self->contents.tries, sequence, tries);
    say(self, SAID_TRIED, tries, sequence);
}

uint64_t
store_said(const store_t *self)
{
    return self->said;
}

uint64_t
store_reached(const store_t *self)
{
    return self->news.said;
}

// --- from the disk -----------------------------------------------------------------------

static void
load(store_t *self, batch_t *batch)
{
    batch->next = NULL;
    *(self->loaded ? self->loaded_end : &self->loaded) = batch;
    self->loaded_end = &batch->next;
    self->loaded_bytes += batch->room;
}

static uint64_t
end_of(const located_t *located)
{
    return located->first + located->messages;
}

// The first batch that has messages from the cursor on.
static const located_t *
find_next(const store_t *self)
{
    const located_t *from = self->contents.located + self->contents.located_from;
    size_t low = 0, high = self->contents.located_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (end_of(&from[middle]) <= self->cursor)
            low = middle + 1;
        else
            high = middle;
    }
    return low < self->contents.located_count ? &from[low] : NULL;
}

static void
read_ahead(store_t *self)
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
        self->cursor = end_of(located);
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

static void
take_read(store_t *self)
{
    for (batch_t *batch; (batch = committer_was_read(self->committer));) {
        self->reads--;
        self->loaded_bytes -= batch->room;
        lose_damaged(self, batch);
        load(self, batch);
    }
}

static void
release_first(store_t *self)
{
    batch_t *batch = self->loaded;
    self->loaded = batch->next;
    self->loaded_bytes -= batch->room;
    self->at = 0;
    release(self, batch);
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
                                      .done = entry->flags & ENTRY_DONE,
                                      .data = batch->data + entry->at,
                                      .size = entry->size,
                                      .payload = entry->size - entry->heads,
                                      .block = batch->block };
        return true;
    }
    read_ahead(self);
    return false;
}

bool
store_is_passed(const store_t *self)
{
    return self->opened && !self->loaded && self->reads == 0 && self->cursor == self->committed && self->commits == 0
           && self->fill->head.messages == 0;
}

// --- files that are not needed any more ----------------------------------------------------

static void
forget_done(store_t *self)
{
    contents_t *contents = &self->contents;
    while (contents->located_count > 0 && end_of(&contents->located[contents->located_from]) <= contents->done.before) {
        contents->located_from++;
        contents->located_count--;
    }
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
        if (id->batch > file->last_batch)
            continue;
        id->batch = notes->head.number;
        batch_say(notes, SAID_ID, (uint32_t)((now_ns - id->wall_ns) / 1000000), id->hash, sizeof id->hash);
    }
}

static void
retire(store_t *self, const store_file_t *file)
{
    batch_t *notes = batch_new();
    number(self, notes);
    self->notes = notes->head.number;
    write_ids_again(self, file, notes);
    bool is_newest = self->contents.file_count == 1;
    if (notes->head.said == 0 && !is_newest) {
        batch_free(notes);
        notes = NULL;
    }
    self->retiring = file->name.number;
    committer_retire(self->committer, &file->name, file->damaged, notes);
}

// The ids in it keep a file for a while, as long as there is much room.
static bool
is_kept_for_ids(store_t *self, const store_file_t *file)
{
    ids_t *ids = &self->contents.ids;
    ids_expire(ids, clock_wall_ns() - self->conf.dedupe_ms * 1000000, self->conf.max_bytes / IDS_PART);
    bool has_ids = ids->count > 0 && ids_at(ids, 0)->batch <= file->last_batch;
    return has_ids && self->news.bytes < self->conf.max_bytes / 2;
}

// The newest one: while something may be on its way to it, or there is little in it.
static bool
is_kept_open(const store_t *self, const store_file_t *file)
{
    uint64_t worth = committer_file_bytes(self->conf.max_bytes) / DRAINED_PART;
    return self->commits > 0 || self->words_given > 0 || (self->news.bytes < worth && !file->damaged);
}

static void
tidy(store_t *self)
{
    contents_t *contents = &self->contents;
    forget_done(self);
    if (self->retiring != 0 || self->undone || contents->file_count == 0)
        return;
    const store_file_t *file = &contents->files[0];
    bool is_needed = contents->located_count > 0 && contents->located[contents->located_from].file == file->name.number;
    if (is_needed || (contents->file_count == 1 && is_kept_open(self, file)))
        return;
    if (is_kept_for_ids(self, file))
        set_timer(self, LOOK_AGAIN_MS);
    else
        retire(self, file);
}

static void
drop_oldest(store_t *self)
{
    contents_t *contents = &self->contents;
    if (self->news.state != STORE_FULL || !self->conf.drop_oldest || self->retiring != 0 || contents->file_count < 2)
        return;
    const store_file_t *file = &contents->files[0];
    while (contents->located_count > 0 && contents->located[contents->located_from].file == file->name.number) {
        const located_t *located = &contents->located[contents->located_from];
        for (uint64_t i = located->first; i < end_of(located); i++)
            if (seqset_add(&contents->done, i)) {
                tries_set(&contents->tries, i, 0);
                contents->messages--;
                self->expired++;
            }
        if (self->cursor < end_of(located))
            self->cursor = end_of(located);
        contents->located_from++;
        contents->located_count--;
    }
    retire(self, file);
}

// --- news --------------------------------------------------------------------------------

static void
take_contents(store_t *self)
{
    if (self->opened || !committer_contents(self->committer, &self->contents))
        return;
    self->opened = true;
    self->committed = self->contents.next_sequence;
    self->cursor = self->contents.done.before;
    self->corrupt = self->contents.corrupt;
}

static void
say_what_had_to_wait(store_t *self)
{
    size_t count = self->later_count;
    uint64_t *later = self->later;
    self->later = NULL;
    self->later_count = self->later_room = 0;
    for (size_t i = 0; i < count; i++)
        store_done(self, later[i]);
    free(later);
}

static void
take_messages(store_t *self, batch_t *batch)
{
    bool is_next = self->cursor == batch->head.first && self->reads == 0;
    contents_locate(&self->contents, &(located_t){ batch->head.first, batch->offset, batch->head.data, batch->head.number,
                                                   batch->head.wall_ns, batch->head.messages, batch->file });
    self->commits--;
    self->contents.messages += batch->alive;
    self->committed = batch->head.first + batch->head.messages;
    if (!is_next || (self->loaded_bytes >= LOADED_BYTES && !batch->fresh)) {
        release(self, batch);
        return;
    }
    self->cursor = self->committed;
    load(self, batch);
}

static void
take_committed(store_t *self)
{
    for (batch_t *batch; (batch = committer_committed(self->committer));) {
        store_file_t *file = contents_file(&self->contents, batch->file);
        if (file && file->last_batch < batch->head.number)
            file->last_batch = batch->head.number;
        if (batch->head.messages > 0)
            take_messages(self, batch);
        else {
            self->words_given--;
            release(self, batch);
        }
    }
    if (self->later_count > 0)
        say_what_had_to_wait(self);
}

// The notes went to one of them.
static void
note_in_files(store_t *self)
{
    for (size_t i = 0; i < self->contents.file_count; i++)
        if (self->contents.files[i].last_batch < self->notes)
            self->contents.files[i].last_batch = self->notes;
}

static void
take_files(store_t *self)
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

void
store_hear(store_t *self)
{
    uint64_t times;
    bell_hear(self->bell);
    if (read(self->timer, &times, sizeof times) == sizeof times)
        self->timer_is_set = false;
    take_contents(self);
    if (!self->opened)
        return;
    committer_news(self->committer, &self->news);
    take_files(self);
    take_committed(self);
    take_read(self);
    drop_oldest(self);
    tidy(self);
    read_ahead(self);
    turn(self, false);
}

void
store_figures(const store_t *self, store_figures_t *figures)
{
    const contents_t *contents = &self->contents;
    *figures = (store_figures_t){ .state = self->opened ? self->news.state : STORE_OPENING,
                                  .error = self->news.error,
                                  .messages = contents->messages,
                                  .bytes = self->news.bytes,
                                  .corrupt = self->corrupt,
                                  .expired = self->expired,
                                  .commit_ns = self->news.commit_ns,
                                  .files = (unsigned)contents->file_count };
    if (figures->state == STORE_FULL && self->conf.drop_oldest)
        figures->state = STORE_READY; // something is about to go
    if (contents->located_count > 0 && contents->messages > 0)
        figures->oldest_ns = contents->located[contents->located_from].wall_ns;
    for (size_t i = 0; i < contents->file_count; i++)
        figures->damaged_files += contents->files[i].damaged;
    memcpy(figures->commits, self->news.commits, sizeof figures->commits);
}
