// SPDX-License-Identifier: MPL-2.0
#include "wire/archive.h"

#include "base/clock.h"
#include "base/mem.h"
#include "store/store.h"
#include "wire/remember.h"
#include "wire/storage.h"

#include <poll.h>
#include <stdlib.h>

enum {
    START_MS = 3000, // for the disk, before subscribers are let in
    TURN_MS = 50,
    WORTH_IT = 2,         // so many times what is remembered may be in the store,
    WORTH_IT_FROM = 4096, // and so many messages more
};

typedef struct {
    watched_t watched; // first
    archive_t *archive;
} archive_news_t;

struct archive {
    wire_t *wire;
    store_t *store;
    store_figures_t told;
    archive_news_t news[STORE_FDS];
    bool begun;
    bool restored;                 // all that was found is remembered again
    uint64_t since;                // sequence from which on what is remembered is in the store
    uint64_t written, written_end; // sequences of all that is remembered, once more; 0: it was not written again
};

static remember_t *
remembered(const archive_t *self)
{
    return self->wire->ports[SIDE_BACKEND].remembered;
}

// --- what is not needed any more -----------------------------------------------------

static void
done_before(archive_t *self, uint64_t sequence)
{
    for (; self->since < sequence; self->since++)
        store_done(self->store, self->since);
}

static bool
write_one(void *arg, const kept_t *kept)
{
    archive_t *self = arg;
    const store_put_in_t in = { .data = kept->data, .size = kept->size, .payload = kept->payload, .must = true };
    uint64_t sequence;
    return store_put(self->store, &in, &sequence) == STORE_TAKEN;
}

// All that is remembered once more; what was there before is done when that is on the disk.
static void
write_again(archive_t *self)
{
    self->written = store_next_sequence(self->store);
    remember_each(remembered(self), write_one, self);
    self->written_end = store_next_sequence(self->store);
    store_turn(self->store);
}

// The values of topics are old and new. All of the last messages are the last ones in the store.
static void
forget(archive_t *self)
{
    store_t *store = self->store;
    uint64_t next = store_next_sequence(store), kept = remember_total(remembered(self)).messages;
    bool is_history = self->wire->conf->last_value == 0;
    if (self->written > 0 && store_committed(store) >= self->written_end) {
        done_before(self, self->written);
        self->written = 0;
    } else if (self->written == 0 && is_history && next - self->since > kept)
        done_before(self, next - kept);
    else if (self->written == 0 && next - self->since > WORTH_IT * kept + WORTH_IT_FROM)
        write_again(self);
}

// --- reading ---------------------------------------------------------------------------

static void
take_again(archive_t *self)
{
    store_message_t message;
    wire_t *wire = self->wire;
    int64_t now_ns = clock_wall_ns();
    while (store_next(self->store, &message)) {
        chunk_t *chunk = message.block;
        piece_t piece = { .chunk = chunk,
                          .at = (size_t)(message.data - chunk->data),
                          .size = message.size,
                          .load = { 1, message.payload } };
        int64_t age_ms = (now_ns - message.wall_ns) / 1000000;
        // What was put since is remembered already.
        if (!self->restored)
            remember_again(remembered(self), &piece, wire->now_ms - (age_ms > 0 ? age_ms : 0));
        if (self->since == 0)
            self->since = message.sequence;
        store_pass(self->store);
    }
    if (!self->restored && store_is_passed(self->store)) {
        self->restored = true;
        self->since = self->since ? self->since : store_next_sequence(self->store);
    }
}

static void
hear(watched_t *watched, uint32_t events)
{
    archive_t *self = ((archive_news_t *)watched)->archive;
    (void)events;
    store_hear(self->store);
    take_again(self);
    if (self->restored)
        forget(self);
    store_turn(self->store);
    storage_tell(self->wire, self->store, &self->told);
}

void
archive_put(archive_t *self, const piece_t *piece)
{
    const store_put_in_t in = { .data = piece->chunk->data + piece->at,
                                .size = piece->size,
                                .payload = piece->load.payload };
    uint64_t sequence;
    if (self->restored && store_put(self->store, &in, &sequence) == STORE_TAKEN)
        store_turn(self->store);
}

// --- life ------------------------------------------------------------------------------

int
archive_open(wire_t *wire, diag_t *diag)
{
    store_conf_t conf = storage_conf(wire);
    if (wire->conf->store == KEEP_NOTHING || route_conf_is_shared(wire->conf) || !wire->ports[SIDE_BACKEND].remembered)
        return 0;
    store_t *store = store_open(wire->name, &conf, diag, wire->conf->place);
    if (!store)
        return -1;
    wire->archive = xcalloc(1, sizeof *wire->archive);
    wire->archive->wire = wire;
    wire->archive->store = store;
    wire->archive->told.state = STORE_OPENING;
    return 0;
}

// Subscribers would miss what is not read yet, so they are let in when it is, if that does not take long.
void
archive_begin(wire_t *wire)
{
    archive_t *self = wire->archive;
    int64_t end = clock_mono_ms() + START_MS;
    if (!self)
        return;
    const store_memory_t memory = storage_memory(wire);
    store_begin(self->store, &memory);
    for (unsigned i = 0; i < STORE_FDS; i++) {
        self->news[i] = (archive_news_t){ { hear }, self };
        loop_watch(&wire->loop, store_fd(self->store, i), EPOLLIN, &self->news[i].watched);
    }
    self->begun = true;
    while (!self->restored && clock_mono_ms() < end) {
        poll(&(struct pollfd){ store_fd(self->store, 0), POLLIN, 0 }, 1, TURN_MS);
        hear(&self->news[0].watched, 0);
    }
}

bool
archive_has_any(const wire_t *wire)
{
    return wire->archive && remember_total(remembered(wire->archive)).messages > 0;
}

void
archive_write(wire_t *wire)
{
    if (wire->archive && wire->archive->restored)
        write_again(wire->archive);
}

void
archive_configure(wire_t *wire)
{
    store_conf_t conf = storage_conf(wire);
    if (wire->archive)
        store_change(wire->archive->store, &conf);
}

void
archive_close(wire_t *wire, int64_t wait_ms)
{
    archive_t *self = wire->archive;
    if (!self)
        return;
    if (self->begun)
        for (unsigned i = 0; i < STORE_FDS; i++)
            loop_forget(&wire->loop, store_fd(self->store, i));
    store_close(&self->store, wait_ms);
    free(self);
    wire->archive = NULL;
}
