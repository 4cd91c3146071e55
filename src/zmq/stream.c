// SPDX-License-Identifier: MPL-2.0
#include "zmq/epoch.h"
#include "zmq/forward_internal.h"

// Move parts until UP_TO messages are through, the source is empty or `to`
// refuses. Starts anywhere in a message. Returns how many messages it took.
ALWAYS_INLINE size_t
stream(forward_t *self, lane_t *lane, lane_kind_t kind, size_t up_to)
{
    tally_t tally = { 0 };
    size_t messages = 0;
    zmq_msg_t *part = &lane->part;

    while (messages < up_to) {
        int size = zmq_msg_recv(part, lane->from->socket, ZMQ_DONTWAIT);
        if (size == -1)
            break;
        int more = zmq_msg_more(part);
        bool first = !lane->inside;
        lane->inside = more;
        outcome_t outcome = SENT;
        bool routing_id = first && (kind == LANE_REQUEST || kind == LANE_REPLY);
        zmq_msg_t id, *out = part;

        if (routing_id)
            out = &id;
        else
            lane->bytes += (uint64_t)size;
        if (routing_id && kind == LANE_REQUEST)
            add_epoch(self, part, &id);
        else if (routing_id && !remove_epoch(self, part, &id)) {
            count_drop(self, DROP_UNDELIVERABLE);
            outcome = DROPPED;
        }
        if (!more)
            tally_received(self, lane, &tally);
        if (__builtin_expect(outcome == SENT, 1)) {
            outcome = lane_send(self, lane, out, more);
            if (routing_id && outcome == HELD)
                zmq_msg_move(part, &id);
            if (routing_id && outcome == DROPPED)
                zmq_msg_close(&id);
        }
        if (__builtin_expect(outcome == SENT, 1)) {
            if (more)
                continue;
            tally.sent++;
            tally.sent_bytes += lane->bytes;
        } else if (outcome == HELD) {
            lane->holding = true;
            messages++;
            break;
        } else if (more) {
            lane_discard_rest(lane);
            tally_received(self, lane, &tally);
        }
        message_over(self, lane, kind);
        messages++;
    }
    tally_up(self, lane, &tally);
    return messages;
}

// The kind is a constant in each: what a lane does not do costs it nothing.
static size_t
stream_plain(forward_t *self, lane_t *lane, size_t up_to)
{
    return stream(self, lane, LANE_PLAIN, up_to);
}

static size_t
stream_requests(forward_t *self, lane_t *lane, size_t up_to)
{
    return stream(self, lane, LANE_REQUEST, up_to);
}

static size_t
stream_replies(forward_t *self, lane_t *lane, size_t up_to)
{
    return stream(self, lane, LANE_REPLY, up_to);
}

// --- subscriptions ----------------------------------------------------------

static void
note_subscription(forward_t *self, zmq_msg_t *frame)
{
    const unsigned char *data = zmq_msg_data(frame);
    size_t size = zmq_msg_size(frame);
    if (size == 0 || data[0] > 1)
        return;
    if (data[0] == 1)
        topics_add(self->topics, data + 1, size - 1);
    else
        topics_remove(self->topics, data + 1, size - 1);
    counter_set(&self->counters->subscriptions, topics_count(self->topics));
}

// Up a forwarder go subscriptions, which are no messages and are not counted
// as such. XSUB takes them always: its send queue has no limit.
static size_t
pass_subscriptions(forward_t *self, lane_t *lane, size_t up_to)
{
    size_t messages = 0;
    for (; messages < up_to; messages++) {
        if (zmq_msg_recv(&lane->part, lane->from->socket, ZMQ_DONTWAIT) == -1)
            break;
        int more = zmq_msg_more(&lane->part);
        note_subscription(self, &lane->part);
        zmq_msg_send(&lane->part, lane->to->socket, more ? ZMQ_DONTWAIT | ZMQ_SNDMORE : ZMQ_DONTWAIT);
    }
    return messages;
}

size_t (*const stream_movers[])(forward_t *self, lane_t *lane, size_t up_to) = {
    [LANE_PLAIN] = stream_plain,
    [LANE_REQUEST] = stream_requests,
    [LANE_REPLY] = stream_replies,
    [LANE_SUBSCRIPTIONS] = pass_subscriptions,
};
