// SPDX-License-Identifier: MPL-2.0
// inforce.h - the policy in force. The main thread replaces it whole; a
// thread that decides borrows it for the time of one decision, under no lock; a route's thread asks it
// for a client's rights.

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

// For a moment, in any thread but the main one: NULL before the first. Give it back, also then.
const policy_t *inforce_borrow(inforce_t *self);
void inforce_return(inforce_t *self);

// In any thread: what USER may do at ROUTE.SIDE, NULL: everything; the caller frees.
// It takes the lock, so ask seldom: when a client is seen first, or GENERATION,
// which is another number when any right may have changed, says so.
acl_view_t *inforce_view(inforce_t *self, const char *route, side_t side, const char *user, const char *client);
uint64_t inforce_generation(const inforce_t *self);

#endif
