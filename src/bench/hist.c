// SPDX-License-Identifier: MPL-2.0

#include "bench/hist.h"

#include <math.h>

size_t
hist_index(uint64_t value)
{
    if (value < HIST_SUB)
        return (size_t)value;
    unsigned shift = 63u - (unsigned)__builtin_clzll(value) - HIST_SUB_BITS;
    size_t index = (size_t)(shift + 1) * HIST_SUB + (size_t)(value >> shift) - HIST_SUB;
    return index < HIST_BUCKETS ? index : HIST_BUCKETS - 1;
}

uint64_t
hist_upper(size_t index)
{
    if (index < HIST_SUB)
        return index;
    unsigned shift = (unsigned)(index / HIST_SUB) - 1;
    return ((uint64_t)(index % HIST_SUB + HIST_SUB + 1) << shift) - 1;
}

void
hist_add(hist_t *self, int64_t value_ns)
{
    uint64_t value = value_ns > 0 ? (uint64_t)value_ns : 0;
    self->count++;
    self->sum += (double)value;
    if (value > self->max)
        self->max = value;
    self->bucket[hist_index(value)]++;
}

void
hist_merge(hist_t *self, const hist_t *other)
{
    self->count += other->count;
    self->sum += other->sum;
    if (other->max > self->max)
        self->max = other->max;
    for (size_t i = 0; i < HIST_BUCKETS; i++)
        self->bucket[i] += other->bucket[i];
}

uint64_t
hist_percentile(const hist_t *self, double percent)
{
    if (self->count == 0)
        return 0;
    double wanted = ceil((double)self->count * percent / 100.0);
    uint64_t rank = wanted < 1 ? 1 : (uint64_t)wanted;
    uint64_t seen = 0;
    for (size_t i = 0; i < HIST_BUCKETS; i++) {
        seen += self->bucket[i];
        // The last bucket also takes what is too large for it: there only the maximum is known.
        if (seen >= rank && i < HIST_BUCKETS - 1)
            return hist_upper(i) < self->max ? hist_upper(i) : self->max;
    }
    return self->max;
}

double
hist_mean(const hist_t *self)
{
    return self->count ? self->sum / (double)self->count : 0;
}
