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

// For who answers in the services' place. PORT is a ROUTER.
uint64_t request_number(wport_t *port); // as in an id of ours: never used again
bool request_is_wanted(wport_t *port, const uint8_t *id, size_t size); // its client is there, or may come back for it
void request_is_given_up(wport_t *port, const uint8_t *id, size_t size); // nobody will answer it

// SERVICE, of a queue that does not know which request each has, has left: as many as it got more than it answered
// are not awaited any more.
void request_service_left(conn_t *service);

#endif
