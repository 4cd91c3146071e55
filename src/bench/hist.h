// SPDX-License-Identifier: MPL-2.0
// hist.h - a log-linear histogram of nanoseconds: every power of two is cut into
// 64 equal buckets, so a percentile is at most 1.6 % above the true value, from
// 1 ns to 18 minutes, in 20 KiB, with one increment per value.
//
// Plain memory without pointers: it may lie in memory shared between processes
// (one writer each) and be added up afterwards.

#ifndef ZB_BENCH_HIST_H
#define ZB_BENCH_HIST_H

#include <stddef.h>
#include <stdint.h>

enum { HIST_SUB_BITS = 6, HIST_SUB = 1 << HIST_SUB_BITS, HIST_OCTAVES = 35, HIST_BUCKETS = HIST_OCTAVES * HIST_SUB };

typedef struct {
    uint64_t count;
    uint64_t max;
    double sum;
    uint64_t bucket[HIST_BUCKETS];
} hist_t;

// Negative values (clocks read in two processes may disagree by some ns) count as 0.
void hist_add(hist_t *self, int64_t value_ns);
void hist_merge(hist_t *self, const hist_t *other);

// The smallest bucket bound that at least PERCENT of the values do not exceed,
// never above the true maximum; 0 without values.
uint64_t hist_percentile(const hist_t *self, double percent);
double hist_mean(const hist_t *self);

// The buckets, for whoever draws them: where a value goes, and the largest value that goes there.
size_t hist_index(uint64_t value);
uint64_t hist_upper(size_t index);

#endif
