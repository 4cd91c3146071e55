// SPDX-License-Identifier: MPL-2.0
// zbroker-limits.h - how many clients and how much memory the routes may have: what
// the configuration asks for, as far as the system allows it.

#ifndef ZB_ZBROKER_LIMITS_H
#define ZB_ZBROKER_LIMITS_H

#include "broker/broker.h"
#include "flow/capacity.h"
#include "flow/memory.h"

#include <stdatomic.h>
#include <stdint.h>

typedef struct {
    capacity_t *capacity;
    memory_t *memory;
    uint64_t descriptors, reserve; // the limit, and what of it clients never get
    uint64_t unnamed;              // how many may be in their handshake, with engine wire
    uint64_t room;                 // for connections
    _Atomic bool limit_asked_for;  // how many clients is max_clients, not what descriptors allow
} limits_t;

// Before anything is opened: raises the limit of descriptors, and sets part of it aside.
void limits_open(limits_t *self, const conf_t *conf);

// Now that everything but clients is open: the rest of the descriptors is theirs.
void limits_count(limits_t *self);

// What CONF says of clients and memory holds from now on, for the routes of BROKER.
void limits_apply(limits_t *self, const conf_t *conf, broker_t *broker);

void limits_close(limits_t *self);

#endif
