// SPDX-License-Identifier: MPL-2.0
// figures.h - what rounds have measured: added up, and compared.

#ifndef ZB_BENCH_FIGURES_H
#define ZB_BENCH_FIGURES_H

#include "bench/load.h"

#include <stddef.h>

// The figures of one measurement that rounds are compared by. A negative one is
// unknown (no pid, nothing timed).
typedef struct {
    double rate, cpu_ns, p50_ns, p99_ns;
} figures_t;

typedef struct {
    const char *name;
    size_t rounds;
    figures_t *round;
    load_result_t total; // of all rounds
} subject_t;

// The percentiles of latency that are told, and their names.
enum { FIGURES_PERCENTS = 5 };
extern const double figures_percents[FIGURES_PERCENTS];
extern const char *const figures_percent_names[FIGURES_PERCENTS];

figures_t figures_of(const load_result_t *result);
double figures_cpu_per_message(const load_result_t *result); // ns of the broker; -1: unknown

// Add one round to TOTAL: counts and times add up, memory is the largest seen.
void figures_add(load_result_t *total, const load_result_t *round);

// The middle one of COUNT values, of those that are known; -1 if none is.
double figures_median(const double *values, size_t count);

// Sort the known ones to the front, and say how many there are.
size_t figures_sort(double *values, size_t count);

#endif
