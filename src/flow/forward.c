// SPDX-License-Identifier: MPL-2.0
#include "flow/forward.h"

#include "base/clock.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#define ALWAYS_INLINE static inline __attribute__((always_inline))

#define EPOCH_SIZE 8
#define PATIENCE_NS INT64_C(100000000) // between two waits for slow subscribers
#define LOOK_EVERY 64                  // passes between two looks at the capture under load
#define LOOK_IN_TRICKLE 8              // and while messages come one by one
#define FORWARD_LENT 100               // messages in a pass, more than which are the route's own
#define SERVED_PASSES 8
#define SHOWN_AT_ONCE 32               // messages that count as of the same moment

// The events of a socket; reading them also empties its mailbox.
static int
events(const port_t *port)
{
    return wakeup_heard(&port->wakeup, port->socket);
}

bool
forward_in_hand(const lane_t *lane)
{
    return lane->holding || lane->inside || lane->held.count > 0;
}

// --- counting ---------------------------------------------------------------

static void
count_received(const lane_t *lane, uint64_t messages, uint64_t bytes)
{
    counter_add(&lane->from->counters->messages_received, messages);
    counter_add(&lane->from->counters->received_bytes, bytes);
}

// The number of messages comes last: who sees it finds all the rest counted.
static void
count_sent(const lane_t *lane, uint64_t messages, uint64_t bytes)
{
    counter_add(&lane->to->counters->sent_bytes, bytes);
    counter_add(&lane->to->counters->messages_sent, messages);
}

static void
count_drop(forward_t *self, drop_reason_t reason)
{
    counter_add(&self->counters->dropped[reason], 1);
}

static void
begin_blocked(const port_t *port)
{
    if (counter_get(&port->counters->blocked_since_ns) == 0)
        counter_set(&port->counters->blocked_since_ns, (uint64_t)clock_mono_ns());
}

static void
end_blocked(const port_t *port)
{
    uint64_t since = counter_get(&port->counters->blocked_since_ns);
    if (since == 0)
        return;
    counter_add(&port->counters->blocked_ns, (uint64_t)clock_mono_ns() - since);
    counter_set(&port->counters->blocked_since_ns, 0);
}

// --- routing ids of a queue -------------------------------------------------
//
// libzmq numbers its clients from the same start in every process, so a worker
// that still holds a request from before a restart would answer a stranger. The
// id that goes down carries this process's epoch; what comes up without is dropped.

// MARKED is initialised here.
static void
add_epoch(const forward_t *self, zmq_msg_t *id, zmq_msg_t *marked)
{
    size_t size = zmq_msg_size(id);
    zmq_msg_init_size(marked, size + EPOCH_SIZE);
    char *data = zmq_msg_data(marked);
    memcpy(data, zmq_msg_data(id), size);
    memcpy(data + size, self->epoch, EPOCH_SIZE);
}

// PLAIN is initialised here if the epoch is ours; else false.
static bool
remove_epoch(const forward_t *self, zmq_msg_t *id, zmq_msg_t *plain)
{
    size_t size = zmq_msg_size(id);
    const char *data = zmq_msg_data(id);
    if (size <= EPOCH_SIZE || memcmp(data + size - EPOCH_SIZE, self->epoch, EPOCH_SIZE) != 0)
        return false;
    zmq_msg_init_size(plain, size - EPOCH_SIZE);
    memcpy(zmq_msg_data(plain), data, size - EPOCH_SIZE);
    return true;
}

static bool
exchange_id(const forward_t *self, lane_kind_t kind, zmq_msg_t *id)
{
    zmq_msg_t other;
    if (kind == LANE_REQUEST)
        add_epoch(self, id, &other);
    else if (!remove_epoch(self, id, &other))
        return false;
    zmq_msg_move(id, &other);
    zmq_msg_close(&other);
    return true;
}

// --- sending ----------------------------------------------------------------

typedef enum { SENT, HELD, DROPPED } outcome_t;

static void
set_nodrop(const port_t *port, int on)
{
    zmq_setsockopt(port->socket, ZMQ_XPUB_NODROP, &on, sizeof on);
}

// A subscriber's queue is full. XPUB drops for it silently, and a loop that
// reads eagerly makes that happen to healthy subscribers too; so the socket is
// nodrop in truth. We wait one moment (ZMQ_SNDTIMEO) for whoever is merely
// slower than a burst, and then let the full ones lose it, once they have not
// moved no more than every PATIENCE_NS.
static outcome_t
send_lossy(forward_t *self, lane_t *lane, zmq_msg_t *part, int flags)
{
    int64_t now = clock_mono_ns();
    if (now >= lane->patience_ns) {
        if (zmq_msg_send(part, lane->to->socket, flags & ~ZMQ_DONTWAIT) != -1)
            return SENT;
        lane->patience_ns = now + PATIENCE_NS;
    }
    set_nodrop(lane->to, 0);
    int rc = zmq_msg_send(part, lane->to->socket, flags);
    set_nodrop(lane->to, 1);
    count_drop(self, DROP_HWM);
    return rc == -1 ? DROPPED : SENT;
}

// `to` did not take the part: for now (HELD), without some (SENT), or at all (DROPPED).
static outcome_t
refused(forward_t *self, lane_t *lane, zmq_msg_t *part, int flags)
{
    if (errno == EAGAIN && lane->to->lossy && !self->borrowed)
        return send_lossy(self, lane, part, flags);
    if (errno == EAGAIN && lane->kind != LANE_REPLY) {
        begin_blocked(lane->to);
        return HELD;
    }
    // A ROUTER says EAGAIN for this one client: the others must not wait for it.
    count_drop(self, errno == EAGAIN ? DROP_HWM : DROP_UNDELIVERABLE);
    return DROPPED;
}

static inline outcome_t
send_part(forward_t *self, lane_t *lane, zmq_msg_t *part, int more)
{
    int flags = more ? ZMQ_DONTWAIT | ZMQ_SNDMORE : ZMQ_DONTWAIT;
    if (__builtin_expect(zmq_msg_send(part, lane->to->socket, flags) != -1, 1))
        return SENT;
    return refused(self, lane, part, flags);
}

// The rest of a message that nobody will get. libzmq shows a message only once
// it is whole, so its parts are all there.
static void
discard_rest(lane_t *lane)
{
    int more = zmq_msg_more(&lane->part);
    while (more) {
        int size = zmq_msg_recv(&lane->part, lane->from->socket, ZMQ_DONTWAIT);
        if (size == -1)
            break;
        lane->bytes += (uint64_t)size;
        more = zmq_msg_more(&lane->part);
    }
    lane->inside = false;
}

// --- plain messages: part by part -------------------------------------------

// What is counted is written once a burst, not once a message.
typedef struct {
    uint64_t received, received_bytes;
    uint64_t sent, sent_bytes;
} tally_t;

static void
tally_up(forward_t *self, lane_t *lane, const tally_t *tally)
{
    if (tally->received)
        count_received(lane, tally->received, tally->received_bytes);
    if (tally->sent)
        count_sent(lane, tally->sent, tally->sent_bytes);
    if (lane->kind == LANE_REQUEST)
        self->pending += (int64_t)tally->sent;
}

ALWAYS_INLINE void
tally_received(forward_t *self, lane_t *lane, tally_t *tally)
{
    tally->received++;
    tally->received_bytes += lane->bytes;
    counter_add(&self->counters->sizes[size_bucket(lane->bytes)], 1);
}

// The message is over, sent or dropped.
ALWAYS_INLINE void
message_over(forward_t *self, lane_t *lane, lane_kind_t kind)
{
    if (kind == LANE_REPLY && self->pending > 0)
        self->pending--;
    lane->bytes = 0;
}

// Move parts until UP_TO messages are through, the source is empty or `to`
// refuses. Starts anywhere in a message. Returns how many messages it took.
ALWAYS_INLINE size_t
stream(forward_t *self, lane_t *lane, lane_kind_t kind, size_t up_to, int wait)
{
    tally_t tally = { 0 };
    size_t messages = 0;
    zmq_msg_t *part = &lane->part;

    while (messages < up_to) {
        int size = zmq_msg_recv(part, lane->from->socket, wait);
        if (size == -1)
            break;
        int more = zmq_msg_more(part);
        bool first = !lane->inside;
        lane->inside = more;
        outcome_t outcome = SENT;
        bool routing_id = first && (kind == LANE_REQUEST || kind == LANE_REPLY);
        zmq_msg_t id, *out = part;

        if (routing_id)
            out = &id;
        else
            lane->bytes += (uint64_t)size;
        if (routing_id && kind == LANE_REQUEST)
            add_epoch(self, part, &id);
        else if (routing_id && !remove_epoch(self, part, &id)) {
            count_drop(self, DROP_UNDELIVERABLE);
            outcome = DROPPED;
        }
        if (!more)
            tally_received(self, lane, &tally);
        if (__builtin_expect(outcome == SENT, 1)) {
            outcome = send_part(self, lane, out, more);
            if (routing_id && outcome == HELD)
                zmq_msg_move(part, &id);
            if (routing_id && outcome == DROPPED)
                zmq_msg_close(&id);
        }
        if (__builtin_expect(outcome == SENT, 1)) {
            if (more)
                continue;
            tally.sent++;
            tally.sent_bytes += lane->bytes;
        } else if (outcome == HELD) {
            lane->holding = true;
            messages++;
            break;
        } else if (more) {
            discard_rest(lane);
            tally_received(self, lane, &tally);
        }
        message_over(self, lane, kind);
        messages++;
    }
    tally_up(self, lane, &tally);
    return messages;
}

// The kind is a constant in each: what a lane does not do costs it nothing.
static size_t
stream_plain(forward_t *self, lane_t *lane, size_t up_to)
{
    return stream(self, lane, LANE_PLAIN, up_to, ZMQ_DONTWAIT);
}

static size_t
stream_requests(forward_t *self, lane_t *lane, size_t up_to)
{
    return stream(self, lane, LANE_REQUEST, up_to, ZMQ_DONTWAIT);
}

static size_t
stream_replies(forward_t *self, lane_t *lane, size_t up_to)
{
    return stream(self, lane, LANE_REPLY, up_to, ZMQ_DONTWAIT);
}

// A trickle: each message wakes the thread. A receive that says that there is no
// further one and then a wait cost libzmq and us a quarter more instructions than
// one receive that waits (ZMQ_RCVTIMEO). It is used where nothing else can come
// in, or only subscriptions, and ends after a few messages or the time-out, to
// look at commands.
static size_t
trickle(forward_t *self, lane_t *lane, size_t up_to)
{
    return stream(self, lane, LANE_PLAIN, up_to, 0);
}

// --- subscriptions ----------------------------------------------------------

static void
note_subscription(forward_t *self, zmq_msg_t *frame)
{
    const unsigned char *data = zmq_msg_data(frame);
    size_t size = zmq_msg_size(frame);
    if (size == 0 || data[0] > 1)
        return;
    if (data[0] == 1)
        topics_add(self->topics, data + 1, size - 1);
    else
        topics_remove(self->topics, data + 1, size - 1);
    counter_set(&self->counters->subscriptions, topics_count(self->topics));
}

// Up a forwarder go subscriptions, which are no messages and are not counted
// as such. XSUB takes them always: its send queue has no limit.
static size_t
pass_subscriptions(forward_t *self, lane_t *lane, size_t up_to)
{
    size_t messages = 0;
    for (; messages < up_to; messages++) {
        if (zmq_msg_recv(&lane->part, lane->from->socket, ZMQ_DONTWAIT) == -1)
            break;
        int more = zmq_msg_more(&lane->part);
        bool pass = true;
        if (self->filter && self->filter->filters_subscriptions)
            pass = self->filter->subscription(self->filter->arg, lane->from->socket, &lane->part);
        if (!pass)
            continue;
        note_subscription(self, &lane->part);
        zmq_msg_send(&lane->part, lane->to->socket, more ? ZMQ_DONTWAIT | ZMQ_SNDMORE : ZMQ_DONTWAIT);
    }
    return messages;
}

static size_t (*const movers[])(forward_t *self, lane_t *lane, size_t up_to) = {
    [LANE_PLAIN] = stream_plain,
    [LANE_REQUEST] = stream_requests,
    [LANE_REPLY] = stream_replies,
    [LANE_SUBSCRIPTIONS] = pass_subscriptions,
};

// --- whole messages: capture, taps, filters and the drain ---------------------

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

static void
received_whole(forward_t *self, const lane_t *lane, const message_t *message)
{
    count_received(lane, 1, message->bytes);
    counter_add(&self->counters->sizes[size_bucket(message->bytes)], 1);
}

// The rest of the one whose first part is in hand.
static void
receive_rest(lane_t *lane, message_t *message, uint64_t bytes)
{
    message->hidden = lane->kind == LANE_REQUEST || lane->kind == LANE_REPLY;
    zmq_msg_move(message_add(message), &lane->part);
    message->bytes = bytes;
    receive(lane, message);
}

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
        && !self->filter->message(self->filter->arg, &message->frames[0], &reason)) {
        count_drop(self, reason);
        return false;
    }
    return true;
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
        tap_ring_offer(self->taps, lane->from->side, self->now_ns, frames, count);
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
        received_whole(self, lane, message);
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
        outcome_t outcome = send_part(self, lane, &message->frames[message->next], message->next + 1 < message->count);
        if (outcome == HELD)
            return false;
        if (outcome == DROPPED) {
            message_clear(message);
            message_over(self, lane, lane->kind);
            return true;
        }
        message->next++;
    }
    end_blocked(lane->to);
    count_sent(lane, 1, message->bytes);
    if (lane->kind == LANE_REQUEST)
        self->pending++;
    message_clear(message);
    message_over(self, lane, lane->kind);
    return true;
}

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
            receive_rest(lane, held, (uint64_t)size);
            received_whole(self, lane, held);
            show(self, lane, held->frames, held->count);
            if (!forward_deliver(self, lane, held))
                break;
            continue;
        }
        lane->bytes = (uint64_t)size;
        tally_received(self, lane, &tally);
        show(self, lane, part, 1);
        outcome_t outcome = send_part(self, lane, part, 0);
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
static size_t
trickle_shown(forward_t *self, lane_t *lane, size_t up_to)
{
    return stream_shown(self, lane, up_to, 0);
}

static bool
is_filtered(const forward_t *self)
{
    return self->filter && self->filter->filters_messages;
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
    size_t moved = movers[lane->kind](self, lane, up_to);
    self->seq += moved;
    if (self->capture)
        capture_pass(self->capture, moved);
    if (self->taps)
        tap_ring_pass(self->taps, moved);
    return moved;
}

// May it wait for the next message, although somebody looks on?
static bool
may_trickle(const forward_t *self, const lane_t *lane)
{
    return self->trickling && lane == &self->lanes[0]
           && (!self->observed || (self->capture && !self->taps && !is_filtered(self) && capture_unseen(self->capture) == 0));
}

static size_t
move_observed(forward_t *self, lane_t *lane, size_t up_to)
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

// --- lending ----------------------------------------------------------------
//
// What comes in a few at a time is moved by the I/O thread that brings it. In large
// bursts two threads are faster.

static bool
may_lend(const forward_t *self)
{
    return self->turn && self->moved <= FORWARD_LENT && !self->observed && !self->filter && !self->batch_ns;
}

// --- one pass ---------------------------------------------------------------

// The single part in hand, and the rest of its message.
static bool
settle_part(forward_t *self, lane_t *lane)
{
    if (lane->holding) {
        int more = lane->inside;
        outcome_t outcome = send_part(self, lane, &lane->part, more);
        if (outcome == HELD)
            return false;
        lane->holding = false;
        end_blocked(lane->to);
        if (outcome == SENT && !more)
            tally_up(self, lane, &(tally_t){ .sent = 1, .sent_bytes = lane->bytes });
        if (outcome == DROPPED && more) {
            tally_t tally = { 0 };
            discard_rest(lane);
            tally_received(self, lane, &tally);
            tally_up(self, lane, &tally);
        }
        if (!lane->inside)
            message_over(self, lane, lane->kind);
    }
    if (lane->inside)
        movers[lane->kind](self, lane, 1);
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
    receive_rest(lane, held, lane->bytes);
    lane->holding = lane->inside = false;
    lane->bytes = 0;
    received_whole(self, lane, held);
}

static void
make_due(forward_t *self, const port_t *read)
{
    for (size_t i = 0; i < self->lane_count; i++)
        self->lanes[i].due |= self->lanes[i].from == read;
}

// Returns how many messages it took; the lane stays due if there may be more.
static size_t
run_lane(forward_t *self, lane_t *lane)
{
    size_t moved, up_to = FORWARD_BURST;
    if (lane->stopped)
        return 0;
    if (may_trickle(self, lane))
        moved = (self->observed ? trickle_shown : trickle)(self, lane, up_to = FORWARD_TRICKLE);
    else if (self->observed && lane->kind != LANE_SUBSCRIPTIONS)
        moved = move_observed(self, lane, up_to);
    else
        moved = movers[lane->kind](self, lane, up_to);
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
            make_due(self, lane->to);
        most = moved > most ? moved : most;
    }
    for (size_t i = 0; i < self->lane_count; i++)
        again |= self->lanes[i].due && !self->lanes[i].frozen;
    if ((self->capture || self->taps) && ++self->passes % (self->trickling ? LOOK_IN_TRICKLE : LOOK_EVERY) == 0)
        forward_observe(self);
    self->moved = most;
    // A few at once: more will trickle in. As many as that in one go: it is no trickle any more.
    self->trickling = self->may_trickle && !may_lend(self) && !again && most > 0 && most < FORWARD_TRICKLE;
    self->lanes[0].due |= self->trickling;
    return again || self->trickling;
}

// --- sleeping ---------------------------------------------------------------

static bool
anything_in_hand(const forward_t *self)
{
    for (size_t i = 0; i < self->lane_count; i++)
        if (forward_in_hand(&self->lanes[i]))
            return true;
    return false;
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
        make_due(self, lane->to);
    return lane->due || readable;
}

// A port has news: for whoever reads it, and for whoever waits to write to it.
static void
wake_lanes(forward_t *self, const port_t *port)
{
    make_due(self, port);
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
    end_blocked(lane->to);
    if (!more) {
        tally_up(self, lane, &(tally_t){ .sent = 1, .sent_bytes = lane->bytes });
        message_over(self, lane, lane->kind);
    }
    return true;
}

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
    bool news = poll_ports(self, may_lend(self) && !blocked, &told);
    if (told <= 0)
        return;
    if (news && wakeup_told)
        wakeup_told(self->polled, (nfds_t)self->polled_count);
    hear(self, self->polled);
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
    return !again && !anything_in_hand(self) && may_lend(self);
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
        self->taps = tap_ring_new();
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
