// SPDX-License-Identifier: MPL-2.0
// reread.h - what the guard's files say now that they did not say when they were read before: for the plan of a reload,
// which sees only that they have the same names.

#ifndef ZB_REREAD_H
#define ZB_REREAD_H

#include "conf/conf.h"
#include "guard/policy.h"

// FOUND is called for each file that a route has named by the same KEY before, and whose content is another: WORDS begin
// with its path and say what changed, never a secret. RELOAD is what the route needs to go over to it.
typedef void reread_found_t(void *arg, const char *route, const char *key, const char *words, reload_t reload);
void reread_compare(const policy_t *before, const policy_t *now, reread_found_t *found, void *arg);

#endif
