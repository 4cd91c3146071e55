// SPDX-License-Identifier: MPL-2.0
// inforce.h - the policy in force. The main thread replaces it whole; whoever
// decides borrows it for the time of one decision, under no lock.

#ifndef ZB_INFORCE_H
#define ZB_INFORCE_H

#include "guard/policy.h"

typedef struct inforce inforce_t;

inforce_t *inforce_new(void); // of no policy yet
void inforce_free(inforce_t **self_p);

// In the main thread: what was set last, NULL before the first.
const policy_t *inforce_policy(const inforce_t *self);

// In the main thread: from now on POLICY, the caller's no longer. Returns the one
// before, which nobody uses any more, for the caller to free.
policy_t *inforce_replace(inforce_t *self, policy_t *policy);

// For a moment, in any thread: NULL before the first. Give it back, also then.
const policy_t *inforce_borrow(inforce_t *self);
void inforce_return(inforce_t *self);

// In any thread: another number whenever the policy was replaced.
uint64_t inforce_generation(const inforce_t *self);

#endif
