// SPDX-License-Identifier: MPL-2.0
// filter.h - the seam through which the guard looks at a route's traffic. A
// route without acl and quota has none and pays nothing.

#ifndef ZB_FILTER_H
#define ZB_FILTER_H

#include "flow/counters.h"

#include <zmq.h>

typedef struct filter {
    // May the message that starts with FIRST, and came in at FROM, pass down? FIRST carries
    // the properties of its connection (zmq_msg_gets(3)). Called in the route's thread. Returns
    // true, or false: it is dropped whole and counted under *REASON.
    bool (*message)(void *arg, side_t from, zmq_msg_t *first, drop_reason_t *reason);

    // A (un)subscription FRAME was read from XPUB, which is in manual mode
    // (ZMQ_XPUB_MANUAL): subscribe the peer here. Returns how the frontend is to be
    // told: true: pass FRAME up (it may have been replaced).
    bool (*subscription)(void *arg, void *xpub, zmq_msg_t *frame);

    void *arg;
    bool filters_messages, filters_subscriptions; // which of the two are in use
} filter_t;

#endif
