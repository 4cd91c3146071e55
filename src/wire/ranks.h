// SPDX-License-Identifier: MPL-2.0
// ranks.h - peers by how much each has to do: the one with the least comes first, and
// among equals the one that has been there longest. Every step is of constant cost
// where weights change by one, as they do with each message.

#ifndef ZB_RANKS_H
#define ZB_RANKS_H

#include <stdbool.h>
#include <stdint.h>

enum { RANKS_MOST = 65536 }; // weights from there on count as equal

// What a peer embeds. All zeros: it is not there.
typedef struct rank {
    struct rank *next, *previous;
    uint32_t weight;
    bool there;
} rank_t;

typedef struct {
    rank_t *first, *last;
} rank_row_t;

// All zeros: nobody is there.
typedef struct {
    rank_row_t *rows; // by weight
    uint32_t room, lowest, count;
} ranks_t;

void ranks_put(ranks_t *self, rank_t *rank, uint32_t weight); // as the last of that weight, wherever it was
void ranks_take(ranks_t *self, rank_t *rank);                 // out, if it is there

rank_t *ranks_first(ranks_t *self); // NULL: nobody is there
rank_t *ranks_next(const ranks_t *self, const rank_t *rank);

void ranks_free(ranks_t *self);

#endif
