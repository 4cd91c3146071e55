// SPDX-License-Identifier: MPL-2.0
// forward.h - the message path: what runs per message, and how it waits.
//
// A port is one socket of a route, a lane one direction between two ports. The
// loop is zmq_proxy(3)'s: zmq_poll(3), bursts, both directions, capture. What an
// unattended service needs besides: it never blocks, never spins, and looks at its
// commands between bursts.
//
// Everything here belongs to the route's thread.

#ifndef ZB_FORWARD_H
#define ZB_FORWARD_H

#include "zmq/capture.h"
#include "flow/counters.h"
#include "zmq/message.h"
#include "zmq/rights.h"
#include "flow/observers.h"
#include "flow/ways.h"
#include "zmq/topics.h"

#include <stdbool.h>
#include <zmq.h>

#define FORWARD_BURST 1000 // messages a direction may move before the other has its turn

typedef struct {
    void *socket; // NULL: the route has no such side
    int type;
    side_t side;
    side_counters_t *counters;
    bool pollout_lies; // it does not tell whether the next message will be taken
    bool lossy;        // a full subscriber loses messages instead of holding up the others
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
    lane_t lanes[WAYS_MOST];
    size_t lane_count;
    counters_t *counters;

    uint8_t epoch[8];
    int64_t pending;  // requests forwarded, not answered yet

    capture_t *capture;
    rights_t *rights; // NULL: everybody may publish
    topics_t *topics;
    observers_t observers; // capture, tap or rights: whole messages are gathered

    int64_t batch_ns;
    size_t batch_min;
    size_t moved;     // most messages of one lane in the last pass
    unsigned passes;
    int bell;         // rung when there is a command for the route
} forward_t;

// PORTS are filled in by the caller; lanes follow from CONF.
void forward_init(forward_t *self, const route_conf_t *conf);
void forward_close(forward_t *self); // what is in hand; sockets stay

// One pass: every direction moves up to a burst. True if there may be more to do at once.
bool forward_pass(forward_t *self);

// A pass runs only what is due: what the wait told of. After a change that no socket tells of, everything is.
void forward_all_due(forward_t *self);

// Wait until a side has news, a full one has room, or the bell rings; no longer than TIMEOUT_MS, -1 for ever.
void forward_wait(forward_t *self, int timeout_ms);

// The same after a pass: also as `batch_us' asks for it, and for peers that only a send can ask for room.
void forward_rest(forward_t *self);

// Call when taps, capture readers or rights changed.
void forward_observe(forward_t *self);
tap_t *forward_add_tap(forward_t *self, const void *prefix, size_t prefix_size); // NULL: no room

typedef enum {
    FORWARD_ALL,      // everything moves
    FORWARD_NO_INPUT, // no new message is read, but what is in hand and what answers it goes on (drain)
    FORWARD_INPUT,    // new messages are read, and nothing else
    FORWARD_NOTHING,  // nothing is read or sent (pause)
} forward_mode_t;
void forward_set_mode(forward_t *self, forward_mode_t mode);

// Whole messages, for the drain. take: the next one, filtered, counted and
// observed; false: none there. pass: false: refused for now, keep it; else it is
// gone (sent, or dropped and counted). settle: what the loop left in hand.
bool forward_take(forward_t *self, lane_t *lane, message_t *message);
// Before and after some of them: observers_begin and observers_end.
bool forward_deliver(forward_t *self, lane_t *lane, message_t *message);
bool forward_settle(forward_t *self, lane_t *lane);
// A message whose first part is in hand, refused: make it a whole one, so that those behind it can be read.
void forward_gather(forward_t *self, lane_t *lane);
bool forward_in_hand(const lane_t *lane);
bool forward_any_in_hand(const forward_t *self);

#endif
