// SPDX-License-Identifier: MPL-2.0
// capture.h - every message of a route, both directions, for whoever listens:
// a PUB (in truth an XPUB, so that we know whether anybody does) or a PUSH.
// Lossy: what a reader has no room for is dropped and counted.

#ifndef ZB_CAPTURE_H
#define ZB_CAPTURE_H

#include "conf/conf.h"
#include "flow/counters.h"

#include <stdbool.h>
#include <stddef.h>
#include <zmq.h>

typedef struct capture capture_t;

// SOCKET stays the caller's. LOCAL: it has an endpoint whose peers the watch thread cannot see (inproc).
capture_t *capture_new(void *socket, const route_conf_t *conf, counters_t *counters);

// Read who listens. Call when the socket can be read, and now and then under load.
void capture_look(capture_t *self);
bool capture_has_readers(const capture_t *self);

// Offer COUNT frames that came in at SIDE, at WALL_NS, as the route's message number SEQ. Never waits, never keeps a frame.
void capture_offer(capture_t *self, side_t side, uint64_t seq, int64_t wall_ns, zmq_msg_t *frames, size_t count);

void capture_free(capture_t **self_p);

#endif
