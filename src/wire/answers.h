// SPDX-License-Identifier: MPL-2.0
// answers.h - how long one service took for its answers of the last minute: counts by
// duration, in slots of ten seconds. A duration is known to within a sixteenth.

#ifndef ZB_ANSWERS_H
#define ZB_ANSWERS_H

#include <stdint.h>

enum {
    ANSWERS_SLOTS = 6,
    ANSWERS_PARTS = 8,                 // of each power of two
    ANSWERS_ROWS = 40 * ANSWERS_PARTS, // from a microsecond up
};

// All zeros: none yet.
typedef struct {
    int64_t decade; // of the newest slot: tens of seconds
    uint32_t counts[ANSWERS_SLOTS][ANSWERS_ROWS];
} answer_times_t;

void answers_add(answer_times_t *self, int64_t now_ns, int64_t took_ns);

// The duration within which that many of 100 were given; -1: there was none in the last minute.
int64_t answers_percentile(answer_times_t *self, int64_t now_ns, unsigned percent);

#endif
