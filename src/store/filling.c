// SPDX-License-Identifier: MPL-2.0
#include "store/store_internal.h"

#include "base/clock.h"
#include "base/mem.h"
#include "store/writer.h"

#include <string.h>

enum {
    COMMITS_MOST = 2,       // batches that the thread has
    ROOM_LEAST = 64 * 1024, // of a batch that is filled
    HEADS_MASK = (1 << 30) - 1,
};

// --- to the disk ---------------------------------------------------------------------

void
filling_number(store_t *self, batch_t *batch)
{
    batch->head.number = self->contents.next_batch++;
    batch->head.done_before = self->contents.done.before;
    batch->said_number = self->said;
}

void
filling_submit_words(store_t *self)
{
    if (self->words->head.said == 0)
        return;
    filling_number(self, self->words);
    committer_commit(self->committer, self->words);
    self->words_given++;
    self->words = batch_new();
}

// What was said goes with the messages.
void
filling_submit(store_t *self)
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
    filling_number(self, batch);
    self->filled_before = batch->head.data;
    batch->stays = self->loaded_bytes < LOADED_BYTES && self->reads == 0;
    committer_commit(self->committer, batch);
    self->commits++;
    self->fill = batch_new();
}

static bool
is_large(const store_t *self)
{
    return self->fill->head.data >= writer_batch_bytes(self->conf.max_bytes) / 2;
}

// While the thread writes one batch the next one grows; it has that before it would wait for it.
static bool
may_submit(const store_t *self)
{
    return self->news.state == STORE_READY &&
           (self->commits == 0 ? self->words_given == 0 : self->commits < COMMITS_MOST && is_large(self));
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
        store_set_timer(self, left);
        return;
    }
    if (may_submit(self))
        filling_submit(self);
    if (self->words_given == 0 && (self->commits == 0 || self->news.state != STORE_READY))
        filling_submit_words(self);
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

bool
store_had(const store_t *self, uint64_t sequence)
{
    return sequence < self->inherited;
}

// As if this batch became like the one before.
static size_t
usual_room(const store_t *self)
{
    uint64_t most = writer_batch_bytes(self->conf.max_bytes), bytes = 2 * self->filled_before;
    return bytes < ROOM_LEAST ? ROOM_LEAST : bytes < most ? bytes : most;
}

static void
make_room(store_t *self, size_t size)
{
    batch_t *batch = self->fill;
    size_t need = batch->head.data + size, room = batch->room ? batch->room : usual_room(self);
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
fits(const store_t *self, size_t size)
{
    const batch_head_t *head = &self->fill->head;
    return head->messages == 0 || head->data + size <= writer_batch_bytes(self->conf.max_bytes);
}

static bool
has_room(store_t *self, size_t size)
{
    if (!fits(self, size) && may_submit(self))
        filling_submit(self);
    return fits(self, size);
}

// The id of a message that is put.
typedef struct {
    uint8_t hash[IDS_HASH];
    int64_t wall_ns;   // now
    taken_id_t *known; // where it was found; NULL: nowhere
} put_id_t;

static bool
has_id(const store_t *self, const store_put_in_t *message)
{
    return message->id_size > 0 && self->conf.dedupe_ms > 0;
}

static void
read_id(const store_t *self, const void *who, size_t who_size, const store_put_in_t *message, put_id_t *id)
{
    ids_hash(&self->contents.ids, who, who_size, message->id, message->id_size, id->hash);
    ids_expect(&self->contents.ids, id->hash);
}

static bool
is_known(store_t *self, put_id_t *id, uint64_t *sequence)
{
    id->known = ids_find(&self->contents.ids, id->hash);
    if (!id->known || id->wall_ns - id->known->wall_ns > self->conf.dedupe_ms * 1000000)
        return false;
    *sequence = id->known->sequence;
    return true;
}

static void
expire_ids(store_t *self, int64_t now_ns)
{
    ids_expire(&self->contents.ids, now_ns - self->conf.dedupe_ms * 1000000, self->conf.max_bytes / IDS_PART);
}

// It was looked for just before.
static void
remember_id(store_t *self, const put_id_t *id, uint64_t sequence)
{
    taken_id_t taken = { .wall_ns = id->wall_ns, .sequence = sequence, .batch = self->contents.next_batch };
    memcpy(taken.hash, id->hash, sizeof taken.hash);
    if (id->known)
        *id->known = taken;
    else
        ids_add(&self->contents.ids, &taken);
    batch_say(self->fill, SAID_ID, 0, taken.hash, IDS_HASH);
}

static void
say_early(store_t *self, uint64_t sequence)
{
    if (self->early_group == 0)
        self->early_group = sequence;
    batch_say_early(self->fill, sequence, self->early_group);
}

static bool
is_too_large(const store_t *self, size_t size)
{
    return size > MESSAGE_BYTES_MAX || size > self->conf.max_bytes / 4;
}

// Room in the batch for COUNT messages of SIZE bytes together; their entries, to be written.
static entry_t *
add_entries(store_t *self, uint32_t count, size_t size)
{
    batch_t *batch = self->fill;
    if (batch->head.messages == 0) {
        batch->since_ms = clock_mono_ms();
        batch->head.first = self->contents.next_sequence;
    }
    make_room(self, size);
    self->contents.next_sequence += count;
    return batch_add_entries(batch, count);
}

static inline entry_t
entry_of(size_t at, size_t size, uint64_t payload, bool done)
{
    return (entry_t){ .at = (uint32_t)at, .size = (uint32_t)size, .heads = (uint32_t)(size - payload) & HEADS_MASK, .flags = done ? ENTRY_DONE : 0 };
}

// COUNT messages, of SIZE bytes together. Returns the sequence of the first.
static uint64_t
add(store_t *self, const uint8_t *data, size_t size, const store_part_t *parts, uint32_t count, bool done)
{
    batch_t *batch = self->fill;
    uint64_t first = self->contents.next_sequence;
    bool is_done = done && store_is_read(self);
    entry_t *entries = add_entries(self, count, size);
    size_t at = batch->head.data;
    memcpy(batch->data + at, data, size);
    for (uint32_t i = 0; i < count; at += parts[i++].size)
        entries[i] = entry_of(at, parts[i].size, parts[i].payload, is_done);
    batch->head.data = at;
    if (is_done) {
        batch->fresh = true;
        seqset_add_run(&self->contents.done, first, count);
    } else
        batch->alive += count;
    return first;
}

store_put_t
store_put(store_t *self, const store_put_in_t *message, uint64_t *sequence)
{
    put_id_t id, *named = has_id(self, message) ? &id : NULL;
    if (!self->opened || (named && self->contents.ids_later))
        return STORE_NO_ROOM;
    if (is_too_large(self, message->size))
        return STORE_TOO_LARGE;
    if (named) {
        id.wall_ns = clock_wall_ns();
        expire_ids(self, id.wall_ns);
        read_id(self, message->who, message->who_size, message, named);
        if (is_known(self, named, sequence))
            return STORE_KNOWN;
    }
    bool must = message->must && self->fill->head.data + message->size < MESSAGE_BYTES_MAX;
    if (!has_room(self, message->size) && !must)
        return STORE_NO_ROOM;
    const store_part_t part = { (uint32_t)message->size, (uint32_t)message->payload };
    *sequence = add(self, message->data, message->size, &part, 1, message->done);
    if (named)
        remember_id(self, named, *sequence);
    if (message->early)
        say_early(self, *sequence);
    return STORE_TAKEN;
}

static bool
may_be_put(const store_t *self, const store_put_in_t *message)
{
    return self->opened && !is_too_large(self, message->size) && !(self->contents.ids_later && has_id(self, message));
}

// How many of MESSAGES find room in the batch, whichever of them are known.
static uint32_t
count_certain(store_t *self, const store_put_in_t *messages, uint32_t count)
{
    uint64_t most = writer_batch_bytes(self->conf.max_bytes);
    uint32_t certain = 0;
    if (count == 0 || !may_be_put(self, &messages[0]) || !has_room(self, messages[0].size))
        return 0;
    uint64_t bytes = self->fill->head.data;
    do
        bytes += messages[certain++].size;
    while (certain < count && may_be_put(self, &messages[certain]) && bytes + messages[certain].size <= most);
    return certain;
}

// Which of them are known, and what the others are called. Where an id may be in memory is told for all of them before the first
// is looked for.
static void
name_each(store_t *self, const void *who, size_t who_size, const store_put_in_t *messages, uint32_t count, store_was_put_t *put)
{
    put_id_t ids[STORE_AT_ONCE];
    uint64_t next = self->contents.next_sequence;
    int64_t now_ns = clock_wall_ns();
    expire_ids(self, now_ns);
    for (uint32_t i = 0; i < count; i++)
        if (has_id(self, &messages[i])) {
            ids[i].wall_ns = now_ns;
            read_id(self, who, who_size, &messages[i], &ids[i]);
        }
    for (uint32_t i = 0; i < count; i++) {
        bool named = has_id(self, &messages[i]);
        put[i].result = named && is_known(self, &ids[i], &put[i].sequence) ? STORE_KNOWN : STORE_TAKEN;
        if (put[i].result == STORE_KNOWN)
            continue;
        put[i].sequence = next++;
        if (named)
            remember_id(self, &ids[i], put[i].sequence);
    }
}

// Those that are not known.
static void
add_each(store_t *self, const store_put_in_t *messages, uint32_t count, const store_was_put_t *put)
{
    size_t size = 0;
    uint32_t taken = 0;
    for (uint32_t i = 0; i < count; i++)
        if (put[i].result == STORE_TAKEN) {
            size += messages[i].size;
            taken++;
        }
    if (taken == 0)
        return;
    entry_t *entry = add_entries(self, taken, size);
    batch_t *batch = self->fill;
    for (uint32_t i = 0; i < count; i++) {
        if (put[i].result != STORE_TAKEN)
            continue;
        memcpy(batch->data + batch->head.data, messages[i].data, messages[i].size);
        *entry++ = entry_of(batch->head.data, messages[i].size, messages[i].payload, false);
        batch->head.data += messages[i].size;
    }
    batch->alive += taken;
}

uint32_t
store_put_each(store_t *self, const void *who, size_t who_size, const store_put_in_t *messages, uint32_t count, store_was_put_t *put)
{
    uint32_t certain = count_certain(self, messages, count);
    name_each(self, who, who_size, messages, certain, put);
    add_each(self, messages, certain, put);
    return certain;
}

// How many of PARTS find room in the batch, of SIZE bytes together; the first one does.
static uint32_t
count_fitting(const store_t *self, const store_part_t *parts, uint32_t count, size_t *size)
{
    uint32_t fitting = 1;
    uint64_t most = writer_batch_bytes(self->conf.max_bytes), have = self->fill->head.data;
    *size = parts[0].size;
    while (fitting < count && have + *size + parts[fitting].size <= most)
        *size += parts[fitting++].size;
    return fitting;
}

uint32_t
store_put_many(store_t *self, const uint8_t *data, const store_part_t *parts, uint32_t count, bool done)
{
    uint32_t taken = 0, fitting;
    size_t size;
    if (!self->opened)
        return 0;
    while (taken < count && !is_too_large(self, parts[taken].size) && has_room(self, parts[taken].size)) {
        fitting = count_fitting(self, parts + taken, count - taken, &size);
        add(self, data, size, parts + taken, fitting, done);
        data += size;
        taken += fitting;
    }
    return taken;
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

void
store_done_run(store_t *self, const store_run_t *run)
{
    self->contents.messages -= seqset_add_run(&self->contents.done, run->first, run->messages);
    for (uint64_t i = 0; self->contents.tries.count > 0 && i < run->messages; i++)
        tries_set(&self->contents.tries, run->first + i, 0);
    say(self, SAID_DONE, (uint32_t)run->messages, run->first);
}

bool
store_undo(store_t *self, uint64_t sequence)
{
    const store_file_t *oldest = self->contents.files;
    bool there = self->contents.file_count > 0 && sequence >= oldest->name.first && sequence < self->committed &&
                 self->retiring == 0;
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
