// SPDX-License-Identifier: MPL-2.0
// observe.h - every message of a route for those who look on: its taps, and the peers
// of its capture. They never slow it: what they have no room for is counted.

#ifndef ZB_WIRE_OBSERVE_H
#define ZB_WIRE_OBSERVE_H

#include "wire/internal.h"

void observe(conn_t *from, const piece_t *piece);
void observe_look(wire_t *self); // who looks on may have changed
void observe_close(wire_t *self);

tap_t *observe_tap(route_t *self, const void *prefix, size_t prefix_size); // of the engine's record

#endif
