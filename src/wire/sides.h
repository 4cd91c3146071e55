// SPDX-License-Identifier: MPL-2.0
// sides.h - the endpoints of a route, and what it takes over while it runs.

#ifndef ZB_WIRE_SIDES_H
#define ZB_WIRE_SIDES_H

#include "wire/internal.h"

// Before its thread runs: take what a side binds; what was taken goes back.
void sides_take_listeners(wire_t *self, side_t side, listeners_t *from);
void sides_give_back_listeners(wire_t *self, listeners_t *to);

// In its thread.
void sides_listen(wire_t *self);                                              // accept, but where it has to join first
void sides_connect(wire_t *self, side_t side, const side_conf_t *had);        // what HAD has not; NULL: all
void sides_join(wire_t *self);

// Of the engine's record.
int sides_change(route_t *self, const route_conf_t *conf, listeners_t *listeners, diag_t *diag);
const char *sides_endpoint(const route_t *self, side_t side, size_t i, bool *connected);
void sides_stop_accepting(route_t *self, closed_for_t reason, const route_conf_t *successor);
void sides_share_listeners(const route_t *self, listeners_t *shared);
void sides_let_others_accept(wire_t *self);

// Run CALL in the route's thread; ANSWER waits for it. -1: it has none any more. CALL does both, for FUNCTION.
void wire_ask(wire_t *self, call_t *call);
int wire_answer(wire_t *self, call_t *call);
int wire_call(wire_t *self, int (*function)(wire_t *self, void *arg), void *arg);

#endif
