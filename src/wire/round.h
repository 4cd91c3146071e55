// SPDX-License-Identifier: MPL-2.0
// round.h - one round of a route's loop: what has news has its turn, and what was
// given to peers is written, all of it at once.

#ifndef ZB_WIRE_ROUND_H
#define ZB_WIRE_ROUND_H

#include "wire/internal.h"

void round_run(wire_t *self, int64_t most_ms); // wait at most so long for news, -1: for ever
void round_flush(wire_t *self);                // write now what waits for the end of the round
void round_note_time(wire_t *self);            // it is asked for the time once; now_ms and now_ns say it until the next

#endif
