// SPDX-License-Identifier: MPL-2.0
// report.h - what was measured, for people (aligned tables, standard output),
// for programs (a line of JSON per measurement) and as a picture.

#ifndef ZB_BENCH_REPORT_H
#define ZB_BENCH_REPORT_H

#include "bench/figures.h"
#include "bench/options.h"

#include <stddef.h>

// "pushpull 1:1, 64 B, saturated, 5 s"
void report_heading(const bench_options_t *options);

// One line per subject; with --each also clients and broker threads.
void report_table(const bench_options_t *options, const subject_t *subject, size_t count);

// The ratios of SUBJECT to BASE: medians over the rounds, and their spread.
void report_ratios(const subject_t *base, const subject_t *subject, size_t count);

// -1 with a line on standard error if the file can't be written.
int report_json(const bench_options_t *options, const char *subject, size_t round, const load_result_t *result);
int report_plot(const bench_options_t *options, const subject_t *subject, size_t count);

#endif
