// SPDX-License-Identifier: MPL-2.0
// revoke.h - connections over libzmq's sockets that would not be let in any more. Those
// of engine wire are judged again by their route (flow/admission.h).

#ifndef ZB_REVOKE_H
#define ZB_REVOKE_H

#include "guard/policy.h"
#include "zmq/watch.h"

// NOW is in force in place of BEFORE: cut, and log, each client whose address went. libzmq does not tell which
// connection is whose, so that a key, user or password that went cuts every client of the side: who may stay comes
// again at once. In the main thread.
void revoke(watch_t *watch, const policy_t *before, const policy_t *now);

#endif
