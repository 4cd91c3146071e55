// SPDX-License-Identifier: MPL-2.0
// prepare.h - what one step of a plan needs, bound and opened before anything old is
// given up: whatever can go wrong goes wrong here, and costs nobody a connection.

#ifndef ZB_PREPARE_H
#define ZB_PREPARE_H

#include "broker/internal.h"

// What one step of a plan has made ready. All zero: nothing.
typedef struct {
    listeners_t listeners;
    route_t *route;
    counters_t *counters;
    bool later; // its binds belong to libzmq (inproc, …): the old route must go first
} prepared_t;

// Bind what the step still lacks: a listener that is bound already, here or by
// another route, is shared. 0, or -1 with DIAG.
int prepare_bind(broker_t *self, const plan_step_t *step, prepared_t *ready, diag_t *diag);

// Would prepare_bind work, and the route get its store? 0, or -1 with DIAG; nothing is bound or made after it.
int prepare_try(broker_t *self, const plan_step_t *step, diag_t *diag);

// Open the step's route on its listeners, unless it must wait for the old one. 0, or -1 with DIAG.
int prepare_open(broker_t *self, const plan_step_t *step, prepared_t *ready, diag_t *diag);

// Close and free all of it.
void prepare_undo(prepared_t *ready);

// Into TO: a hold on every listener that WANTED asks for and any route has now. SLOT (or NULL) is WANTED's own.
void prepare_gather(broker_t *self, const slot_t *slot, const route_conf_t *wanted, listeners_t *to);

#endif
