// SPDX-License-Identifier: MPL-2.0
#include "store/seqset.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

enum { WORD = 64 };

void
seqset_free(seqset_t *self)
{
    free(self->words);
    *self = (seqset_t){ 0 };
}

static uint64_t *
word_of(const seqset_t *self, uint64_t sequence)
{
    return &self->words[(self->head + (sequence - self->base) / WORD) & (self->room - 1)];
}

static bool
is_inside(const seqset_t *self, uint64_t sequence)
{
    return sequence >= self->base && (sequence - self->base) / WORD < self->room;
}

static void
grow(seqset_t *self, uint64_t sequence)
{
    size_t room = self->room ? self->room : 16, old = self->room;
    while ((sequence - self->base) / WORD >= room)
        room *= 2;
    uint64_t *words = xcalloc(room, sizeof *words);
    for (size_t i = 0; i < old; i++)
        words[i] = self->words[(self->head + i) & (old - 1)];
    free(self->words);
    self->words = words;
    self->room = room;
    self->head = 0;
}

// Whole words below BEFORE are not needed any more.
static void
move_base(seqset_t *self)
{
    uint64_t base = self->before / WORD * WORD, words = (base - self->base) / WORD;
    if (words >= self->room) {
        if (self->room > 0)
            memset(self->words, 0, self->room * sizeof *self->words);
        self->head = 0;
    } else
        for (; words > 0; words--) {
            self->words[self->head] = 0;
            self->head = (self->head + 1) & (self->room - 1);
        }
    self->base = base;
}

bool
seqset_has(const seqset_t *self, uint64_t sequence)
{
    if (sequence < self->before)
        return true;
    return is_inside(self, sequence) && *word_of(self, sequence) >> sequence % WORD & 1;
}

// What follows on BEFORE and is done lies below it, too.
static void
advance(seqset_t *self)
{
    if (self->above == 0 || !seqset_has(self, self->before))
        return;
    while (self->above > 0 && seqset_has(self, self->before)) {
        uint64_t rest = *word_of(self, self->before) >> self->before % WORD;
        unsigned run = ~rest ? (unsigned)__builtin_ctzll(~rest) : WORD, most = WORD - self->before % WORD;
        run = run < most ? run : most;
        self->before += run;
        self->above -= run;
    }
    move_base(self);
}

void
seqset_done_before(seqset_t *self, uint64_t sequence)
{
    if (sequence <= self->before)
        return;
    for (uint64_t i = self->before; self->above > 0 && i < sequence && is_inside(self, i); i++)
        self->above -= seqset_has(self, i);
    self->before = sequence;
    advance(self);
    move_base(self);
}

uint64_t
seqset_add_run(seqset_t *self, uint64_t first, uint64_t count)
{
    uint64_t end = first + count, before = self->above;
    uint64_t at = first > self->before ? first : self->before;
    if (at >= end)
        return 0;
    if (at == self->before && self->above == 0) { // the usual case
        self->before = end;
        move_base(self);
        return end - at;
    }
    if (!is_inside(self, end - 1))
        grow(self, end - 1);
    while (at < end) {
        unsigned bit = at % WORD;
        uint64_t most = WORD - bit, here = end - at < most ? end - at : most;
        uint64_t mask = UINT64_MAX >> (WORD - here) << bit, *word = word_of(self, at);
        self->above += (uint64_t)__builtin_popcountll(mask & ~*word);
        *word |= mask;
        at += here;
    }
    uint64_t added = self->above - before;
    advance(self);
    return added;
}

bool
seqset_add(seqset_t *self, uint64_t sequence)
{
    return seqset_add_run(self, sequence, 1) > 0;
}

// SEQUENCE is the lowest that is not done, all from there to what was it are.
static void
move_back(seqset_t *self, uint64_t sequence)
{
    seqset_t again = { .base = sequence / WORD * WORD, .before = sequence };
    for (uint64_t i = sequence + 1; i < self->before; i++)
        seqset_add(&again, i);
    for (uint64_t i = self->before; self->above > 0 && is_inside(self, i); i++)
        if (seqset_has(self, i))
            seqset_add(&again, i);
    free(self->words);
    *self = again;
}

bool
seqset_remove(seqset_t *self, uint64_t sequence)
{
    bool too_far = sequence < self->before && self->before - sequence > SEQSET_BACK_MAX;
    if (too_far || !seqset_has(self, sequence))
        return false;
    if (sequence < self->before) {
        move_back(self, sequence);
        return true;
    }
    *word_of(self, sequence) &= ~(UINT64_C(1) << sequence % WORD);
    self->above--;
    return true;
}
