// SPDX-License-Identifier: MPL-2.0
#include "zmq/forward_internal.h"

#include "base/clock.h"

#include <errno.h>

#define PATIENCE_NS INT64_C(100000000) // between two waits for slow subscribers

static void
begin_blocked(const port_t *port)
{
    if (counter_get(&port->counters->blocked_since_ns) == 0)
        counter_set(&port->counters->blocked_since_ns, (uint64_t)clock_mono_ns());
}

static void
set_nodrop(const port_t *port, int on)
{
    zmq_setsockopt(port->socket, ZMQ_XPUB_NODROP, &on, sizeof on);
}

// A subscriber's queue is full. XPUB drops for it silently, and a loop that
// reads eagerly makes that happen to healthy subscribers too; so the socket is
// nodrop in truth. We wait one moment (ZMQ_SNDTIMEO) for whoever is merely
// slower than a burst, and then let the full ones lose it, once they have not
// moved no more than every PATIENCE_NS.
static outcome_t
send_lossy(forward_t *self, lane_t *lane, zmq_msg_t *part, int flags)
{
    int64_t now = clock_mono_ns();
    if (now >= lane->patience_ns) {
        if (zmq_msg_send(part, lane->to->socket, flags & ~ZMQ_DONTWAIT) != -1)
            return SENT;
        lane->patience_ns = now + PATIENCE_NS;
    }
    set_nodrop(lane->to, 0);
    int rc = zmq_msg_send(part, lane->to->socket, flags);
    set_nodrop(lane->to, 1);
    count_drop(self, DROP_HWM);
    return rc == -1 ? DROPPED : SENT;
}

outcome_t
lane_refused(forward_t *self, lane_t *lane, zmq_msg_t *part, int flags)
{
    if (errno == EAGAIN && lane->to->lossy)
        return send_lossy(self, lane, part, flags);
    if (errno == EAGAIN && lane->kind != LANE_REPLY) {
        begin_blocked(lane->to);
        return HELD;
    }
    // A ROUTER says EAGAIN for this one client: the others must not wait for it.
    count_drop(self, errno == EAGAIN ? DROP_HWM : DROP_UNDELIVERABLE);
    return DROPPED;
}

// The rest of a message that nobody will get. libzmq shows a message only once
// it is whole, so its parts are all there.
void
lane_discard_rest(lane_t *lane)
{
    int more = zmq_msg_more(&lane->part);
    while (more) {
        int size = zmq_msg_recv(&lane->part, lane->from->socket, ZMQ_DONTWAIT);
        if (size == -1)
            break;
        lane->bytes += (uint64_t)size;
        more = zmq_msg_more(&lane->part);
    }
    lane->inside = false;
}
