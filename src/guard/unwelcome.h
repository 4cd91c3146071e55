// SPDX-License-Identifier: MPL-2.0
// unwelcome.h - who is in already and would not be let in any more.

#ifndef ZB_UNWELCOME_H
#define ZB_UNWELCOME_H

#include "flow/watch.h"
#include "guard/policy.h"

// NOW is in force in place of BEFORE: cut, and log, each client whose key, password
// or address went, or whose side has rights (acl) that it had not before, or the
// other way round. In the main thread.
void unwelcome_cut(watch_t *watch, const policy_t *before, const policy_t *now);

#endif
