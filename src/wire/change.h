// SPDX-License-Identifier: MPL-2.0
// change.h - the endpoints of a route, and what it takes over while it runs.

#ifndef ZB_WIRE_CHANGE_H
#define ZB_WIRE_CHANGE_H

#include "wire/internal.h"

// Before its thread runs: take what a side binds; what was taken goes back.
void change_take_listeners(wire_t *self, side_t side, listeners_t *from);
void change_give_back_listeners(wire_t *self, listeners_t *to);

// In its thread.
void change_listen(wire_t *self);                                              // accept, but where it has to join first
void change_connect(wire_t *self, side_t side, const side_conf_t *had);        // what HAD has not; NULL: all
void change_join(wire_t *self);

// Of the engine's record.
int change_route(route_t *self, const route_conf_t *conf, listeners_t *listeners, diag_t *diag);
const char *change_endpoint(const route_t *self, side_t side, size_t i, bool *connected);
void change_stop_accepting(route_t *self, closed_for_t reason, const route_conf_t *successor);
void change_share_listeners(const route_t *self, listeners_t *shared);
void change_let_others_accept(wire_t *self);

// Run FUNCTION in the route's thread and wait for it. -1: it has none any more.
int wire_call(wire_t *self, int (*function)(wire_t *self, void *arg), void *arg);

#endif
