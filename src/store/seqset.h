// SPDX-License-Identifier: MPL-2.0
// seqset.h - which messages are done: all below a number, and some above it.

#ifndef ZB_STORE_SEQSET_H
#define ZB_STORE_SEQSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// How far below the lowest that is not done one may be that is not done after all.
#define SEQSET_BACK_MAX (UINT64_C(1) << 24)

// All zeros is one in which nothing is done but 0, which is no sequence.
typedef struct {
    uint64_t *words;   // a ring of bits, from BASE on
    size_t room, head; // words; ROOM is a power of two
    uint64_t base;     // a multiple of 64
    uint64_t before;   // all below are done
    uint64_t above;    // how many are done besides
} seqset_t;

void seqset_free(seqset_t *self);
void seqset_done_before(seqset_t *self, uint64_t sequence); // all below it are
bool seqset_add(seqset_t *self, uint64_t sequence);         // false: it was done before
uint64_t seqset_add_run(seqset_t *self, uint64_t first, uint64_t count); // how many were not done before
bool seqset_remove(seqset_t *self, uint64_t sequence);      // false: it was not done, or is too far back
bool seqset_has(const seqset_t *self, uint64_t sequence);

#endif
