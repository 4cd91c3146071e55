// SPDX-License-Identifier: MPL-2.0
// slab.h - memory in small pieces, each named by a number of 32 bits. malloc(3)
// adds 8 bytes to a piece and rounds it up to 16, and its pointers take 8 more
// wherever the piece is named; here a piece takes its size, rounded up to 4,
// and 1 %.
//
// Pieces of one size share blocks of 4 KiB, and an empty block is freed: what is
// given back serves the next of that size at once, and any size once the block
// is empty. Large pieces have a block of their own. The table of blocks, 16 bytes
// for each, stays until all are empty. 16 GiB in all; more is out of memory.

#ifndef ZB_SLAB_H
#define ZB_SLAB_H

#include <stddef.h>
#include <stdint.h>

enum { SLAB_UNIT = 4, SLAB_SHARED_MAX = 256, SLAB_UNITS_BITS = 10 };

typedef struct {
    uint32_t units; // of one piece
    uint16_t used;  // pieces
    uint16_t fresh; // the first unit that was never used
    uint32_t free;  // the unit where the first returned piece starts, which holds the next; 0: none
    uint32_t unit[];
} slab_block_t;

typedef struct {
    slab_block_t *block; // NULL: a free place
    uint32_t next, prev; // places with room for the same size; of a free one: the next free one
} slab_place_t;

// All zeros is an empty one.
typedef struct {
    slab_place_t *places; // the first is not used
    uint32_t count, room, free;
    uint32_t blocks;
    uint32_t open[SLAB_SHARED_MAX / SLAB_UNIT + 1]; // by units: a place with room
} slab_t;

// A piece of SIZE bytes, not 0; its contents are anything. The number is not 0.
uint32_t slab_take(slab_t *self, size_t size);
void slab_give(slab_t *self, uint32_t number);
void slab_free(slab_t *self); // all of them

static inline slab_block_t *
slab_block(const slab_t *self, uint32_t number)
{
    return self->places[number >> SLAB_UNITS_BITS].block;
}

// Where it is, until it is given back.
static inline void *
slab_at(const slab_t *self, uint32_t number)
{
    return &slab_block(self, number)->unit[(number & ((1u << SLAB_UNITS_BITS) - 1)) - 1];
}

// What was asked for, rounded up.
static inline size_t
slab_size(const slab_t *self, uint32_t number)
{
    return (size_t)slab_block(self, number)->units * SLAB_UNIT;
}

#endif
