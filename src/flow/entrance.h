// SPDX-License-Identifier: MPL-2.0
// entrance.h - which addresses may connect to which side: asked when a connection is accepted.
//
// libzmq asks about a client (ZAP) only when it has read what the client sent, and about a
// WebSocket client without a security mechanism never. So the executable's own accept4(2)
// (interpose/accept.c) asks here first. It knows the listening descriptor only; the side
// that the descriptor belongs to was noted when libzmq got it.

#ifndef ZB_ENTRANCE_H
#define ZB_ENTRANCE_H

#include "conf/conf.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/socket.h>

#define ENTRANCE_REFUSED EPROTO // what accept(2) then fails with, and libzmq's monitor tells

// The side for which a connection is accepted.
typedef struct {
    char route[ROUTE_NAME_MAX + 1];
    side_t side;
    bool guarded; // by addresses, when it was opened: of use when the route is on its way out
} entrance_t;

// May a client at ADDRESS ("192.0.2.7") connect there? Called in libzmq's I/O threads.
typedef bool entrance_fn(void *arg, const entrance_t *where, const char *address);

// Ask FN (ARG) from now on; NULL: every client may. The function before is not called any more.
void entrance_ask(entrance_fn *fn, void *arg);

// libzmq accepts on FD for WHERE.
void entrance_note(int fd, const entrance_t *where);

// May PEER, which has connected to FD, stay? A peer without an IP address may.
bool entrance_admits(int fd, const struct sockaddr_storage *peer);

#endif
