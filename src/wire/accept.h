// SPDX-License-Identifier: MPL-2.0
// accept.h - who comes through the doors of a route: a connection is made of each who may
// say who it is.

#ifndef ZB_WIRE_ACCEPT_H
#define ZB_WIRE_ACCEPT_H

#include "wire/internal.h"

void accept_at(wire_t *self, listener_t *listener, side_t side); // which is borrowed
void accept_at_all(wire_t *self); // of the route's listeners, but where it has to join first

#endif
