// SPDX-License-Identifier: MPL-2.0
#include "zmq/epoch.h"
#include "zmq/forward_internal.h"

#include "base/mem.h"

#include <stdlib.h>

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
multipart_received(forward_t *self, const lane_t *lane, const message_t *message)
{
    count_received(lane, 1, message->bytes);
    counter_add(&self->counters->sizes[size_bucket(message->bytes)], 1);
}

void
multipart_receive_rest(lane_t *lane, message_t *message, uint64_t bytes)
{
    message->hidden = lane->kind == LANE_REQUEST || lane->kind == LANE_REPLY;
    zmq_msg_move(message_add(message), &lane->part);
    message->bytes = bytes;
    receive(lane, message);
}

// --- one message ------------------------------------------------------------------

// Is it to go on? What is refused here is counted and gone.
static bool
admit(forward_t *self, lane_t *lane, message_t *message)
{
    bool known = lane->kind != LANE_REPLY || exchange_id(self, LANE_REPLY, &message->frames[0]);
    if (known && (!self->rights || !lane->input || rights_may_publish(self->rights, lane->from->side, &message->frames[0])))
        return true;
    count_drop(self, known ? DROP_ACL : DROP_UNDELIVERABLE);
    if (!known)
        message_over(self, lane, lane->kind);
    return false;
}

static inline void
show_taps(forward_t *self, side_t side, zmq_msg_t *frames, size_t count)
{
    tap_frame_t few[OBSERVERS_FEW_FRAMES], *shown = count <= OBSERVERS_FEW_FRAMES ? few : xcalloc(count, sizeof *shown);
    for (size_t i = 0; i < count; i++)
        shown[i] = (tap_frame_t){ zmq_msg_data(&frames[i]), zmq_msg_size(&frames[i]) };
    observers_show(&self->observers, side, shown, count, frames);
    if (shown != few)
        free(shown);
}

static inline void
show(forward_t *self, const lane_t *lane, zmq_msg_t *frames, size_t count)
{
    observers_t *observers = &self->observers;
    bool to_taps = observers_next(observers);
    if (self->capture)
        capture_offer(self->capture, lane->from->side, observers->seq, observers->wall_ns, frames, count);
    if (to_taps)
        show_taps(self, lane->from->side, frames, count);
}

bool
forward_take(forward_t *self, lane_t *lane, message_t *message)
{
    while (receive_whole(lane, message)) {
        multipart_received(self, lane, message);
        if (admit(self, lane, message)) {
            if (self->observers.any)
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
    counters_end_blocked(lane->to->counters);
    count_sent(lane, 1, message->bytes);
    if (lane->kind == LANE_REQUEST)
        self->pending++;
    message_clear(message);
    message_over(self, lane, lane->kind);
    return true;
}

size_t
multipart_move(forward_t *self, lane_t *lane, size_t up_to)
{
    size_t moved = 0;
    bool taken = true;
    observers_begin(&self->observers);
    while (moved < up_to && taken && forward_take(self, lane, &lane->held)) {
        taken = forward_deliver(self, lane, &lane->held);
        moved++;
    }
    observers_end(&self->observers);
    return moved;
}
