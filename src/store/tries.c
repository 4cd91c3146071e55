// SPDX-License-Identifier: MPL-2.0
#include "store/tries.h"

#include "base/mem.h"

#include <stdlib.h>

void
tries_free(tries_t *self)
{
    free(self->at);
    *self = (tries_t){ 0 };
}

static size_t
start_of(const tries_t *self, uint64_t sequence)
{
    return (sequence * UINT64_C(0x9e3779b97f4a7c15) >> 32) & (self->room - 1);
}

static size_t
place_of(const tries_t *self, uint64_t sequence)
{
    size_t i = start_of(self, sequence);
    while (self->at[i].sequence != 0 && self->at[i].sequence != sequence)
        i = (i + 1) & (self->room - 1);
    return i;
}

uint32_t
tries_of(const tries_t *self, uint64_t sequence)
{
    if (self->count == 0)
        return 0;
    const tried_t *tried = &self->at[place_of(self, sequence)];
    return tried->sequence ? tried->tries : 0;
}

static void
grow(tries_t *self)
{
    tries_t old = *self;
    self->room = old.room ? 2 * old.room : 64;
    self->at = xcalloc(self->room, sizeof *self->at);
    for (size_t i = 0; i < old.room; i++)
        if (old.at[i].sequence)
            self->at[place_of(self, old.at[i].sequence)] = old.at[i];
    free(old.at);
}

// Those behind a free place move up, as far as they would not be found any more.
static void
take_out(tries_t *self, size_t free)
{
    size_t mask = self->room - 1;
    self->at[free] = (tried_t){ 0 };
    self->count--;
    for (size_t i = (free + 1) & mask; self->at[i].sequence; i = (i + 1) & mask)
        if (((i - start_of(self, self->at[i].sequence)) & mask) >= ((i - free) & mask)) {
            self->at[free] = self->at[i];
            self->at[i] = (tried_t){ 0 };
            free = i;
        }
}

void
tries_set(tries_t *self, uint64_t sequence, uint32_t tries)
{
    if (tries == 0 && self->count == 0)
        return;
    if (2 * self->count >= self->room)
        grow(self);
    size_t i = place_of(self, sequence);
    if (tries == 0 && self->at[i].sequence == 0)
        return;
    if (tries == 0) {
        take_out(self, i);
        return;
    }
    self->count += self->at[i].sequence == 0;
    self->at[i] = (tried_t){ sequence, tries };
}
