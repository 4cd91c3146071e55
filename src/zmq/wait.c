// SPDX-License-Identifier: MPL-2.0
#include "zmq/forward_internal.h"

#include "base/bell.h"

#include <time.h>

// What there is to be told of PORT: messages for a lane that would read them, room for a lane that waits for it. Of a
// socket an error is never told, but asking for it has zmq_poll(3) run the commands of one that is not used now: whoever
// comes and goes at a full or paused route leaves nothing behind.
static short
events_of(const forward_t *self, const port_t *port)
{
    short events = ZMQ_POLLERR | (port->side == SIDE_CAPTURE && port->type == ZMQ_XPUB ? ZMQ_POLLIN : 0);
    for (size_t i = 0; i < self->lane_count; i++) {
        const lane_t *lane = &self->lanes[i];
        bool waits = forward_in_hand(lane);
        if (lane->from == port && !lane->stopped && !waits)
            events |= ZMQ_POLLIN;
        if (lane->to == port && !lane->frozen && waits && !port->pollout_lies)
            events |= ZMQ_POLLOUT;
    }
    return events;
}

static void
hear(forward_t *self, const port_t *port, short events)
{
    for (size_t i = 0; i < self->lane_count; i++) {
        lane_t *lane = &self->lanes[i];
        lane->due |= (lane->from == port && events & ZMQ_POLLIN) || (lane->to == port && events & ZMQ_POLLOUT);
    }
    if (port->side == SIDE_CAPTURE)
        forward_observe(self);
}

void
forward_wait(forward_t *self, int timeout_ms)
{
    zmq_pollitem_t items[SIDES + 1] = { { .fd = self->bell, .events = ZMQ_POLLIN } };
    port_t *ports[SIDES + 1];
    int count = 1;
    for (int side = 0; side < SIDES; side++) {
        port_t *port = &self->ports[side];
        if (!port->socket)
            continue;
        ports[count] = port;
        items[count++] = (zmq_pollitem_t){ .socket = port->socket, .events = events_of(self, port) };
    }
    if (zmq_poll(items, count, timeout_ms) <= 0)
        return;
    if (items[0].revents)
        bell_hear(self->bell);
    for (int i = 1; i < count; i++)
        if (items[i].revents)
            hear(self, ports[i], items[i].revents);
}

// A socket that claims to be writable and is not: a short bounded send is the only way to wait.
static bool
push(forward_t *self, lane_t *lane)
{
    message_t *held = &lane->held;
    zmq_msg_t *part = lane->holding ? &lane->part : &held->frames[held->next];
    bool more = lane->holding ? lane->inside : held->next + 1 < held->count;
    if (zmq_msg_send(part, lane->to->socket, more ? ZMQ_SNDMORE : 0) == -1)
        return false;
    if (!lane->holding) {
        held->next++;
        forward_deliver(self, lane, held);
        return true;
    }
    lane->holding = false;
    counters_end_blocked(lane->to->counters);
    if (!more) {
        tally_up(self, lane, &(tally_t){ .sent = 1, .sent_bytes = lane->bytes });
        message_over(self, lane, lane->kind);
    }
    return true;
}

// The lane with a message in hand for a port that only a send can ask for room; NULL: none.
static lane_t *
find_pushing(forward_t *self)
{
    for (size_t i = 0; i < self->lane_count; i++) {
        lane_t *lane = &self->lanes[i];
        if (!lane->frozen && lane->to->pollout_lies && (lane->holding || lane->held.count > 0))
            return lane;
    }
    return NULL;
}

void
forward_rest(forward_t *self)
{
    lane_t *pushing = find_pushing(self);
    if (pushing) {
        push(self, pushing);
        forward_all_due(self);
    } else if (self->batch_ns && self->moved >= self->batch_min && !forward_any_in_hand(self)) {
        struct timespec nap = { 0, self->batch_ns };
        clock_nanosleep(CLOCK_MONOTONIC, 0, &nap, NULL);
        forward_all_due(self);
    } else {
        forward_wait(self, -1);
    }
}
