// SPDX-License-Identifier: MPL-2.0
// observe.h - every message of a route for those who look on: its taps, and the peers
// of its capture. They never slow it: what they have no room for is counted.

#ifndef ZB_WIRE_OBSERVE_H
#define ZB_WIRE_OBSERVE_H

#include "wire/internal.h"

void observe(const conn_t *from, const piece_t *piece);

// Around each round, in which those who look on may come and go.
void observe_begin(wire_t *self);
void observe_end(wire_t *self);

void observe_sweep(wire_t *self); // taps may have left
void observe_close(wire_t *self);

tap_t *observe_tap(route_t *self, const void *prefix, size_t prefix_size); // of the engine's record

#endif
