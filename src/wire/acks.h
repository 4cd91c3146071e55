// SPDX-License-Identifier: MPL-2.0
// acks.h - the side of acknowledged producers: a ROUTER whose peers put messages into
// the route's store, and hear when they are on the disk. What they say is read by
// ackwords.h.
//
// An ID belongs to the user who sends it; where there is none, to his address. What has
// no room waits at its producer, as with every other side.

#ifndef ZB_WIRE_ACKS_H
#define ZB_WIRE_ACKS_H

#include "wire/internal.h"

extern const socktype_t socktype_acks;

bool acks_are_owed(const wire_t *wire);
void acks_committed(wire_t *wire); // the store has got further: answer those who waited for it
void acks_disown(wire_t *wire);    // at the end: it has lost some, and nobody is told that it has not

#endif
