// SPDX-License-Identifier: MPL-2.0
// tries.h - how often messages that are not done have been given out: only those that
// have been.

#ifndef ZB_STORE_TRIES_H
#define ZB_STORE_TRIES_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint64_t sequence; // 0: none
    uint32_t tries;
} tried_t;

// All zeros is an empty one.
typedef struct {
    tried_t *at; // by hash
    size_t count, room;
} tries_t;

void tries_free(tries_t *self);
uint32_t tries_of(const tries_t *self, uint64_t sequence);
void tries_set(tries_t *self, uint64_t sequence, uint32_t tries); // 0 forgets it

#endif
