// SPDX-License-Identifier: MPL-2.0
#include "store/store_parts.h"

#include "base/clock.h"
#include "base/mem.h"
#include "store/writer.h"

#include <string.h>

enum {
    COMMITS_MOST = 2,       // batches that the thread has
    ROOM_FIRST = 64 * 1024, // of a batch that is filled
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
    bool fits =
        self->fill->head.messages == 0 || self->fill->head.data + size <= writer_batch_bytes(self->conf.max_bytes);
    if (!fits && may_submit(self))
        filling_submit(self);
    return self->fill->head.messages == 0 || self->fill->head.data + size <= writer_batch_bytes(self->conf.max_bytes);
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
