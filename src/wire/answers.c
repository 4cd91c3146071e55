// SPDX-License-Identifier: MPL-2.0
#include "wire/answers.h"

#include <string.h>

enum { SLOT_S = 10, NS_IN_US = 1000 };

// Slots that have become too old since are empty again.
static void
go_to(answer_times_t *self, int64_t now_ns)
{
    int64_t decade = now_ns / (SLOT_S * 1000000000LL);
    if (decade - self->decade > ANSWERS_SLOTS)
        self->decade = decade - ANSWERS_SLOTS;
    while (self->decade < decade)
        memset(self->counts[++self->decade % ANSWERS_SLOTS], 0, sizeof *self->counts);
}

// 8 rows for each power of two; below 8 us one for each microsecond.
static unsigned
row_of(int64_t took_ns)
{
    uint64_t us = took_ns > 0 ? (uint64_t)took_ns / NS_IN_US : 0;
    if (us < ANSWERS_PARTS)
        return (unsigned)us;
    unsigned power = 63u - (unsigned)__builtin_clzll(us), shift = power - 3;
    unsigned row = (shift + 1) * ANSWERS_PARTS + (unsigned)(us >> shift) % ANSWERS_PARTS;
    return row < ANSWERS_ROWS ? row : ANSWERS_ROWS - 1;
}

// The middle of a row.
static int64_t
middle_ns(unsigned row)
{
    if (row < ANSWERS_PARTS)
        return (int64_t)row * NS_IN_US + NS_IN_US / 2;
    unsigned shift = row / ANSWERS_PARTS - 1;
    int64_t twice = (2 * (ANSWERS_PARTS + row % ANSWERS_PARTS) + 1);
    return (twice << shift) * NS_IN_US / 2;
}

void
answers_add(answer_times_t *self, int64_t now_ns, int64_t took_ns)
{
    go_to(self, now_ns);
    self->counts[self->decade % ANSWERS_SLOTS][row_of(took_ns)]++;
}

static uint64_t
count_of(const answer_times_t *self, unsigned row)
{
    uint64_t count = 0;
    for (unsigned slot = 0; slot < ANSWERS_SLOTS; slot++)
        count += self->counts[slot][row];
    return count;
}

int64_t
answers_percentile(answer_times_t *self, int64_t now_ns, unsigned percent)
{
    uint64_t all = 0, seen = 0;
    go_to(self, now_ns);
    for (unsigned row = 0; row < ANSWERS_ROWS; row++)
        all += count_of(self, row);
    for (unsigned row = 0; row < ANSWERS_ROWS; row++) {
        seen += count_of(self, row);
        if (all > 0 && seen * 100 >= all * percent)
            return middle_ns(row);
    }
    return -1;
}
