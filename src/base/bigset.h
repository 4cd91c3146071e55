// SPDX-License-Identifier: MPL-2.0
// bigset.h - a set of numbers other than 0 as idset.h has it, for a million of them: it
// grows and shrinks by a piece of about a thousand at a time, so that nobody waits
// for a big table to be made anew.

#ifndef ZB_BIGSET_H
#define ZB_BIGSET_H

#include "base/idset.h"

// All zeros is an empty one.
typedef struct {
    idset_t *parts;
    uint32_t part_count, room;
    uint32_t base;  // the power of two with base <= part_count < 2 * base
    uint32_t count; // of numbers
} bigset_t;

bool bigset_put(bigset_t *self, uint32_t number);  // false: was in
bool bigset_take(bigset_t *self, uint32_t number); // false: was not

// To take out all, a part at a time: its last part, NULL if it is empty; and that part, with what is in it.
const idset_t *bigset_last(const bigset_t *self);
void bigset_drop_last(bigset_t *self);

void bigset_free(bigset_t *self);

#endif
