// SPDX-License-Identifier: MPL-2.0
// spread.h - the socket types that send each message to one peer: PUSH, DEALER and
// SCATTER to the next that has room, PAIR to its only one; and PULL and GATHER, that
// only receive. zmq_socket(3) says what users rely on.

#ifndef ZB_WIRE_SPREAD_H
#define ZB_WIRE_SPREAD_H

#include "wire/internal.h"

bool spread_hears_nothing(conn_t *conn, piece_t *piece); // of a socket type whose peers do not send

extern const socktype_t socktype_push, socktype_pull, socktype_dealer, socktype_scatter, socktype_gather, socktype_pair;

#endif
