// SPDX-License-Identifier: MPL-2.0
// wire.h - the engine that owns its connections: it speaks ZMTP (RFC 37, and RFC 13, 15
// and 23 with older peers) over tcp and ipc, one thread a route, and moves messages
// from connection to connection without a socket of libzmq.

#ifndef ZB_WIRE_H
#define ZB_WIRE_H

#include "flow/engine.h"

extern const route_engine_t engine_wire;

#endif
