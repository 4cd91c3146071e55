// SPDX-License-Identifier: MPL-2.0
#include "flow/forward_parts.h"

#define LOOK_EVERY 64     // passes between two looks at the capture under load
#define LOOK_IN_TRICKLE 8 // and while messages come one by one

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
        lane_end_blocked(lane->to);
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
    whole_receive_rest(lane, held, lane->bytes);
    lane->holding = lane->inside = false;
    lane->bytes = 0;
    whole_received(self, lane, held);
}

void
forward_make_due(forward_t *self, const port_t *read)
{
    for (size_t i = 0; i < self->lane_count; i++)
        self->lanes[i].due |= self->lanes[i].from == read;
}

// May it wait for the next message, although somebody looks on?
static bool
may_trickle(const forward_t *self, const lane_t *lane)
{
    return self->trickling && lane == &self->lanes[0]
           && (!self->observed || (self->capture && !self->taps && !is_filtered(self) && capture_unseen(self->capture) == 0));
}

// Returns how many messages it took; the lane stays due if there may be more.
static size_t
run_lane(forward_t *self, lane_t *lane)
{
    size_t moved, up_to = FORWARD_BURST;
    if (lane->stopped)
        return 0;
    if (may_trickle(self, lane))
        moved = (self->observed ? whole_trickle : stream_trickle)(self, lane, up_to = FORWARD_TRICKLE);
    else if (self->observed && lane->kind != LANE_SUBSCRIPTIONS)
        moved = whole_move(self, lane, up_to);
    else
        moved = stream_movers[lane->kind](self, lane, up_to);
    lane->due = moved == up_to;
    return moved;
}

void
forward_all_due(forward_t *self)
{
    for (size_t i = 0; i < self->lane_count; i++)
        self->lanes[i].due = true;
}

// A send also eats its socket's commands, so only a receive that came back empty
// after the last send on a socket proves that nothing waits there: a lane that
// has sent, or tried to, makes the lanes due that read where it wrote.
bool
forward_pass(forward_t *self)
{
    bool again = false;
    size_t most = 0;
    for (size_t i = 0; i < self->lane_count; i++) {
        lane_t *lane = &self->lanes[i];
        if (!lane->due || lane->frozen)
            continue;
        lane->due = false;
        bool in_hand = forward_in_hand(lane);
        size_t moved = in_hand && !forward_settle(self, lane) ? 0 : run_lane(self, lane);
        if (in_hand || moved > 0)
            forward_make_due(self, lane->to);
        most = moved > most ? moved : most;
    }
    for (size_t i = 0; i < self->lane_count; i++)
        again |= self->lanes[i].due && !self->lanes[i].frozen;
    if ((self->capture || self->taps) && ++self->passes % (self->trickling ? LOOK_IN_TRICKLE : LOOK_EVERY) == 0)
        forward_observe(self);
    self->moved = most;
    // A few at once: more will trickle in. As many as that in one go: it is no trickle any more.
    self->trickling = self->may_trickle && !forward_may_lend(self) && !again && most > 0 && most < FORWARD_TRICKLE;
    self->lanes[0].due |= self->trickling;
    return again || self->trickling;
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
add_lane(forward_t *self, side_t from, side_t to)
{
    lane_t *lane = &self->lanes[self->lane_count++];
    *lane = (lane_t){ .from = &self->ports[from], .to = &self->ports[to] };
    lane->kind = kind_of(lane->from, lane->to);
    lane->input = lane->kind == LANE_PLAIN || lane->kind == LANE_REQUEST;
    lane->due = true;
    zmq_msg_init(&lane->part);
}

static void
poll_port(forward_t *self, port_t *port)
{
    self->polled[self->polled_count] = (struct pollfd){ .fd = port->wakeup.fd, .events = POLLIN };
    self->polled_port[self->polled_count++] = port;
}

void
forward_poll_ports(forward_t *self)
{
    self->polled_count = 0;
    for (int side = 0; side < SIDES; side++)
        if (self->ports[side].socket)
            poll_port(self, &self->ports[side]);
}

void
forward_init(forward_t *self, flow_t flow)
{
    if (flow & FLOW_DOWN)
        add_lane(self, SIDE_FRONTEND, SIDE_BACKEND);
    if (self->ports[SIDE_INGRESS].socket)
        add_lane(self, SIDE_INGRESS, SIDE_BACKEND);
    if (flow & FLOW_UP)
        add_lane(self, SIDE_BACKEND, SIDE_FRONTEND);

    self->may_trickle = self->lanes[0].kind == LANE_PLAIN && (self->lane_count == 1 || (self->lane_count == 2 && self->lanes[1].kind == LANE_SUBSCRIPTIONS));
    forward_poll_ports(self);
    forward_observe(self);
}

// Numbering goes on from all that has passed unobserved.
static uint64_t
messages_so_far(const forward_t *self)
{
    uint64_t messages = 0;
    for (int side = 0; side < SIDE_CAPTURE; side++)
        messages += counter_get(&self->counters->sides[side].messages_received);
    return messages;
}

void
forward_observe(forward_t *self)
{
    if (self->taps && !tap_ring_sweep(self->taps))
        tap_ring_close(&self->taps);
    if (self->capture)
        capture_look(self->capture);
    bool was = self->observed;
    self->observed = self->taps || (self->capture && capture_has_readers(self->capture))
                     || (self->filter && self->filter->filters_messages);
    if (self->observed && !was)
        self->seq = messages_so_far(self);
}

tap_t *
forward_add_tap(forward_t *self, const void *prefix, size_t prefix_size)
{
    if (!self->taps)
        self->taps = tap_ring_new(&message_sharing);
    tap_t *tap = self->taps ? tap_ring_add(self->taps, prefix, prefix_size) : NULL;
    forward_observe(self);
    return tap;
}

void
forward_go_on(forward_t *self)
{
    for (size_t i = 0; i < self->lane_count; i++)
        self->lanes[i].stopped = self->lanes[i].frozen = false;
    forward_all_due(self);
}

void
forward_stop_input(forward_t *self)
{
    forward_go_on(self);
    for (size_t i = 0; i < self->lane_count; i++)
        self->lanes[i].stopped = self->lanes[i].input;
}

void
forward_freeze(forward_t *self)
{
    for (size_t i = 0; i < self->lane_count; i++)
        self->lanes[i].stopped = self->lanes[i].frozen = true;
}

void
forward_close(forward_t *self)
{
    for (size_t i = 0; i < self->lane_count; i++) {
        zmq_msg_close(&self->lanes[i].part);
        message_free(&self->lanes[i].held);
    }
    tap_ring_close(&self->taps);
}
