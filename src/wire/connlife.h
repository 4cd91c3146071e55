// SPDX-License-Identifier: MPL-2.0
// connlife.h - one connection from its accept or connect to its end: greeting, login,
// traffic, and what becomes of what it had when it ends.

#ifndef ZB_WIRE_CONNLIFE_H
#define ZB_WIRE_CONNLIFE_H

#include "wire/internal.h"

// Take over FD, which is connected to the peer of that name and host. DIALLED: who made the connection; NULL: it was accepted.
conn_t *connlife_new(wport_t *port, int fd, dialled_t *dialled, const char *peer_name, const char *host);

void connlife_serve(conn_t *conn); // its turn
bool connlife_tick(conn_t *conn);  // heartbeats and deadlines. True: the next one should come soon

// It goes on elsewhere, with its descriptor: here nobody is told. What its port has of it is the caller's business.
void connlife_vanish(conn_t *conn);

#endif
