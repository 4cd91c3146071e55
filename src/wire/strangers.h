// SPDX-License-Identifier: MPL-2.0
// strangers.h - peers that have not said yet who they are, by where they come from: see
// net/origin.h.
//
// How many may come from one place at once has no bound of its own: all clients of a
// host come back at once when the route does, and none of them is turned away. But
// who has the most places gives one up first, and a place whose handshakes fail all
// the time waits: 200 failures at once, and then 50 a second.
//
// The table is small, and never grows. Two places may share an entry, by a hash that
// nobody outside can choose.

#ifndef ZB_WIRE_STRANGERS_H
#define ZB_WIRE_STRANGERS_H

#include "wire/internal.h"

enum { STRANGERS_FAILURES_MOST = 200 };

stranger_t *strangers_find(wire_t *self, int fd); // of the peer of that connection
void strangers_free(wire_t *self);

bool strangers_may_come(stranger_t *self, int64_t now_ms);
void strangers_failed(stranger_t *self, int64_t now_ms);

// How many of them are in their handshake.
uint32_t strangers_waiting(const stranger_t *self);
void strangers_wait(stranger_t *self, int change);

#endif
