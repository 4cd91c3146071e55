// SPDX-License-Identifier: MPL-2.0
// stored.h - a streamer whose messages go over the disk: all of them, or those that no
// worker has room for. Its frontend hands on to a port of its own, which puts them into
// the store; what is committed goes on to the workers, in order.
//
// A worker says nothing, so it gets no message twice: a message is given to it when the
// store says that it is done. How many that may be at once is what the workers have room
// for, so no more than that is lost with the process.

#ifndef ZB_WIRE_STORED_H
#define ZB_WIRE_STORED_H

#include "store/store.h"
#include "wire/internal.h"

// By the route's configuration, if it has a store. 0, or -1 with DIAG.
int stored_open(wire_t *self, diag_t *diag);
void stored_begin(wire_t *self);     // in the route's thread
void stored_configure(wire_t *self); // its configuration has changed
void stored_hear_others(wire_t *self); // routes of this process may have sent something
void stored_made_room(wire_t *self); // workers have come, or taken something

// The end. What was put in is committed, and nothing else goes to the workers.
void stored_settle(wire_t *self, int64_t wait_ms);
void stored_keep_queues(wire_t *self); // what they have not taken is kept
uint64_t stored_close(wire_t *self, int64_t wait_ms); // returns how many messages are lost

#endif
