// SPDX-License-Identifier: MPL-2.0
// drain.c - the end of a route with as little loss as libzmq allows, in the route's own thread.
//
// What clients have handed to their sockets sits in kernel buffers that die with
// a connection closed the usual way. So: accept nobody new, read ahead into a
// queue of our own, half-close every connection (the clients see the end, keep
// what they have, and connect again to whoever comes next), read on until all
// have gone, and send on what was read until the time is over. What a client has
// written half at its connection's end is lost: libzmq does not tell where a
// message ends. doc/design.md section 6.

#include "zmq/internal.h"

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
    route_t *route;
    forward_t *forward; // its
    watch_side_t *inputs[SIDES]; // NULL: none there, or not watched
    item_t *first, **last;
    uint64_t count;
} drain_queue_t;

// Asked all the time; the route may have to wait for consumers itself.
static int64_t
left_ms(const drain_queue_t *self)
{
    routethread_t *thread = &self->route->base.thread;
    if (routethread_joins(thread))
        sockets_join(self->route);
    return routethread_left_ms(thread);
}

static bool
time_is_over(const drain_queue_t *self)
{
    return left_ms(self) == 0;
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
    int64_t start = clock_mono_ms(), share = left_ms(self) / 4, quiet_since = start;
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
        if (self->inputs[side])
            all += watch_connections(self->inputs[side]);
    return all;
}

static size_t
half_close(drain_queue_t *self, bool all)
{
    size_t left = 0;
    for (int side = 0; side < SIDES; side++)
        if (self->inputs[side])
            left += watch_half_close(self->inputs[side], all);
    return left;
}

// A client that never leaves its connection empty is sent away all the same when a quarter of the time is over.
static void
half_close_all(drain_queue_t *self)
{
    int64_t start = clock_mono_ms(), share = left_ms(self) / 4;
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
    forward_set_mode(self->forward, FORWARD_NOTHING);
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
    forward_set_mode(self->forward, FORWARD_NO_INPUT);
    for (int side = 0; side < SIDES; side++)
        if (self->inputs[side])
            watch_turn_away(self->inputs[side]);
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

// Nobody is left. Where another route has the listener too, it alone accepts from now on.
static void
leave(route_t *self)
{
    const listeners_t *listeners = &self->base.listeners;
    for (size_t i = 0; i < listeners->count; i++) {
        side_t side = listeners->side[i];
        if (!side_takes_in(side))
            continue;
        sockets_set_linger(self, side, routethread_left_ms(&self->base.thread)); // of the answers that are on their way
        zmq_unbind(self->forward.ports[side].socket, listener_bound_as(listeners->at[i]));
    }
    listeners_let_others_accept(listeners);
}

void
drain_run(route_t *route)
{
    forward_t *forward = &route->forward;
    drain_queue_t self = { .route = route, .forward = forward };
    self.last = &self.first;
    for (size_t i = 0; i < forward->lane_count; i++) {
        const lane_t *lane = &forward->lanes[i];
        if (lane->input)
            self.inputs[lane->from->side] = route->watched[lane->from->side];
        forward_gather(forward, &forward->lanes[i]);
    }
    if (has_requests(forward)) {
        wait_for_replies(&self);
        leave(route);
        route->left.unanswered = forward->pending > 0 ? (uint64_t)forward->pending : 0;
    } else {
        forward_set_mode(forward, FORWARD_INPUT);
        read_ahead(&self);
        half_close_all(&self);
        wait_until_gone(&self);
        // Who came in between is still heard.
        leave(route);
        wait_until_gone(&self);
    }
    send_the_rest(&self);
    route->left.undelivered = abandon(&self);
    counter_add(&forward->counters->dropped[DROP_SHUTDOWN], route->left.undelivered);
}
