// SPDX-License-Identifier: MPL-2.0
// idset.h - a set of numbers other than 0, at about six bytes each.

#ifndef ZB_IDSET_H
#define ZB_IDSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// All zeros is an empty one.
typedef struct {
    uint32_t *slots;
    uint32_t count, room;
} idset_t;

bool idset_has(const idset_t *self, uint32_t number);
bool idset_put(idset_t *self, uint32_t number);  // false: was in
bool idset_take(idset_t *self, uint32_t number); // false: was not

// Walk: the I-th slot below room, 0 where it is free.
#define idset_slot(self, i) ((self)->slots[i])
void idset_free(idset_t *self);

#endif
