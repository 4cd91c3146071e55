// SPDX-License-Identifier: MPL-2.0
#include "zmq/forward_internal.h"

#define LOOK_EVERY 64 // passes between two looks at the capture under load

bool
forward_in_hand(const lane_t *lane)
{
    return lane->holding || lane->inside || lane->held.count > 0;
}

bool
forward_any_in_hand(const forward_t *self)
{
    for (size_t i = 0; i < self->lane_count; i++)
        if (forward_in_hand(&self->lanes[i]))
            return true;
    return false;
}

// --- one pass ---------------------------------------------------------------

// The single part in hand, and the rest of its message.
static bool
settle_part(forward_t *self, lane_t *lane)
{
    if (lane->holding) {
        int more = lane->inside;
        outcome_t outcome = lane_send(self, lane, &lane->part, more);
        if (outcome == HELD)
            return false;
        lane->holding = false;
        counters_end_blocked(lane->to->counters);
        if (outcome == SENT && !more)
            tally_up(self, lane, &(tally_t){ .sent = 1, .sent_bytes = lane->bytes });
        if (outcome == DROPPED && more) {
            tally_t tally = { 0 };
            lane_discard_rest(lane);
            tally_received(self, lane, &tally);
            tally_up(self, lane, &tally);
        }
        if (!lane->inside)
            message_over(self, lane, lane->kind);
    }
    if (lane->inside)
        stream_movers[lane->kind](self, lane, 1);
    return !lane->inside && !lane->holding;
}

bool
forward_settle(forward_t *self, lane_t *lane)
{
    if ((lane->holding || lane->inside) && !settle_part(self, lane))
        return false;
    return lane->held.count == 0 || forward_deliver(self, lane, &lane->held);
}

// libzmq refuses only first parts, so what is held between two parts is the first of them.
void
forward_gather(forward_t *self, lane_t *lane)
{
    if (!lane->holding || !lane->inside)
        return;
    message_t *held = &lane->held;
    multipart_receive_rest(lane, held, lane->bytes);
    lane->holding = lane->inside = false;
    lane->bytes = 0;
    multipart_received(self, lane, held);
}

static size_t
run_lane(forward_t *self, lane_t *lane)
{
    if (lane->stopped)
        return 0;
    if (self->observers.any && lane->kind != LANE_SUBSCRIPTIONS)
        return multipart_move(self, lane, FORWARD_BURST);
    return stream_movers[lane->kind](self, lane, FORWARD_BURST);
}

void
forward_all_due(forward_t *self)
{
    for (size_t i = 0; i < self->lane_count; i++)
        self->lanes[i].due = true;
}

// The watch counts who reads a PUSH; no socket tells of it.
static void
look_at_observers(forward_t *self)
{
    bool found = self->capture && !self->observers.any && capture_has_readers(self->capture);
    if (found || ((self->capture || self->observers.taps) && ++self->passes % LOOK_EVERY == 0))
        forward_observe(self);
}

bool
forward_pass(forward_t *self)
{
    bool again = false;
    self->moved = 0;
    look_at_observers(self);
    for (size_t i = 0; i < self->lane_count; i++) {
        lane_t *lane = &self->lanes[i];
        if (!lane->due || lane->frozen)
            continue;
        lane->due = false;
        if (forward_in_hand(lane) && !forward_settle(self, lane))
            continue;
        size_t moved = run_lane(self, lane);
        self->moved = moved > self->moved ? moved : self->moved;
        lane->due = moved == FORWARD_BURST;
        again |= lane->due;
    }
    return again;
}

// --- set-up -----------------------------------------------------------------

static lane_kind_t
kind_of(const port_t *from, const port_t *to)
{
    if (from->type == ZMQ_ROUTER && to->type == ZMQ_DEALER)
        return LANE_REQUEST;
    if (from->type == ZMQ_DEALER && to->type == ZMQ_ROUTER)
        return LANE_REPLY;
    if (from->type == ZMQ_XPUB && to->type == ZMQ_XSUB)
        return LANE_SUBSCRIPTIONS;
    return LANE_PLAIN;
}

static void
add_lane(forward_t *self, const way_t *way)
{
    lane_t *lane = &self->lanes[self->lane_count++];
    *lane = (lane_t){ .from = &self->ports[way->from], .to = &self->ports[way->to], .input = way->brings_in, .due = true };
    lane->kind = kind_of(lane->from, lane->to);
    zmq_msg_init(&lane->part);
}

void
forward_init(forward_t *self, const route_conf_t *conf)
{
    way_t ways[WAYS_MOST];
    size_t count = ways_of(conf, ways);
    for (size_t i = 0; i < count; i++)
        add_lane(self, &ways[i]);
    forward_observe(self);
}

void
forward_observe(forward_t *self)
{
    observers_sweep(&self->observers);
    if (self->capture)
        capture_look(self->capture);
    bool is_captured = self->capture && capture_has_readers(self->capture);
    observers_look(&self->observers, is_captured || self->rights, self->counters, 0);
}

tap_t *
forward_add_tap(forward_t *self, const void *prefix, size_t prefix_size)
{
    tap_t *tap = observers_tap(&self->observers, &message_sharing, prefix, prefix_size);
    forward_observe(self);
    return tap;
}

void
forward_set_mode(forward_t *self, forward_mode_t mode)
{
    for (size_t i = 0; i < self->lane_count; i++) {
        lane_t *lane = &self->lanes[i];
        lane->frozen = mode == FORWARD_NOTHING;
        lane->stopped = lane->frozen || (lane->input ? mode == FORWARD_NO_INPUT : mode == FORWARD_INPUT);
    }
    if (mode != FORWARD_NOTHING)
        forward_all_due(self);
}

void
forward_close(forward_t *self)
{
    for (size_t i = 0; i < self->lane_count; i++) {
        zmq_msg_close(&self->lanes[i].part);
        message_free(&self->lanes[i].held);
    }
    observers_close(&self->observers);
}
