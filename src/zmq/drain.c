// SPDX-License-Identifier: MPL-2.0
#include "zmq/drain.h"

#include "base/clock.h"
#include "base/mem.h"

#include <stdlib.h>

#define TICK_MS 5
#define QUIET_PASS 400   // less than libzmq's low-water mark: no pipe was full, so no engine has stopped reading
#define READ_AHEAD_MS 60 // without a fuller pass
#define GONE_MS 30       // without a message after the last connection went

// Messages read ahead, in order.
typedef struct item {
    struct item *next;
    lane_t *lane;
    message_t message;
} item_t;

typedef struct {
    forward_t *forward;
    const drain_t *how;
    item_t *first, **last;
    uint64_t count;
} drain_queue_t;

static bool
time_is_over(const drain_queue_t *self)
{
    return self->how->left_ms(self->how->arg) == 0;
}

// --- our own queue -----------------------------------------------------------

static size_t
read_lane(drain_queue_t *self, lane_t *lane)
{
    size_t taken = 0;
    message_t message = { 0 };
    observers_begin(&self->forward->observers);
    while (taken < 100 * FORWARD_BURST && forward_take(self->forward, lane, &message)) {
        item_t *item = xcalloc(1, sizeof *item);
        item->lane = lane;
        item->message = message;
        *self->last = item;
        self->last = &item->next;
        self->count++;
        message = (message_t){ 0 };
        taken++;
    }
    observers_end(&self->forward->observers);
    message_free(&message);
    return taken;
}

static size_t
read_inputs(drain_queue_t *self)
{
    size_t taken = 0;
    for (size_t i = 0; i < self->forward->lane_count; i++)
        if (self->forward->lanes[i].input)
            taken += read_lane(self, &self->forward->lanes[i]);
    return taken;
}

static bool
settle_lanes(drain_queue_t *self)
{
    bool settled = true;
    for (size_t i = 0; i < self->forward->lane_count; i++)
        settled &= forward_settle(self->forward, &self->forward->lanes[i]);
    return settled;
}

// The first message is looked at again and again; what is behind it waits, so that order is kept.
static void
send_queue(drain_queue_t *self)
{
    if (!settle_lanes(self))
        return;
    for (size_t n = 0; self->first && n < 100 * FORWARD_BURST; n++) {
        item_t *item = self->first;
        if (!forward_deliver(self->forward, item->lane, &item->message))
            return;
        self->first = item->next;
        if (!self->first)
            self->last = &self->first;
        message_free(&item->message);
        free(item);
        self->count--;
    }
}

static uint64_t
abandon(drain_queue_t *self)
{
    uint64_t left = self->count;
    for (size_t i = 0; i < self->forward->lane_count; i++)
        left += self->forward->lanes[i].input && forward_in_hand(&self->forward->lanes[i]);
    while (self->first) {
        item_t *item = self->first;
        self->first = item->next;
        message_free(&item->message);
        free(item);
    }
    return left;
}

static bool
anything_in_hand(const drain_queue_t *self)
{
    return self->count > 0 || forward_any_in_hand(self->forward);
}

// --- the steps ---------------------------------------------------------------

static void
read_ahead(drain_queue_t *self)
{
    int64_t start = clock_mono_ms(), share = self->how->left_ms(self->how->arg) / 4, quiet_since = start;
    while (!time_is_over(self) && clock_mono_ms() - quiet_since < READ_AHEAD_MS && clock_mono_ms() - start < share) {
        if (read_inputs(self) >= QUIET_PASS)
            quiet_since = clock_mono_ms();
        send_queue(self);
        forward_wait(self->forward, TICK_MS);
    }
}

static size_t
connections(const drain_queue_t *self)
{
    size_t all = 0;
    for (int side = 0; side < SIDES; side++)
        if (self->how->inputs[side])
            all += watch_connections(self->how->inputs[side]);
    return all;
}

static size_t
half_close(drain_queue_t *self, bool all)
{
    size_t left = 0;
    for (int side = 0; side < SIDES; side++)
        if (self->how->inputs[side])
            left += watch_half_close(self->how->inputs[side], all);
    return left;
}

// A client that never leaves its connection empty is sent away all the same when a quarter of the time is over.
static void
half_close_all(drain_queue_t *self)
{
    int64_t start = clock_mono_ms(), share = self->how->left_ms(self->how->arg) / 4;
    bool all = false;
    while (half_close(self, all) > 0) {
        read_inputs(self);
        send_queue(self);
        forward_wait(self->forward, TICK_MS);
        all = time_is_over(self) || clock_mono_ms() - start >= share;
    }
}

static void
wait_until_gone(drain_queue_t *self)
{
    int64_t quiet_since = clock_mono_ms();
    while (!time_is_over(self)) {
        // Looked at before the time is: on a busy machine one round can take longer.
        if (read_inputs(self) > 0 || connections(self) > 0)
            quiet_since = clock_mono_ms();
        else if (clock_mono_ms() - quiet_since >= GONE_MS)
            return;
        send_queue(self);
        forward_wait(self->forward, TICK_MS);
    }
}

static void
send_the_rest(drain_queue_t *self)
{
    forward_freeze(self->forward);
    send_queue(self);
    while (anything_in_hand(self) && !time_is_over(self)) {
        forward_wait(self->forward, TICK_MS);
        send_queue(self);
    }
}

// A queue owes its clients the answers to what it passed on: no new requests
// are read, and the connections stay until the answers are through.
static void
wait_for_replies(drain_queue_t *self)
{
    forward_stop_input(self->forward);
    for (int side = 0; side < SIDES; side++)
        if (self->how->inputs[side])
            watch_turn_away(self->how->inputs[side]);
    while ((self->forward->pending > 0 || anything_in_hand(self)) && !time_is_over(self))
        if (!forward_pass(self->forward)) {
            forward_wait(self->forward, TICK_MS);
            forward_all_due(self->forward);
        }
}

static bool
has_requests(const forward_t *forward)
{
    for (size_t i = 0; i < forward->lane_count; i++)
        if (forward->lanes[i].kind == LANE_REQUEST)
            return true;
    return false;
}

route_leftover_t
drain_run(forward_t *forward, const drain_t *how)
{
    drain_queue_t self = { .forward = forward, .how = how };
    route_leftover_t left = { 0 };
    self.last = &self.first;
    for (size_t i = 0; i < forward->lane_count; i++)
        forward_gather(forward, &forward->lanes[i]);

    if (has_requests(forward)) {
        wait_for_replies(&self);
        how->leave(how->arg);
        left.unanswered = forward->pending > 0 ? (uint64_t)forward->pending : 0;
    } else {
        forward_only_input(forward);
        read_ahead(&self);
        half_close_all(&self);
        wait_until_gone(&self);
        // Who came in between is still heard.
        how->leave(how->arg);
        wait_until_gone(&self);
    }
    send_the_rest(&self);
    left.undelivered = abandon(&self);
    counter_add(&forward->counters->dropped[DROP_SHUTDOWN], left.undelivered);
    return left;
}
