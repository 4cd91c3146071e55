// SPDX-License-Identifier: MPL-2.0
#include "flow/forward_parts.h"

#include <time.h>

#define LENT_MOST 100 // messages in a pass; more than that the route moves itself
#define SERVED_PASSES 8

// The events of a socket; reading them also empties its mailbox.
static int
events(const port_t *port)
{
    return wakeup_heard(&port->wakeup, port->socket);
}

static bool
reads_now(const port_t *port, const forward_t *self)
{
    for (size_t i = 0; i < self->lane_count; i++) {
        const lane_t *lane = &self->lanes[i];
        if (lane->from == port && !lane->stopped && !forward_in_hand(lane))
            return true;
    }
    return false;
}

// May this blocked lane go on, although no descriptor will say so? Another
// lane's send or receive on the same socket may have eaten the news.
static bool
news_was_eaten(forward_t *self, lane_t *lane)
{
    if (self->lane_count == 1)
        return false;
    int ready = events(lane->to);
    bool readable = ready & ZMQ_POLLIN && reads_now(lane->to, self);
    lane->due = ready & ZMQ_POLLOUT;
    if (readable)
        forward_make_due(self, lane->to);
    return lane->due || readable;
}

// A port has news: for whoever reads it, and for whoever waits to write to it.
static void
wake_lanes(forward_t *self, const port_t *port)
{
    forward_make_due(self, port);
    for (size_t i = 0; i < self->lane_count; i++)
        self->lanes[i].due |= self->lanes[i].to == port && forward_in_hand(&self->lanes[i]);
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
    lane_end_blocked(lane->to);
    if (!more) {
        tally_up(self, lane, &(tally_t){ .sent = 1, .sent_bytes = lane->bytes });
        message_over(self, lane, lane->kind);
    }
    return true;
}

// --- waiting ------------------------------------------------------------------

// Returns whether nobody else has used the sockets meanwhile.
static bool
poll_ports(forward_t *self, bool lend, int *told)
{
    if (lend)
        turn_lend(self->turn);
    *told = ppoll(self->polled, (nfds_t)self->polled_count, NULL, &self->asleep);
    return !lend || !turn_take_back(self->turn);
}

static void
hear(forward_t *self, const struct pollfd *news)
{
    for (size_t i = 0; i < self->polled_count; i++) {
        if (!news[i].revents)
            continue;
        port_t *port = self->polled_port[i];
        wake_lanes(self, port);
        if (port->side == SIDE_CAPTURE)
            forward_observe(self);
        else if (port->wakeup.poller || !reads_now(port, self))
            events(port); // no receive does it: empty its mailbox, or poll returns for ever
    }
}

static void
wait_for_descriptors(forward_t *self, bool blocked)
{
    int told;
    if (self->capture)
        capture_rest(self->capture);
    bool news = poll_ports(self, forward_may_lend(self) && !blocked, &told);
    if (told <= 0)
        return;
    if (news && wakeup_told)
        wakeup_told(self->polled, (nfds_t)self->polled_count);
    hear(self, self->polled);
}

void
forward_sleep(forward_t *self)
{
    bool blocked = false;
    for (size_t i = 0; i < self->lane_count; i++) {
        lane_t *lane = &self->lanes[i];
        if (lane->frozen || (!lane->holding && lane->held.count == 0))
            continue;
        blocked = true;
        if (lane->to->deceitful) {
            push(self, lane);
            forward_all_due(self);
            return;
        }
        if (news_was_eaten(self, lane))
            return;
    }
    if (self->batch_ns && !blocked && self->moved >= self->batch_min && self->moved < FORWARD_BURST) {
        struct timespec nap = { 0, self->batch_ns };
        clock_nanosleep(CLOCK_MONOTONIC, 0, &nap, NULL);
        forward_all_due(self);
        return;
    }
    wait_for_descriptors(self, blocked);
}

// --- lending ----------------------------------------------------------------
//
// What comes in a few at a time is moved by the I/O thread that brings it. In large
// bursts two threads are faster.

bool
forward_may_lend(const forward_t *self)
{
    return self->turn && self->moved <= LENT_MOST && !self->observed && !self->batch_ns;
}

// In the place of this route's thread, for a PORT that has news.
static bool
serve(void *owner, void *what)
{
    forward_t *self = owner;
    struct pollfd news[SIDES]; // the thread is still at the other
    for (size_t i = 0; i < self->polled_count; i++) {
        news[i].fd = self->polled[i].fd;
        news[i].revents = self->polled_port[i] == what ? POLLIN : 0;
    }
    wakeup_told(news, (nfds_t)self->polled_count);
    hear(self, news);
    self->borrowed = true;
    bool again = true;
    for (int passes = 0; again && passes < SERVED_PASSES; passes++)
        again = forward_pass(self);
    self->borrowed = false;
    return !again && !forward_any_in_hand(self) && forward_may_lend(self);
}

static void
offer_ports(forward_t *self, turn_t *turn)
{
    for (int side = 0; side < SIDE_CAPTURE; side++) {
        port_t *port = &self->ports[side];
        if (port->socket && !port->wakeup.poller)
            wakeup_offer(port->wakeup.fd, turn, port);
    }
}

void
forward_lend(forward_t *self, void (*wake)(void *owner), void *owner)
{
    if (!wakeup_offer)
        return;
    self->turn = turn_new(&(turn_owner_t){ self, serve, wake, owner });
    offer_ports(self, self->turn);
}

void
forward_keep(forward_t *self)
{
    if (self->turn)
        offer_ports(self, NULL);
    turn_end(&self->turn);
}
