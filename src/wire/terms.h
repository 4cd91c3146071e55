// SPDX-License-Identifier: MPL-2.0
// terms.h - who may come in at a side, with which keys, and what peers are told when they
// come, as one number: where another configuration has the same, its peers can stay.

#ifndef ZB_WIRE_TERMS_H
#define ZB_WIRE_TERMS_H

#include "wire/internal.h"

// In the route's thread, when a side has its keys: what they were when its peers came is compared later.
void terms_note(wport_t *port);

// Those of WANTED, with the policy in force.
uint64_t terms_wanted(const wport_t *port, const side_conf_t *wanted);

#endif
