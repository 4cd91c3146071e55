// SPDX-License-Identifier: MPL-2.0
// ending.h - the end of a route without loss, in the route's own thread.
//
// Clients are half-closed as soon as they owe and are owed nothing: just after a whole
// message with nothing behind it, a queue's client right behind its last reply, or when
// it asks nothing. They see the end, keep what they have, and connect again to whoever
// accepts next, which is not this route. What they had sent is read until they have
// gone, and delivered.

#ifndef ZB_WIRE_ENDING_H
#define ZB_WIRE_ENDING_H

#include "wire/internal.h"

void ending_run(wire_t *self); // until all is delivered, or the route's deadline

// The store, if it has one: when nobody is there any more.
void ending_close_store(wire_t *self);

#endif
