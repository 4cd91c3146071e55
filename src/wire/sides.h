// SPDX-License-Identifier: MPL-2.0
// sides.h - the endpoints of a route, and what it takes over while it runs.

#ifndef ZB_WIRE_SIDES_H
#define ZB_WIRE_SIDES_H

#include "wire/internal.h"

// Before its thread runs: take what a side binds.
void sides_take_listeners(wire_t *self, side_t side, listeners_t *from);

// In its thread.
void sides_connect(wire_t *self, side_t side, const side_conf_t *had);        // what HAD has not; NULL: all

// Of the engine's record.
void sides_join(route_t *self);
int sides_change(route_t *self, const route_conf_t *conf, listeners_t *listeners, diag_t *diag);
const char *sides_endpoint(const route_t *self, side_t side, size_t i, bool *connected);

#endif
