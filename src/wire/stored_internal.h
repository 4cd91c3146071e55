// SPDX-License-Identifier: MPL-2.0
// stored_internal.h - what a streamer with a store is made of. For stored.c, delivery.c, storedledger.c and storedend.c only.

#ifndef ZB_WIRE_STORED_INTERNAL_H
#define ZB_WIRE_STORED_INTERNAL_H

#include "wire/deadletters.h"
#include "wire/ledger.h"
#include "wire/stored.h"

// Messages that lie behind each other, and wait until the store says that they are done.
typedef struct {
    chunk_t *chunk;
    size_t at, size;
    load_t load;
    uint64_t first; // sequence
    uint64_t said;
} run_t;

typedef struct {
    watched_t watched; // first
    stored_t *stored;
} news_t;

struct stored {
    wport_t port; // first: what the frontend hands on to
    side_counters_t counters; // of that
    wport_t *workers;
    store_t *store;
    store_figures_t counted;  // so far
    news_t news[STORE_FDS];
    news_t patience;
    int timer;
    bool begun;
    bool is_patient; // overflow: somebody waits for the workers
    bool had_room;   // they have had room since then
    bool stuck;      // overflow: they had none
    bool spills;     // overflow: messages go to the disk
    uint64_t pace;   // overflow: messages that they have taken from there, twice what producers may put there
    bool settled;    // nothing goes to workers any more
    bool acked_first; // whose turn it is of plain and acknowledged workers, while both want messages
    deadletters_t *deadletters; // what other routes give up
    run_t *runs;   // a ring
    uint32_t head, count, room;
    uint64_t claimed; // messages in it
    uint64_t ahead;   // put as done, and not come back
    uint64_t waiting; // put otherwise, or found on the disk
    uint64_t given[2]; // to workers since the last commit, and before it
    uint64_t commit;   // which was the last
    uint64_t budget;   // messages that may still be put as done in this turn
};

static inline bool
stored_keeps_all(const stored_t *self)
{
    return self->port.wire->conf->store == KEEP_ALL;
}

static inline run_t *
stored_run(const stored_t *self, uint32_t i)
{
    return &self->runs[(self->head + i) & (self->room - 1)];
}

given_t stored_take(stored_t *self, const piece_t *piece); // into the store
void stored_count(stored_t *self);

extern const ledger_t stored_ledger; // for the sides that speak with the store themselves

// --- delivery.c: to the workers ---------------------------------------------------------

uint64_t delivery_room(const stored_t *self); // for messages that are not claimed for them yet
void delivery_note_commit(stored_t *self);
bool delivery_give(stored_t *self); // what was claimed and may go; false: nothing went
void delivery_go_on(stored_t *self);
void delivery_drop_run(stored_t *self);
piece_t delivery_first(const run_t *run); // its first message
void delivery_pass(run_t *run, const piece_t *piece);

#endif
