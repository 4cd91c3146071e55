// SPDX-License-Identifier: MPL-2.0
// workers.h - the side of acknowledged workers: a ROUTER whose peers ask for messages
// of the route's store and say when they are done. What they say is read by ackwords.h,
// what they have is in jobs.h.
//
// A try is on the disk before it is made, so that a message that comes twice says so
// whatever ends in between: what is taken for a worker is said to the store first, and
// given when that is committed. A little more is taken than workers ask for, so that
// they need not wait for the disk.

#ifndef ZB_WIRE_WORKERS_H
#define ZB_WIRE_WORKERS_H

#include "store/store.h"
#include "wire/internal.h"

extern const socktype_t socktype_workers;

bool workers_have(wire_t *wire, const store_message_t *message); // one has it since before the route took over
bool workers_take(wire_t *wire, const store_message_t *message); // false: they want none now
uint32_t workers_wanted(const wire_t *wire);                     // so many
void workers_reached(wire_t *wire);        // the store has got further, or there is room: give what may be given
void workers_letters(wire_t *wire);        // its box has news of the dead letters that it has sent
bool workers_are_busy(const wire_t *wire); // messages that are given and not done
void workers_end(wire_t *wire);            // before the store is closed: what was not given was not tried

#endif
