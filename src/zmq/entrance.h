// SPDX-License-Identifier: MPL-2.0
// entrance.h - which addresses may connect to which side: asked when a connection is accepted.
//
// libzmq asks about a client (ZAP) only when it has read what the client sent, and about a
// WebSocket client without a security mechanism never. So the executable's own accept4(2)
// (shield_accept.c) asks here first. It knows the listening descriptor only; the side
// that the descriptor belongs to was noted when libzmq got it.

#ifndef ZB_ENTRANCE_H
#define ZB_ENTRANCE_H

#include "flow/admission.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/socket.h>

#define ENTRANCE_REFUSED EPROTO // what accept(2) then fails with, and libzmq's monitor tells

// The side for which a connection is accepted.
typedef struct {
    char route[ROUTE_NAME_MAX + 1];
    side_t side;
} entrance_t;

// Ask GUARD from now on; NULL: every client may connect. The one before is not asked any more.
void entrance_ask(const admission_t *guard);

// libzmq accepts on FD for WHERE.
void entrance_note(int fd, const entrance_t *where);

// May PEER, which has connected to FD, stay? Over ipc and tipc, where no peer has an IP address, it may.
bool entrance_admits(int fd, const struct sockaddr_storage *peer);

#endif
