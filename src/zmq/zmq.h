// SPDX-License-Identifier: MPL-2.0
// zmq.h - the engines over libzmq's sockets: with a loop of ours, and with zmq_proxy(3).

#ifndef ZB_ZMQ_H
#define ZB_ZMQ_H

#include "flow/engine.h"

extern const route_engine_t engine_zmq, engine_zmq_proxy;

#endif
