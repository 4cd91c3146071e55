// SPDX-License-Identifier: MPL-2.0
#include "guard/bag.h"

#include "base/hash.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

static size_t
slot_of(const bag_t *self, uint64_t hash, const void *bytes, size_t size)
{
    size_t i = hash & (self->room - 1);
    for (; self->slots[i]; i = (i + 1) & (self->room - 1)) {
        const bag_item_t *item = self->slots[i];
        if (item->hash == hash && item->size == size && (size == 0 || memcmp(item->bytes, bytes, size) == 0))
            break;
    }
    return i;
}

static void
grow(bag_t *self)
{
    bag_t bigger = { .room = self->room ? self->room * 2 : 8 };
    bigger.slots = xcalloc(bigger.room, sizeof *bigger.slots);
    for (size_t i = 0; i < self->room; i++) {
        bag_item_t *item = self->slots[i];
        if (item)
            bigger.slots[slot_of(&bigger, item->hash, item->bytes, item->size)] = item;
    }
    free(self->slots);
    self->slots = bigger.slots;
    self->room = bigger.room;
}

bag_item_t *
bag_find(const bag_t *self, const void *bytes, size_t size)
{
    return self->room ? self->slots[slot_of(self, hash_bytes(bytes, size), bytes, size)] : NULL;
}

uint32_t
bag_put(bag_t *self, const void *bytes, size_t size)
{
    if (self->count * 2 >= self->room)
        grow(self);
    uint64_t hash = hash_bytes(bytes, size);
    size_t i = slot_of(self, hash, bytes, size);
    if (!self->slots[i]) {
        bag_item_t *item = xcalloc(1, sizeof *item + size + 1);
        *item = (bag_item_t){ .hash = hash, .size = (uint32_t)size };
        if (size)
            memcpy(item->bytes, bytes, size);
        self->slots[i] = item;
        self->count++;
    }
    return ++self->slots[i]->times;
}

void
bag_free(bag_t *self)
{
    for (size_t i = 0; i < self->room; i++)
        free(self->slots[i]);
    free(self->slots);
    *self = (bag_t){ 0 };
}
