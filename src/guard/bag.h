// SPDX-License-Identifier: MPL-2.0
// bag.h - byte strings, each with how often it is in. The hash is keyed, so
// that nobody on the network can choose strings that collide.

#ifndef ZB_BAG_H
#define ZB_BAG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint64_t hash;
    uint32_t size;
    uint32_t times;
    void *value; // the owner's
    char bytes[];
} bag_item_t;

typedef struct {
    bag_item_t **slots;
    size_t count, room; // room is a power of two
} bag_t;

bag_item_t *bag_find(const bag_t *self, const void *bytes, size_t size); // NULL: not in

uint32_t bag_put(bag_t *self, const void *bytes, size_t size); // once more: how often it is in then
void bag_free(bag_t *self);

#endif
