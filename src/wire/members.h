// SPDX-License-Identifier: MPL-2.0
// members.h - a set of subscribers as it is walked: numbers, or a bitmap where that
// is smaller.

#ifndef ZB_MEMBERS_H
#define ZB_MEMBERS_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { MEMBERS_FEW = 8 }; // numbers are quicker to walk than a bitmap

// The same set always looks the same.
typedef struct {
    uint32_t count; // of subscribers; 0: nobody
    uint32_t words; // AT is a bitmap of so many words; 0: it is COUNT numbers, ascending
    const uint32_t *at;
} members_t;

static inline bool
members_same(const members_t *a, const members_t *b)
{
    return a == b || (a->count == b->count && a->words == b->words &&
                      memcmp(a->at, b->at, (a->words ? a->words : a->count) * sizeof *a->at) == 0);
}

// Walk: start with *PLACE 0. False at the end, else *SUBSCRIBER is the next one, and they ascend.
static inline bool
members_next(const members_t *self, uint32_t *place, uint32_t *subscriber)
{
    uint32_t at = *place;
    if (!self->words) {
        if (at == self->count)
            return false;
        *subscriber = self->at[at];
        *place = at + 1;
        return true;
    }
    uint32_t word = at / 32, bits = word < self->words ? self->at[word] >> at % 32 << at % 32 : 0;
    while (!bits) {
        if (++word >= self->words)
            return false;
        bits = self->at[word];
    }
    *subscriber = word * 32 + (uint32_t)__builtin_ctz(bits);
    *place = *subscriber + 1;
    return true;
}

static inline bool
members_has(const members_t *self, uint32_t subscriber)
{
    if (self->words)
        return subscriber / 32 < self->words && self->at[subscriber / 32] >> subscriber % 32 & 1;
    uint32_t from = 0, to = self->count;
    while (from < to) {
        uint32_t middle = from + (to - from) / 2;
        if (self->at[middle] == subscriber)
            return true;
        if (self->at[middle] < subscriber)
            from = middle + 1;
        else
            to = middle;
    }
    return false;
}

// Words of the bitmap that COUNT numbers up to TOP take, 0: they stay numbers.
static inline uint32_t
members_words(uint32_t count, uint32_t top)
{
    return count > MEMBERS_FEW && top / 32 + 1 <= count ? top / 32 + 1 : 0;
}

#endif
