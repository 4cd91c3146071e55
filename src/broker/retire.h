// SPDX-License-Identifier: MPL-2.0
// retire.h - routes on their way out: disabled, removed, replaced, or stopped with
// the process. Each drains in its own thread; the loop hears when it is done, and
// then it is buried: closed, what it left is logged, and who waited for it starts.

#ifndef ZB_RETIRE_H
#define ZB_RETIRE_H

#include "broker/internal.h"

// The slot's route begins to drain; the slot is without one from now on. WHY is
// logged at its end ("removed") and must be a literal.
void retire_slot(broker_t *self, slot_t *slot, const char *why);

// Hear of routes that are done, or whose engine has ended by itself, from now on: 0, or -1 without descriptors.
int retire_listen(broker_t *self);
void retire_deaf(broker_t *self);

// When the process stops. Along a chain of routes inside the process the head goes
// first, and each burial lets the next one go.
void retire_heads(broker_t *self);
void retire_all(broker_t *self);   // at once
void retire_hurry(broker_t *self); // none of them may drain any longer

// Wait for all of them, however long it takes: after retire_hurry.
void retire_bury_all(broker_t *self);

// Take what CONF binds, and nobody else does, out of systemd's descriptor store.
void retire_unstore(const broker_t *self, const route_conf_t *conf);

#endif
