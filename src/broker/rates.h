// SPDX-License-Identifier: MPL-2.0
// rates.h - messages a second, and their history, out of counters that are read
// once a second.

#ifndef ZB_RATES_H
#define ZB_RATES_H

#include "broker/broker.h"

#define RATES_SECONDS 60  // that rates are averaged over
#define RATES_HISTORY 900 // seconds of messages a second

// What the rates are made of.
typedef struct {
    uint64_t in, out, in_bytes, out_bytes, blocked_ns;
} sample_t;

typedef struct {
    sample_t samples[RATES_SECONDS + 1]; // a ring
    uint32_t in[RATES_HISTORY], out[RATES_HISTORY]; // the newest last
} rate_history_t;

typedef struct {
    rate_history_t *history; // NULL: all zeros, nothing has moved yet
    unsigned newest, span; // span: seconds that the samples go back, at most RATES_SECONDS
    uint32_t history_count;
} rates_t;

// From COUNTERS on, before the first second. SELF is all zeros, or has begun with less.
void rates_begin(rates_t *self, const counters_t *counters);

// A second is over. COUNTERS never go back.
void rates_tick(rates_t *self, const counters_t *counters);

// What OUT has of rates, shares and history. It borrows the history from SELF.
void rates_fill(const rates_t *self, broker_route_t *out);

void rates_free(rates_t *self); // what it has, not itself

#endif
