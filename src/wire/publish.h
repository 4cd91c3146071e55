// SPDX-License-Identifier: MPL-2.0
// publish.h - XPUB and PUB: to whom a message goes, and that it finds room there.

#ifndef ZB_WIRE_PUBLISH_H
#define ZB_WIRE_PUBLISH_H

#include "wire/internal.h"
#include "wire/kept.h"

extern const socktype_t socktype_pub, socktype_xpub;

// To one peer that may read it; counted as lost if there is no room. True: it gets it.
bool publish_send(conn_t *conn, const piece_t *piece);

// What its keys make of the port, of whichever side: it keeps what it has published, for those who come (remember.h) or
// for those who are away (durable.h).
void publish_keep(wport_t *self);
void publish_again(wport_t *self, const kept_t *kept); // what was published is kept again for those that are away

#endif
