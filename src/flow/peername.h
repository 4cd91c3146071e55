// SPDX-License-Identifier: MPL-2.0
// peername.h - which connection a login or a message is of.
//
// libzmq tells a ZAP handler, and the property Peer-Address of a message tells
// us, only the host that a peer comes from; several of one host look alike. The
// executable has its own getnameinfo(3) (interpose/getnameinfo.c), with which libzmq makes
// that text: it puts the inode of the connection behind the host, and no two
// connections of a system have the same. Where it is not linked, or the
// transport is none that it knows, there is no inode, and nobody is told apart.

#ifndef ZB_PEERNAME_H
#define ZB_PEERNAME_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

// Take "#INODE" out of the SIZE bytes of TEXT, which need no NUL, and copy the
// rest, cut off at ROOM, to HOST ("192.0.2.7", "localhost:UID:GID:PID"). The
// inode, 0: there was none.
ino_t peername_split(const char *text, size_t size, char *host, size_t room);

// Is it the HOST of a peer over ipc? libzmq asks for numbers, so that only a transport without them has a name.
bool peername_is_ipc(const char *host);

// HOST as people read it: an IPv4 address as such, "ipc", and NONE for "".
const char *peername_shown(const char *host, const char *none);

// The inode of the socket FD, 0: it is none.
ino_t peername_inode(int fd);

#endif
