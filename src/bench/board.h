// SPDX-License-Identifier: MPL-2.0
// board.h - the memory that the load's processes share: the conductor turns the
// phase, every process writes only its own slot, and all of them read.
//
// A run goes through the phases in order. SYNC: everybody connects, producers
// send marks until every consumer has got some. WARM: load that is not judged.
// RUN: what is measured. STOP: producers stop, what is under way arrives.
// END: everybody leaves.

#ifndef ZB_BENCH_BOARD_H
#define ZB_BENCH_BOARD_H

#include "bench/hist.h"
#include "bench/options.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum { PHASE_SYNC, PHASE_WARM, PHASE_RUN, PHASE_STOP, PHASE_END } phase_t;
typedef enum { SLOT_STARTING, SLOT_OPEN, SLOT_SYNCED, SLOT_DONE, SLOT_FAILED } slot_state_t;

typedef struct {
    _Alignas(64) atomic_int state; // slot_state_t; rises only
    atomic_bool met;               // a mark of this producer arrived somewhere (written by whoever got it)
    atomic_uint_fast64_t sent;     // in RUN
    atomic_uint_fast64_t moved;    // received in WARM and RUN: what throughput is counted from
    atomic_uint_fast64_t received; // of those sent in RUN, each once
    atomic_uint_fast64_t last_ns;  // when the last one came
    uint64_t doubled, reordered, corrupt;
    uint64_t retried, failed; // requests asked again; given up
    char endpoint[256];       // where a direct consumer listens
    char error[160];          // why FAILED
    hist_t latency;
} board_slot_t;

typedef struct {
    atomic_int phase;
    size_t producers, consumers;
    size_t bitmap_words;               // per producer, or per consumer and producer with BITMAP_EACH
    bool bitmap_each;                  // every consumer gets every message: a map of its own
    _Atomic(uint64_t) *bitmap;         // which numbers came; NULL: not kept
    board_slot_t *slot;                // producers first
} board_t;

// Memory for SELF->producers + consumers; fork after this. With VERIFY, a bit for each
// of up to NUMBERS messages of each producer (only touched memory is used).
board_t *board_new(size_t producers, size_t consumers, bool verify, bool each, uint64_t numbers);
void board_destroy(board_t **self_p);

static inline board_slot_t *
board_producer(board_t *self, size_t i)
{
    return &self->slot[i];
}

static inline board_slot_t *
board_consumer(board_t *self, size_t i)
{
    return &self->slot[self->producers + i];
}

static inline phase_t
board_phase(board_t *self)
{
    return (phase_t)atomic_load_explicit(&self->phase, memory_order_relaxed);
}

// Note that NUMBER of PRODUCER came to CONSUMER. True if it had come before.
// Without a map the answer is always false.
bool board_note(board_t *self, size_t consumer, size_t producer, uint64_t number);

#endif
