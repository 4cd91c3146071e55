// SPDX-License-Identifier: MPL-2.0
// apply.h - from the configuration that runs to the one that is wanted, one
// step of the plan after the other. Comes after prepare.h and cannot fail: a route
// that does not survive its step has the state `failed`.

#ifndef ZB_APPLY_H
#define ZB_APPLY_H

#include "broker/prepare.h"

// Takes *WANTED_P, and what READY holds for each step of PLAN. PLAN points into configurations that are freed by this.
void apply_plan(broker_t *self, conf_t **wanted_p, plan_t *plan, prepared_t *ready);

#endif
