// SPDX-License-Identifier: MPL-2.0
// request.h - ROUTER: each peer has a routing id, which goes in front of what it sends
// and says to whom what comes back belongs.
//
// A peer's own id is passed on as it is, and belongs to the user who holds it: as long
// as requests of it are unanswered nobody else can have it. A peer without one gets one
// of ours, 0 and 12 bytes, which is never used again.

#ifndef ZB_WIRE_REQUEST_H
#define ZB_WIRE_REQUEST_H

#include "wire/internal.h"

extern const socktype_t socktype_router;

#endif
