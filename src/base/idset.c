// SPDX-License-Identifier: MPL-2.0
//
// Linear probing. The table is filled to 7/8 and then grows by a third only: a
// miss looks at thirty slots at worst, which are two or three cache lines.
#include "base/idset.h"

#include "base/hash.h"
#include "base/mem.h"

#include <stdlib.h>

enum { ROOM_MIN = 4 };

static uint32_t
home_of(uint32_t room, uint32_t number)
{
    return (uint32_t)((uint64_t)hash_number(number) * room >> 32);
}

static uint32_t
after(uint32_t room, uint32_t i)
{
    return i + 1 == room ? 0 : i + 1;
}

// Its slot, or the free one where it belongs. There is one.
static uint32_t
slot_of(const uint32_t *slots, uint32_t room, uint32_t number)
{
    uint32_t i = home_of(room, number);
    while (slots[i] && slots[i] != number)
        i = after(room, i);
    return i;
}

static void
resize(idset_t *self, uint32_t room)
{
    uint32_t *slots = xcalloc(room, sizeof *slots);
    for (uint32_t i = 0; i < self->room; i++)
        if (self->slots[i])
            slots[slot_of(slots, room, self->slots[i])] = self->slots[i];
    free(self->slots);
    self->slots = slots;
    self->room = room;
}

bool
idset_has(const idset_t *self, uint32_t number)
{
    return self->room && self->slots[slot_of(self->slots, self->room, number)];
}

static bool
is_full(const idset_t *self)
{
    return self->room == 0 || self->count >= self->room - self->room / 8 - 1;
}

bool
idset_put(idset_t *self, uint32_t number)
{
    uint32_t i = self->room ? slot_of(self->slots, self->room, number) : 0;
    if (self->room && self->slots[i])
        return false;
    if (is_full(self)) {
        resize(self, self->room < ROOM_MIN ? ROOM_MIN : self->room + self->room / 3 + 1);
        i = slot_of(self->slots, self->room, number);
    }
    self->slots[i] = number;
    self->count++;
    return true;
}

static uint32_t
distance(uint32_t room, uint32_t from, uint32_t to)
{
    return to >= from ? to - from : to + room - from;
}

// No tombstones: what follows moves up.
static void
close_gap(idset_t *self, uint32_t gap)
{
    for (uint32_t i = after(self->room, gap); self->slots[i]; i = after(self->room, i)) {
        uint32_t home = home_of(self->room, self->slots[i]);
        if (distance(self->room, home, i) < distance(self->room, gap, i))
            continue;
        self->slots[gap] = self->slots[i];
        gap = i;
    }
    self->slots[gap] = 0;
}

bool
idset_take(idset_t *self, uint32_t number)
{
    uint32_t i = self->room ? slot_of(self->slots, self->room, number) : 0;
    if (!self->room || !self->slots[i])
        return false;
    close_gap(self, i);
    if (--self->count == 0)
        idset_free(self);
    else if (self->room > 2 * ROOM_MIN && self->count < self->room / 3)
        resize(self, self->room / 2);
    return true;
}

void
idset_free(idset_t *self)
{
    free(self->slots);
    *self = (idset_t){ 0 };
}
