// SPDX-License-Identifier: MPL-2.0
#include "flow/epoch.h"
#include "flow/forward_parts.h"

#include "base/clock.h"
#include "base/mem.h"

#include <stdlib.h>

#define FEW_FRAMES 16    // of a message that needs no memory of its own
#define SHOWN_AT_ONCE 32 // messages that count as of the same moment

// --- receiving ----------------------------------------------------------------

// The next parts, up to the message's last one.
static bool
receive(lane_t *lane, message_t *message)
{
    zmq_msg_t *frame;
    do {
        frame = message_add(message);
        int size = zmq_msg_recv(frame, lane->from->socket, ZMQ_DONTWAIT);
        if (size == -1)
            return false;
        if (message->count > message->hidden)
            message->bytes += (uint64_t)size;
    } while (zmq_msg_more(frame));
    return true;
}

static bool
receive_whole(lane_t *lane, message_t *message)
{
    message_clear(message);
    message->hidden = lane->kind == LANE_REQUEST || lane->kind == LANE_REPLY;
    if (receive(lane, message))
        return true;
    message_clear(message);
    return false;
}

void
whole_received(forward_t *self, const lane_t *lane, const message_t *message)
{
    count_received(lane, 1, message->bytes);
    counter_add(&self->counters->sizes[size_bucket(message->bytes)], 1);
}

void
whole_receive_rest(lane_t *lane, message_t *message, uint64_t bytes)
{
    message->hidden = lane->kind == LANE_REQUEST || lane->kind == LANE_REPLY;
    zmq_msg_move(message_add(message), &lane->part);
    message->bytes = bytes;
    receive(lane, message);
}

// --- one by one -----------------------------------------------------------------

// Is it to go on? What is refused here is counted and gone.
static bool
admit(forward_t *self, lane_t *lane, message_t *message)
{
    drop_reason_t reason = DROP_UNDELIVERABLE;
    if (lane->kind == LANE_REPLY && !exchange_id(self, LANE_REPLY, &message->frames[0])) {
        count_drop(self, reason);
        message_over(self, lane, lane->kind);
        return false;
    }
    if (lane->input && self->filter && self->filter->filters_messages
        && !self->filter->message(self->filter->arg, lane->from->side, &message->frames[0], &reason)) {
        count_drop(self, reason);
        return false;
    }
    return true;
}

static inline void
show_taps(forward_t *self, side_t side, zmq_msg_t *frames, size_t count)
{
    tap_frame_t few[FEW_FRAMES], *shown = count <= FEW_FRAMES ? few : xcalloc(count, sizeof *shown);
    for (size_t i = 0; i < count; i++)
        shown[i] = (tap_frame_t){ zmq_msg_data(&frames[i]), zmq_msg_size(&frames[i]) };
    tap_ring_offer(self->taps, side, self->now_ns, shown, count, frames);
    if (shown != few)
        free(shown);
}

static inline void
show(forward_t *self, const lane_t *lane, zmq_msg_t *frames, size_t count)
{
    self->seq++;
    if (!self->taps && !self->capture)
        return;
    if (self->shown++ % SHOWN_AT_ONCE == 0)
        self->now_ns = clock_wall_ns();
    if (self->capture)
        capture_offer(self->capture, lane->from->side, self->seq, self->now_ns, frames, count);
    if (self->taps)
        show_taps(self, lane->from->side, frames, count);
}

void
forward_begin(forward_t *self)
{
    self->shown = 0;
    if (self->taps)
        tap_ring_begin(self->taps);
}

void
forward_end(forward_t *self)
{
    if (self->taps)
        tap_ring_end(self->taps);
}

bool
forward_take(forward_t *self, lane_t *lane, message_t *message)
{
    while (receive_whole(lane, message)) {
        whole_received(self, lane, message);
        if (admit(self, lane, message)) {
            if (self->observed)
                show(self, lane, message->frames, message->count);
            if (lane->kind == LANE_REQUEST)
                exchange_id(self, LANE_REQUEST, &message->frames[0]);
            return true;
        }
        message_clear(message);
    }
    return false;
}

bool
forward_deliver(forward_t *self, lane_t *lane, message_t *message)
{
    while (message->next < message->count) {
        outcome_t outcome = lane_send(self, lane, &message->frames[message->next], message->next + 1 < message->count);
        if (outcome == HELD)
            return false;
        if (outcome == DROPPED) {
            message_clear(message);
            message_over(self, lane, lane->kind);
            return true;
        }
        message->next++;
    }
    lane_end_blocked(lane->to);
    count_sent(lane, 1, message->bytes);
    if (lane->kind == LANE_REQUEST)
        self->pending++;
    message_clear(message);
    message_over(self, lane, lane->kind);
    return true;
}

// --- many -------------------------------------------------------------------------

static size_t
move_whole(forward_t *self, lane_t *lane, size_t up_to)
{
    size_t messages = 0;
    while (messages < up_to && forward_take(self, lane, &lane->held)) {
        messages++;
        if (!forward_deliver(self, lane, &lane->held))
            break;
    }
    return messages;
}

// The same where nothing but looking on is to be done: most messages are of one
// part, which need not be gathered.
ALWAYS_INLINE size_t
stream_shown(forward_t *self, lane_t *lane, size_t up_to, int wait)
{
    tally_t tally = { 0 };
    size_t messages = 0;
    zmq_msg_t *part = &lane->part;
    while (messages < up_to) {
        int size = zmq_msg_recv(part, lane->from->socket, wait);
        if (size == -1)
            break;
        messages++;
        if (wait != ZMQ_DONTWAIT)
            self->shown = 0; // they do not come at once
        if (zmq_msg_more(part)) {
            message_t *held = &lane->held;
            whole_receive_rest(lane, held, (uint64_t)size);
            whole_received(self, lane, held);
            show(self, lane, held->frames, held->count);
            if (!forward_deliver(self, lane, held))
                break;
            continue;
        }
        lane->bytes = (uint64_t)size;
        tally_received(self, lane, &tally);
        show(self, lane, part, 1);
        outcome_t outcome = lane_send(self, lane, part, 0);
        if (outcome == HELD) {
            lane->holding = true;
            break;
        }
        if (outcome == SENT) {
            tally.sent++;
            tally.sent_bytes += lane->bytes;
        }
        message_over(self, lane, LANE_PLAIN);
    }
    tally_up(self, lane, &tally);
    return messages;
}

static size_t
move_shown(forward_t *self, lane_t *lane, size_t up_to)
{
    return stream_shown(self, lane, up_to, ZMQ_DONTWAIT);
}

// Each goes to the capture at once, but a tap would see it only afterwards.
size_t
whole_trickle(forward_t *self, lane_t *lane, size_t up_to)
{
    return stream_shown(self, lane, up_to, 0);
}

// How many messages may pass that nobody who looks on has room for: they are
// counted, and move as on a route that nobody observes.
static size_t
unseen(const forward_t *self, const lane_t *lane)
{
    if (lane->kind == LANE_REPLY || is_filtered(self)) // not all of them count
        return 0;
    if (self->taps && !tap_ring_is_full(self->taps))
        return 0;
    return self->capture ? capture_unseen(self->capture) : SIZE_MAX;
}

static size_t
move_unseen(forward_t *self, lane_t *lane, size_t up_to)
{
    size_t moved = stream_movers[lane->kind](self, lane, up_to);
    self->seq += moved;
    if (self->capture)
        capture_pass(self->capture, moved);
    if (self->taps)
        tap_ring_pass(self->taps, moved);
    return moved;
}

size_t
whole_move(forward_t *self, lane_t *lane, size_t up_to)
{
    size_t moved = 0, some, wanted;
    size_t (*move_seen)(forward_t *, lane_t *, size_t) = lane->kind == LANE_PLAIN && !is_filtered(self) ? move_shown : move_whole;
    forward_begin(self);
    do {
        size_t pass = unseen(self, lane), most = pass ? pass : SHOWN_AT_ONCE;
        wanted = up_to - moved < most ? up_to - moved : most;
        some = (pass ? move_unseen : move_seen)(self, lane, wanted);
        moved += some;
    } while (some == wanted && moved < up_to && !forward_in_hand(lane));
    forward_end(self);
    return moved;
}
