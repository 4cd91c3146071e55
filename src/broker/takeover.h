// SPDX-License-Identifier: MPL-2.0
// takeover.h - what the program before has left, piece by piece: to the slots as they
// are made, and to the listening sockets. The other direction is in broker.h.

#ifndef ZB_TAKEOVER_H
#define ZB_TAKEOVER_H

#include "broker/activation.h"
#include "broker/savedstate.h"
#include "broker/internal.h"

void takeover_offer(activation_t *activation, record_fields_t from);

void takeover_status(broker_t *self, record_fields_t from);
void takeover_slot(slot_t *slot, record_fields_t from);         // before its route is opened
void takeover_savedroute(slot_t *slot, record_fields_t from);      // before its route runs
void takeover_rest(const broker_t *self, record_fields_t from); // nobody else wants it

#endif
