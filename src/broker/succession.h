// SPDX-License-Identifier: MPL-2.0
// succession.h - what the program before has left, piece by piece: to the slots as they
// are made, and to the listening sockets. The other direction is in broker.h.

#ifndef ZB_SUCCESSION_H
#define ZB_SUCCESSION_H

#include "broker/activation.h"
#include "broker/estate.h"
#include "broker/internal.h"

void succession_offer(activation_t *activation, record_fields_t from);

void succession_status(broker_t *self, record_fields_t from);
void succession_slot(slot_t *slot, record_fields_t from);         // before its route is opened
void succession_luggage(slot_t *slot, record_fields_t from);      // before its route runs
void succession_rest(const broker_t *self, record_fields_t from); // nobody else wants it

#endif
