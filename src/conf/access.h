// SPDX-License-Identifier: MPL-2.0
// access.h - who may come in and do what, as far as the configuration can tell: each
// mechanism has what it needs, nothing is open by oversight, and no key gives a false
// sense of safety.

#ifndef ZB_ACCESS_H
#define ZB_ACCESS_H

#include "conf/assigned.h"

void access_check(const check_t *self, size_t which);

// What the side could not keep: rights where no topics are seen, or beside an option that turns them round;
// addresses over a transport that tells none.
void access_check_kept(const check_t *self, size_t which);

// Keys of mechanisms that no side of the route uses.
void access_check_unused(const check_t *self);

// Is KEY one that only mechanisms other than MECHANISM read?
bool access_is_foreign(const char *key, security_t mechanism);

#endif
