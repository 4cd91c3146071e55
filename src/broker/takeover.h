// SPDX-License-Identifier: MPL-2.0
// takeover.h - from the configuration that runs to the one that is wanted, one
// step of the plan after the other. Comes after ready.h and cannot fail: a route
// that does not survive its step has the state `failed`.

#ifndef ZB_TAKEOVER_H
#define ZB_TAKEOVER_H

#include "broker/ready.h"

// Takes *WANTED_P, and what READY holds for each step of PLAN. PLAN points into configurations that are freed by this.
void take_over(broker_t *self, conf_t **wanted_p, plan_t *plan, ready_t *ready);

#endif
