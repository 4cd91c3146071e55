// SPDX-License-Identifier: MPL-2.0
// standstill.h - a side that takes no messages while some wait for it: for how
// long, and what the log says of it.
//
// A running route that has been blocked for ten seconds gets one line, and one
// when it has flowed for three. A worker that takes a message now and then, and
// has a queue in front of it, stays blocked.

#ifndef ZB_STANDSTILL_H
#define ZB_STANDSTILL_H

#include "flow/counters.h"

typedef struct {
    bool told;
    side_t side;
    int64_t since_ns; // of the spell that was told
    unsigned flowing; // seconds
} standstill_t;

// How long a side has been blocked now, 0: it is not.
int64_t standstill_spell_ns(const side_counters_t *side);

// The longest spell of all sides but the capture, and its side.
int64_t standstill_longest_ns(const counters_t *counters, side_t *side);

// A second is over.
void standstill_tick(standstill_t *self, const char *route, const counters_t *counters, bool running);

#endif
