// SPDX-License-Identifier: MPL-2.0
// report.h - what was measured, for people (aligned tables, standard output),
// for programs (a line of JSON per measurement) and as a picture.

#ifndef ZB_BENCH_REPORT_H
#define ZB_BENCH_REPORT_H

#include "bench/load.h"
#include "bench/options.h"

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

figures_t report_figures(const load_result_t *result);

// Add one round to TOTAL: counts and times add up, memory is the largest seen.
void report_add(load_result_t *total, const load_result_t *round);

// "pushpull 1:1, 64 B, saturated, 5 s"
void report_heading(const options_t *options);

// One line per subject; with --each also clients and broker threads.
void report_table(const options_t *options, const subject_t *subject, size_t count);

// The ratios of SUBJECT to BASE: medians over the rounds, and their spread.
void report_ratios(const subject_t *base, const subject_t *subject, size_t count);

// -1 with a line on standard error if the file can't be written.
int report_json(const options_t *options, const char *subject, size_t round, const load_result_t *result);
int report_plot(const options_t *options, const subject_t *subject, size_t count);

// The middle one of COUNT values, of those that are known; -1 if none is.
double report_median(const double *values, size_t count);

#endif
