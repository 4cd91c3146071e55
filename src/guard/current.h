// SPDX-License-Identifier: MPL-2.0
// current.h - the policy in force. The main thread replaces it whole; whoever
// decides borrows it for the time of one decision, under no lock.

#ifndef ZB_CURRENT_H
#define ZB_CURRENT_H

#include "guard/policy.h"

typedef struct current current_t;

current_t *current_new(void); // of no policy yet
void current_free(current_t **self_p);

// In the main thread: what was set last, NULL before the first.
const policy_t *current_policy(const current_t *self);

// In the main thread: from now on POLICY, the caller's no longer. Returns the one
// before, which nobody uses any more, for the caller to free.
policy_t *current_replace(current_t *self, policy_t *policy);

// For a moment, in any thread: NULL before the first. Give it back, also then.
const policy_t *current_borrow(current_t *self);
void current_return(current_t *self);

// In any thread: another number whenever the policy was replaced.
uint64_t current_generation(const current_t *self);

#endif
