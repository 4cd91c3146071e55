// SPDX-License-Identifier: MPL-2.0
//
// A number is a place in the table of blocks, and a unit of that block, counted
// from 1.
#include "base/slab.h"

#include "base/mem.h"

#include <stdbool.h>
#include <stdlib.h>

enum {
    BLOCK_BYTES = 4096 - 8, // with malloc's own 8 bytes it is a page
    BLOCK_UNITS = (BLOCK_BYTES - sizeof(slab_block_t)) / SLAB_UNIT,
    PLACES_MAX = 1 << (32 - SLAB_UNITS_BITS),
};
_Static_assert(BLOCK_UNITS < 1 << SLAB_UNITS_BITS, "a unit's number fits");

static uint32_t
take_place(slab_t *self, slab_block_t *block)
{
    uint32_t place = self->free;
    if (place) {
        self->free = self->places[place].next;
    } else {
        if (self->count == 0)
            self->count = 1;
        if (self->count >= self->room) {
            self->room = self->room + self->room / 2 + 8;
            self->places = xrealloc(self->places, self->room, sizeof *self->places);
        }
        if (self->count == PLACES_MAX)
            xrealloc(NULL, SIZE_MAX, 2); // says that we are out of memory
        place = self->count++;
    }
    self->places[place] = (slab_place_t){ .block = block };
    self->blocks++;
    return place;
}

static void
free_block(slab_t *self, uint32_t place)
{
    free(self->places[place].block);
    self->places[place] = (slab_place_t){ .next = self->free };
    self->free = place;
    if (--self->blocks == 0)
        slab_free(self);
}

static void
open_place(slab_t *self, uint32_t place, uint32_t units)
{
    uint32_t next = self->open[units];
    self->places[place].next = next;
    self->places[place].prev = 0;
    if (next)
        self->places[next].prev = place;
    self->open[units] = place;
}

static void
close_place(slab_t *self, uint32_t place, uint32_t units)
{
    slab_place_t *at = &self->places[place];
    if (at->prev)
        self->places[at->prev].next = at->next;
    else
        self->open[units] = at->next;
    if (at->next)
        self->places[at->next].prev = at->prev;
}

static slab_block_t *
new_block(size_t bytes, size_t units)
{
    slab_block_t *block = xrealloc(NULL, bytes, 1);
    *block = (slab_block_t){ .units = (uint32_t)units };
    return block;
}

static bool
is_full(const slab_block_t *block)
{
    return !block->free && block->fresh + block->units > BLOCK_UNITS;
}

static uint32_t
take_whole_block(slab_t *self, size_t units)
{
    slab_block_t *block = new_block(sizeof *block + units * SLAB_UNIT, units);
    block->used = 1;
    return take_place(self, block) << SLAB_UNITS_BITS | 1;
}

uint32_t
slab_take(slab_t *self, size_t size)
{
    size_t units = (size + SLAB_UNIT - 1) / SLAB_UNIT;
    if (units >= COUNT(self->open))
        return take_whole_block(self, units);
    uint32_t place = self->open[units];
    if (!place) {
        place = take_place(self, new_block(BLOCK_BYTES, units));
        open_place(self, place, (uint32_t)units);
    }
    slab_block_t *block = self->places[place].block;
    uint32_t unit = block->free;
    if (unit) {
        block->free = block->unit[unit - 1];
    } else {
        unit = block->fresh + 1u;
        block->fresh = (uint16_t)(block->fresh + units);
    }
    block->used++;
    if (is_full(block))
        close_place(self, place, (uint32_t)units);
    return place << SLAB_UNITS_BITS | unit;
}

void
slab_give(slab_t *self, uint32_t number)
{
    uint32_t place = number >> SLAB_UNITS_BITS, unit = number & ((1u << SLAB_UNITS_BITS) - 1);
    slab_block_t *block = self->places[place].block;
    bool shared = block->units < COUNT(self->open);
    if (shared && is_full(block))
        open_place(self, place, block->units);
    if (--block->used == 0) {
        if (shared)
            close_place(self, place, block->units);
        free_block(self, place);
        return;
    }
    block->unit[unit - 1] = block->free;
    block->free = unit;
}

void
slab_free(slab_t *self)
{
    for (uint32_t place = 1; place < self->count; place++)
        free(self->places[place].block);
    free(self->places);
    *self = (slab_t){ 0 };
}
