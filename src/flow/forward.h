// SPDX-License-Identifier: MPL-2.0
// forward.h - the message path: what runs per message, and how it sleeps.
//
// A port is one socket of a route, a lane one direction between two ports. The
// loop is zmq_proxy(3)'s (bursts, both directions, capture) with what an
// unattended service needs: it never blocks, never spins, and looks at its
// commands between bursts. doc/design.md section 4 tells why it may sleep
// straight after an EAGAIN.
//
// Everything here belongs to whoever has the route's turn: its thread, which may
// lend it while it sleeps (turn.h).

#ifndef ZB_FORWARD_H
#define ZB_FORWARD_H

#include "flow/capture.h"
#include "flow/counters.h"
#include "flow/filter.h"
#include "flow/message.h"
#include "flow/tap.h"
#include "flow/topics.h"
#include "flow/turn.h"
#include "flow/wakeup.h"

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <zmq.h>

#define FORWARD_BURST 1000 // messages a direction may move before the other has its turn
#define FORWARD_TRICKLE 8  // fewer at once are waited for one by one
#define FORWARD_TRICKLE_MS 5 // but no longer than this: the ZMQ_RCVTIMEO of a frontend

typedef struct {
    void *socket; // NULL: the route has no such side
    int type;
    side_t side;
    side_counters_t *counters;
    wakeup_t wakeup;
    bool deceitful; // its POLLOUT does not tell whether the next message will be taken
    bool lossy;   // a full subscriber loses messages instead of holding up the others
} port_t;

typedef enum {
    LANE_PLAIN,         // as it comes
    LANE_REQUEST,       // from a ROUTER: the epoch is added to the routing id
    LANE_REPLY,         // to a ROUTER: the epoch is checked and taken off
    LANE_SUBSCRIPTIONS, // from an XPUB: not messages
} lane_kind_t;

typedef struct lane {
    lane_kind_t kind;
    port_t *from, *to;
    bool input;       // brings new messages in: stops first when the route drains
    bool stopped;     // not read (paused, drained)
    bool frozen;      // nor is what is in hand sent (paused)
    bool due;         // there may be something to do

    zmq_msg_t part;   // the part in hand
    bool holding;     // …was refused by `to` and waits
    bool inside;      // between two parts of a message
    uint64_t bytes;   // of the message in hand
    message_t held;   // a whole message in hand (observed routes)
    int64_t patience_ns; // lossy: no more waiting for a slow subscriber before this time
} lane_t;

typedef struct {
    port_t ports[SIDES];
    lane_t lanes[3];
    size_t lane_count;
    counters_t *counters;

    uint8_t epoch[8];
    int64_t pending;  // requests forwarded, not answered yet

    capture_t *capture;
    filter_t *filter;
    topics_t *topics;
    tap_ring_t *taps; // NULL while nobody looks on
    uint64_t seq;     // of observed messages
    int64_t now_ns;   // when they pass
    unsigned shown;   // since the burst began
    bool observed;    // capture, tap or message filter: whole messages are gathered

    int64_t batch_ns;
    size_t batch_min;
    size_t moved;     // most messages of one lane in the last pass
    unsigned passes;
    bool may_trickle; // nothing comes in but by the first lane, and subscriptions
    bool trickling;   // the next pass waits in its receive
    turn_t *turn;     // NULL: never lent
    bool borrowed;    // by a thread that must not wait

    struct pollfd polled[SIDES];
    port_t *polled_port[SIDES];
    size_t polled_count;
    sigset_t asleep; // the thread's signal mask while it sleeps: what is not in it wakes it
} forward_t;

// PORTS are filled in by the caller; lanes follow from FLOW and the socket types.
void forward_init(forward_t *self, flow_t flow);
void forward_close(forward_t *self); // what is in hand; sockets stay

// One pass: every direction moves up to a burst. True if there may be more to do at once.
bool forward_pass(forward_t *self);

// A pass runs only what is due: what fired, and what follows from what moved.
// After a change that no descriptor tells of, everything is.
void forward_all_due(forward_t *self);

// Lend the turn to whoever has news while this thread sleeps, until forward_keep.
// WAKE wakes it, from any thread.
void forward_lend(forward_t *self, void (*wake)(void *owner), void *owner);
void forward_keep(forward_t *self);

// Sleep until a socket has news, or a signal comes that `asleep' lets through.
void forward_sleep(forward_t *self);

// Call when taps, capture readers or the filter changed.
void forward_observe(forward_t *self);
tap_t *forward_add_tap(forward_t *self, const void *prefix, size_t prefix_size); // NULL: no room

// Everything moves; nothing new is read, but what is in hand and what answers it
// goes on (drain); nothing is read or sent (pause).
void forward_go_on(forward_t *self);
void forward_stop_input(forward_t *self);
void forward_freeze(forward_t *self);

// A port appeared or went: look at its descriptor too, or no more.
void forward_poll_ports(forward_t *self);

// Whole messages, for the drain. take: the next one, filtered, counted and
// observed; false: none there. pass: false: refused for now, keep it; else it is
// gone (sent, or dropped and counted). settle: what the loop left in hand.
bool forward_take(forward_t *self, lane_t *lane, message_t *message);
// Before and after some of them.
void forward_begin(forward_t *self);
void forward_end(forward_t *self);
bool forward_deliver(forward_t *self, lane_t *lane, message_t *message);
bool forward_settle(forward_t *self, lane_t *lane);
// A message whose first part is in hand, refused: make it a whole one, so that those behind it can be read.
void forward_gather(forward_t *self, lane_t *lane);
bool forward_in_hand(const lane_t *lane);
bool forward_any_in_hand(const forward_t *self);

#endif
