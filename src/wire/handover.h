// SPDX-License-Identifier: MPL-2.0
// handover.h - all that a route's peers have goes to another route of the same name:
// connections, whatever state they are in, what they had sent and what waits for them,
// requests without an answer, subscriptions, routing ids. No peer notices.
//
// It is written down (base/record.h) in the thread of the one and read in that of the
// other, so that it is the same inside a process and across the exec of another one.

#ifndef ZB_WIRE_HANDOVER_H
#define ZB_WIRE_HANDOVER_H

#include "wire/internal.h"

// Of the engine's record. SAVE: SELF has no connection from then on, accepts none, and ends by itself. False: SUCCESSOR
// cannot take them over; nothing has changed.
bool handover_can_save(const route_t *self, const route_conf_t *successor);
bool handover_save(route_t *self, const route_conf_t *successor, record_t *to);
void handover_take(route_t *self, record_t *saved); // before its thread runs

// In its thread, before it connects.
void handover_restore(wire_t *self);

#endif
