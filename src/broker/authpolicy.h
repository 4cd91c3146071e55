// SPDX-License-Identifier: MPL-2.0
// authpolicy.h - what the guard is told of the broker's routes, and the logins that
// it counts for them. Without a guard every call succeeds and does nothing.

#ifndef ZB_AUTHPOLICY_H
#define ZB_AUTHPOLICY_H

#include "broker/internal.h"

// Read all that CONFS name (certificates, users, rights) into *POLICY_P, which is
// the caller's and stays NULL without a guard. 0, or -1 with DIAG.
int authpolicy_read(broker_t *self, const route_conf_t *const *confs, size_t count, policy_t **policy_p, diag_t *diag);

// Put it in force, which routes with connections of their own are told of at once. NULL: nothing to do.
void authpolicy_use(broker_t *self, policy_t **policy_p);

// Read, and put it in force. 0, or -1 with DIAG: what was in force stays.
int authpolicy_tell(broker_t *self, const route_conf_t *const *confs, size_t count, diag_t *diag);

// Into PLAN: which files of the routes read otherwise in POLICY (NULL: there is no guard) than in what is in force.
void authpolicy_compare(const broker_t *self, const policy_t *policy, plan_t *plan);

// Where the guard counts the logins of the route of this name. Lives as long as
// the broker: a name that comes back goes on where it was.
counters_t *authpolicy_logins(broker_t *self, const char *route);

// The guard's thread counts no more, and its counters are freed.
void authpolicy_end(broker_t *self);

#endif
