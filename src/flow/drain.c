// SPDX-License-Identifier: MPL-2.0
#include "flow/drain.h"

#include "base/clock.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#define TICK_MS 5
#define QUIET_PASS 400   // less than libzmq's low-water mark: no pipe was full, so no engine has stopped reading
#define READ_AHEAD_MS 60 // without a fuller pass
#define CAREFUL_MS 2000  // for a moment in which each client has nothing under way
#define LOOK_NS 60000    // between two looks for it
#define CURVE_BYTES 33   // of a frame, beside what is in it
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
    uint32_t *taken; // bytes of messages, as they are on the wire, of each descriptor
    size_t taken_count;
} queue_t;

static bool
time_is_over(const queue_t *self)
{
    return clock_mono_ms() >= self->how->deadline_ms || self->how->hurry(self->how->arg);
}

// --- our own queue -----------------------------------------------------------

static void
account(queue_t *self, const lane_t *lane, const message_t *message)
{
    for (size_t i = message->hidden; i < message->count; i++) {
        int fd = zmq_msg_get(&message->frames[i], ZMQ_SRCFD);
        if (fd < 0)
            continue; // from inside the process
        if ((size_t)fd >= self->taken_count) {
            size_t count = (size_t)fd + 64;
            self->taken = xrealloc(self->taken, count, sizeof *self->taken);
            memset(self->taken + self->taken_count, 0, (count - self->taken_count) * sizeof *self->taken);
            self->taken_count = count;
        }
        size_t body = zmq_msg_size(&message->frames[i]) + (self->how->curve[lane->from->side] ? CURVE_BYTES : 0);
        self->taken[fd] += (uint32_t)(body + (body < 256 ? 2 : 9)); // flags and length, RFC 23
    }
}

static size_t
read_lane(queue_t *self, lane_t *lane)
{
    size_t taken = 0;
    message_t message = { 0 };
    forward_begin(self->forward);
    while (taken < 100 * FORWARD_BURST && forward_take(self->forward, lane, &message)) {
        account(self, lane, &message);
        item_t *item = xcalloc(1, sizeof *item);
        item->lane = lane;
        item->message = message;
        *self->last = item;
        self->last = &item->next;
        self->count++;
        message = (message_t){ 0 };
        taken++;
    }
    forward_end(self->forward);
    message_free(&message);
    return taken;
}

static size_t
read_inputs(queue_t *self)
{
    size_t taken = 0;
    for (size_t i = 0; i < self->forward->lane_count; i++)
        if (self->forward->lanes[i].input)
            taken += read_lane(self, &self->forward->lanes[i]);
    return taken;
}

static bool
settle_lanes(queue_t *self)
{
    bool settled = true;
    for (size_t i = 0; i < self->forward->lane_count; i++)
        settled &= forward_settle(self->forward, &self->forward->lanes[i]);
    return settled;
}

// The first message is looked at again and again; what is behind it waits, so that order is kept.
static void
send_queue(queue_t *self)
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
abandon(queue_t *self)
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
anything_in_hand(const queue_t *self)
{
    return self->count > 0 || forward_any_in_hand(self->forward);
}

// --- the steps ---------------------------------------------------------------

// Sockets that nobody receives from: their commands must be run all the same.
static void
run_commands(queue_t *self)
{
    for (int side = 0; side < SIDES; side++) {
        const port_t *port = &self->forward->ports[side];
        if (port->socket)
            wakeup_heard(&port->wakeup, port->socket);
    }
}

static void
tick(queue_t *self)
{
    poll(self->forward->polled, (nfds_t)self->forward->polled_count, TICK_MS);
    run_commands(self);
}

static void
read_ahead(queue_t *self)
{
    int64_t start = clock_mono_ms(), quiet_since = start;
    int64_t share = (self->how->deadline_ms - start) / 4;
    while (!time_is_over(self) && clock_mono_ms() - quiet_since < READ_AHEAD_MS && clock_mono_ms() - start < share) {
        if (read_inputs(self) >= QUIET_PASS)
            quiet_since = clock_mono_ms();
        send_queue(self);
        tick(self);
    }
}

static size_t
connections(const queue_t *self)
{
    size_t all = 0;
    for (int side = 0; side < SIDES; side++)
        if (self->how->inputs[side])
            all += watch_connections(self->how->inputs[side]);
    return all;
}

static size_t
half_close(queue_t *self, close_care_t care)
{
    size_t left = 0;
    for (int side = 0; side < SIDES; side++)
        if (self->how->inputs[side])
            left += watch_half_close(self->how->inputs[side], care, self->taken, self->taken_count);
    return left;
}

static close_care_t
care_after(const queue_t *self, int64_t elapsed_ms, int64_t share_ms)
{
    if (elapsed_ms >= share_ms || time_is_over(self))
        return CLOSE_ALL;
    return elapsed_ms < CAREFUL_MS ? CLOSE_AFTER_A_MESSAGE : CLOSE_IDLE;
}

// A client that never leaves its connection empty is sent away all the same when a quarter of the time is over.
static void
half_close_all(queue_t *self)
{
    int64_t start = clock_mono_ms(), share = (self->how->deadline_ms - start) / 4;
    for (;;) {
        close_care_t care = care_after(self, clock_mono_ms() - start, share);
        if (half_close(self, care) == 0)
            return;
        send_queue(self);
        if (care == CLOSE_AFTER_A_MESSAGE) {
            nanosleep(&(struct timespec){ 0, LOOK_NS }, NULL);
            run_commands(self);
        } else
            tick(self);
        read_inputs(self); // last: what has come in by now is known when the next look is taken
    }
}

static void
wait_until_gone(queue_t *self)
{
    int64_t quiet_since = clock_mono_ms();
    while (!time_is_over(self)) {
        // Looked at before the time is: on a busy machine one round can take longer.
        if (read_inputs(self) > 0 || connections(self) > 0)
            quiet_since = clock_mono_ms();
        else if (clock_mono_ms() - quiet_since >= GONE_MS)
            return;
        send_queue(self);
        tick(self);
    }
}

static void
send_the_rest(queue_t *self)
{
    send_queue(self);
    while (anything_in_hand(self) && !time_is_over(self)) {
        tick(self);
        send_queue(self);
    }
}

// A queue owes its clients the answers to what it passed on: no new requests
// are read, and the connections stay until the answers are through.
static void
wait_for_replies(queue_t *self)
{
    forward_stop_input(self->forward);
    for (int side = 0; side < SIDES; side++)
        if (self->how->inputs[side])
            watch_turn_away(self->how->inputs[side]);
    while ((self->forward->pending > 0 || anything_in_hand(self)) && !time_is_over(self))
        if (!forward_pass(self->forward)) {
            tick(self);
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

drain_left_t
drain_run(forward_t *forward, const drain_t *how)
{
    queue_t self = { .forward = forward, .how = how };
    drain_left_t left = { 0 };
    self.last = &self.first;
    prctl(PR_SET_TIMERSLACK, 1000UL, 0UL, 0UL, 0UL); // moments of microseconds matter now
    for (size_t i = 0; i < forward->lane_count; i++)
        forward_gather(forward, &forward->lanes[i]);

    if (has_requests(forward)) {
        wait_for_replies(&self);
        how->leave(how->arg);
        left.unanswered = forward->pending > 0 ? (uint64_t)forward->pending : 0;
    } else {
        read_ahead(&self);
        half_close_all(&self);
        wait_until_gone(&self);
        // Who came in between is still heard.
        how->leave(how->arg);
        wait_until_gone(&self);
    }
    send_the_rest(&self);
    left.undelivered = abandon(&self);
    free(self.taken);
    counter_add(&forward->counters->dropped[DROP_SHUTDOWN], left.undelivered);
    return left;
}
