// SPDX-License-Identifier: MPL-2.0
// compat.h - what does not go together: keys with socket types, with sides that are
// not there, with each other, and with libzmq's own loop.

#ifndef ZB_COMPAT_H
#define ZB_COMPAT_H

#include "conf/assigned.h"

// A SIDE_key has to fit that side; a key without a side has to fit one at least.
void compat_keys(const check_t *self);

void compat_absent_side(const check_t *self, size_t which);  // keys of a side that is not there
void compat_combinations(const check_t *self, size_t which); // keys that exclude or need each other
void compat_transports(const check_t *self, size_t which);   // what libzmq cannot do over one of the side's transports
bool compat_route_row(const route_conf_t *route, const key_row_t *row); // can such a route have it
void compat_route_rows(const check_t *self);                            // keys of another kind of route
void compat_without_wire(const check_t *self);                          // keys that only engine wire has
void compat_proxied(const check_t *self);                               // what libzmq's own loop cannot do

#endif
