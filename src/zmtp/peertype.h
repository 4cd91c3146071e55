// SPDX-License-Identifier: MPL-2.0
// peertype.h - the socket types as ZMTP knows them: their names in a handshake, and
// which of them talk to each other. A table; the numbers are those of zmq.h, which
// ZMTP 1.0 and 2.0 send.

#ifndef ZB_ZMTP_PEERTYPE_H
#define ZB_ZMTP_PEERTYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PEERTYPE_PAIR,
    PEERTYPE_PUB,
    PEERTYPE_SUB,
    PEERTYPE_REQ,
    PEERTYPE_REP,
    PEERTYPE_DEALER,
    PEERTYPE_ROUTER,
    PEERTYPE_PULL,
    PEERTYPE_PUSH,
    PEERTYPE_XPUB,
    PEERTYPE_XSUB,
    PEERTYPE_STREAM,
    PEERTYPE_SERVER,
    PEERTYPE_CLIENT,
    PEERTYPE_RADIO,
    PEERTYPE_DISH,
    PEERTYPE_GATHER,
    PEERTYPE_SCATTER,
    PEERTYPE_DGRAM,
    PEERTYPE_PEER,
    PEERTYPE_CHANNEL,
    PEERTYPES
};

typedef struct {
    const char *name;
    uint32_t talks_to;   // a bit for each number
    bool sends_identity; // in its metadata, also an empty one
    bool keeps_identity; // routes by what its peers send
} peertype_t;

const peertype_t *peertype_at(int type);          // NULL: there is no such number
int peertype_find(const void *name, size_t size); // with case, as libzmq compares; -1: unknown
bool peertype_talks(int type, int other);         // symmetric

#endif
