// SPDX-License-Identifier: MPL-2.0
// pacer.h - when the next message is due. The times are fixed in advance and do
// not wait for a slow broker: latency is counted from them, so a stall shows in
// every message that it held up (no coordinated omission).
//
// Above 20,000 wake-ups a second a sleep per message would be most of the load:
// then messages are due in groups, every 50 us.

#ifndef ZB_BENCH_PACER_H
#define ZB_BENCH_PACER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    int64_t start_ns;
    double interval_ns; // between groups
    uint64_t group;     // messages of a group
    uint64_t number;
} pacer_t;

// RATE is that of all COUNT producers together, this is the INDEX-th: their times
// are spread evenly. Rate 0: everything is due at once.
pacer_t pacer_new(int64_t rate, size_t count, size_t index);

// When the next message is due.
int64_t pacer_due(const pacer_t *self);

// Sleep until then, but at most LIMIT_MS. True if it is due.
bool pacer_wait(const pacer_t *self, int limit_ms);

// It was sent.
void pacer_next(pacer_t *self);

#endif
