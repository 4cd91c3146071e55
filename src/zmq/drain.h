// SPDX-License-Identifier: MPL-2.0
// drain.h - the end of a route with as little loss as libzmq allows, in the route's own thread.
//
// What clients have handed to their sockets sits in kernel buffers that die with
// a connection closed the usual way. So: accept nobody new, read ahead into a
// queue of our own, half-close every connection (the clients see the end, keep
// what they have, and connect again to whoever comes next), read on until all
// have gone, and send on what was read until the time is over. What a client has
// written half at its connection's end is lost: libzmq does not tell where a
// message ends. doc/design.md section 6.

#ifndef ZB_DRAIN_H
#define ZB_DRAIN_H

#include "flow/route.h"
#include "zmq/forward.h"
#include "zmq/watch.h"

#include <stdint.h>

typedef struct {
    watch_side_t *inputs[SIDES];      // NULL: none there, or not watched
    int64_t (*left_ms)(void *arg);    // of the time that it may take, asked all the time; 0: it is over
    void (*leave)(void *arg);         // the clients have gone: accept no more
    void *arg;
} drain_t;

route_leftover_t drain_run(forward_t *forward, const drain_t *drain);

#endif
