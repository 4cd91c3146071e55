// SPDX-License-Identifier: MPL-2.0
//
// Linear hashing over small sets: with each few hundred numbers one part is split
// in two, or two are made one.
#include "base/bigset.h"

#include "base/hash.h"
#include "base/mem.h"

#include <stdlib.h>

enum { PART_MAX = 512, PART_MIN = 128 }; // numbers in a part, on average

// An idset goes by the upper bits of the hash.
static uint32_t
part_of(const bigset_t *self, uint32_t number)
{
    uint32_t i = hash_number(number) & (2 * self->base - 1);
    return i < self->part_count ? i : i - self->base;
}

static void
move_all(const bigset_t *self, idset_t *from)
{
    idset_t old = *from;
    *from = (idset_t){ 0 };
    for (uint32_t i = 0; i < old.room; i++)
        if (idset_slot(&old, i))
            idset_put(&self->parts[part_of(self, idset_slot(&old, i))], idset_slot(&old, i));
    idset_free(&old);
}

static void
split(bigset_t *self)
{
    if (self->part_count == self->room) {
        self->room += self->room / 4 + 1;
        self->parts = xrealloc(self->parts, self->room, sizeof *self->parts);
    }
    uint32_t fresh = self->part_count++, parent = fresh - self->base;
    self->parts[fresh] = (idset_t){ 0 };
    if (fresh == 0)
        self->base = 1;
    else if (self->part_count == 2 * self->base)
        self->base *= 2;
    if (fresh > 0)
        move_all(self, &self->parts[parent]);
}

// The last part is no more; what is in it is lost.
static void
forget_last(bigset_t *self)
{
    if (--self->part_count < self->base)
        self->base /= 2;
}

static void
merge(bigset_t *self)
{
    idset_t *last = &self->parts[self->part_count - 1];
    forget_last(self);
    move_all(self, last);
}

bool
bigset_put(bigset_t *self, uint32_t number)
{
    if (self->count >= self->part_count * PART_MAX)
        split(self);
    bool added = idset_put(&self->parts[part_of(self, number)], number);
    self->count += added;
    return added;
}

bool
bigset_take(bigset_t *self, uint32_t number)
{
    if (self->count == 0 || !idset_take(&self->parts[part_of(self, number)], number))
        return false;
    if (--self->count == 0)
        bigset_free(self);
    else if (self->part_count > 1 && self->count < self->part_count * PART_MIN)
        merge(self);
    return true;
}

const idset_t *
bigset_last(const bigset_t *self)
{
    return self->part_count ? &self->parts[self->part_count - 1] : NULL;
}

void
bigset_drop_last(bigset_t *self)
{
    idset_t *last = &self->parts[self->part_count - 1];
    self->count -= last->count;
    idset_free(last);
    forget_last(self);
    if (self->count == 0)
        bigset_free(self);
}

void
bigset_free(bigset_t *self)
{
    for (uint32_t i = 0; i < self->part_count; i++)
        idset_free(&self->parts[i]);
    free(self->parts);
    *self = (bigset_t){ 0 };
}
