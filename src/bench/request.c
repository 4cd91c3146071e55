// SPDX-License-Identifier: MPL-2.0

#include "bench/request.h"

#include "base/clock.h"
#include "base/mem.h"
#include "bench/pacer.h"

#include <czmq.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MS INT64_C(1000000)

// Of the services: ZMQ_REP, ZMQ_ROUTER, ….
static int
service_type(const bench_options_t *options)
{
    if (!options->service) // directly, only a ROUTER can tell its clients apart
        return options->direct && options->pattern->consumer == ZMQ_DEALER ? ZMQ_ROUTER : options->pattern->consumer;
    return strcmp(options->service, "rep") == 0 ? ZMQ_REP : strcmp(options->service, "router") == 0 ? ZMQ_ROUTER : ZMQ_DEALER;
}

// --- Clients -----------------------------------------------------------------

// A request under way. Its place in the window travels in the stamp's tag.
typedef struct {
    stamp_t stamp;
    int64_t deadline_ns;
    int64_t tries; // 0: the place is free
} under_way_t;

typedef struct {
    load_peer_t *peer;
    under_way_t *window;
    unsigned *free; // stack of free places
    size_t frees;
    pacer_t pacer;
    uint64_t number, quota;
    payload_kind_t kind;
    int64_t last; // highest number that came back
    int64_t now_ns; // when this turn began: deadlines need no more
    int64_t next_check_ns;
    bool in_order; // one service behind a queue keeps the order
} requester_t;

static size_t
window_size(const requester_t *self)
{
    return (size_t)self->peer->options->outstanding;
}

static bool
idle(const requester_t *self)
{
    return self->frees == window_size(self);
}

static void
release(requester_t *self, unsigned place)
{
    self->window[place].tries = 0;
    self->free[self->frees++] = place;
}

static void
note_reply(requester_t *self, const stamp_t *stamp)
{
    load_peer_t *peer = self->peer;
    board_slot_t *slot = peer->slot;
    under_way_t *request = stamp->tag < window_size(self) ? &self->window[stamp->tag] : NULL;
    if (stamp->producer != peer->index || !request) {
        slot->corrupt++;
        return;
    }
    if (!request->tries || request->stamp.number != stamp->number || request->stamp.kind != stamp->kind) {
        // Whoever asked twice gets two answers: that is no fault of the broker.
        slot->doubled += slot->retried == 0 && slot->failed == 0;
        return;
    }
    release(self, stamp->tag);
    if (stamp->kind == PAYLOAD_SYNC)
        return;
    if (!peer->options->pattern->replies) { // workers measure: what is stored has to reach one
        if (stamp->kind == PAYLOAD_DATA)
            peer_count(&slot->sent);
        return;
    }
    peer_count(&slot->moved);
    if (stamp->kind != PAYLOAD_DATA)
        return;
    if (self->in_order && stamp->number < self->last)
        slot->reordered++;
    self->last = stamp->number > self->last ? stamp->number : self->last;
    if (stamp->time_ns) {
        int64_t now = clock_mono_ns();
        hist_add(&slot->latency, now - stamp->time_ns);
        atomic_store_explicit(&slot->last_ns, (uint64_t)now, memory_order_relaxed);
    }
    peer_count(&slot->received);
}

static int
send_request(requester_t *self, under_way_t *request)
{
    request->deadline_ns = self->now_ns + self->peer->options->timeout_ms * MS;
    return peer_send(self->peer, &request->stamp, ZMQ_DONTWAIT);
}

// False if it could not be sent now.
static bool
ask(requester_t *self, payload_kind_t kind, int64_t due_ns)
{
    unsigned place = self->free[self->frees - 1];
    under_way_t *request = &self->window[place];
    request->stamp = (stamp_t){ .kind = kind, .tag = place, .producer = (unsigned)self->peer->index,
                                .number = (uint32_t)self->number, .time_ns = due_ns };
    if (send_request(self, request) == -1)
        return false;
    request->tries = 1;
    self->frees--;
    self->number++;
    if (kind == PAYLOAD_DATA && self->peer->options->pattern->replies)
        peer_count(&self->peer->slot->sent);
    return true;
}

// A REQ that got no reply can't ask again: a new socket does (the "lazy pirate").
static void
ask_again(requester_t *self, under_way_t *request)
{
    load_peer_t *peer = self->peer;
    if (peer->options->pattern->producer == ZMQ_REQ && peer_reopen(peer, ZMQ_REQ) == -1)
        return;
    request->tries++;
    peer->slot->retried++;
    send_request(self, request);
}

// REQ is stuck with a request that was given up, as above.
static void
give_up(requester_t *self, under_way_t *request)
{
    load_peer_t *peer = self->peer;
    peer->slot->failed += request->stamp.kind == PAYLOAD_DATA;
    release(self, request->stamp.tag);
    if (peer->options->pattern->producer == ZMQ_REQ)
        peer_reopen(peer, ZMQ_REQ);
}

// Look for overdue replies, but not at every turn: the window may be large.
static void
check_deadlines(requester_t *self)
{
    int64_t now = self->now_ns = clock_mono_ns();
    if (now < self->next_check_ns)
        return;
    self->next_check_ns = now + self->peer->options->timeout_ms * MS / 20;
    for (size_t i = 0; i < window_size(self); i++) {
        under_way_t *request = &self->window[i];
        if (!request->tries || now < request->deadline_ns)
            continue;
        if (request->stamp.kind == PAYLOAD_SYNC || request->tries > self->peer->options->retries)
            give_up(self, request);
        else
            ask_again(self, request);
    }
}

static void
drain_replies(requester_t *self)
{
    for (;;) {
        stamp_t stamp;
        int got = peer_receive(self->peer, &stamp, ZMQ_DONTWAIT);
        if (got == -1)
            return; // EAGAIN; EFSM: a REQ that waits for nothing
        if (got == 0)
            self->peer->slot->corrupt++;
        else
            note_reply(self, &stamp);
    }
}

// Sleep until a reply may be there or UNTIL_NS. Only straight after drain_replies:
// ZMQ_FD tells of news, and what came earlier must have been taken.
static void
wait_reply(requester_t *self, int64_t until_ns)
{
    int64_t now = clock_mono_ns(), limit = now + PEER_LOOK_MS * MS;
    if (self->next_check_ns < limit)
        limit = self->next_check_ns;
    if (until_ns < limit)
        limit = until_ns;
    if (limit <= now)
        return;
    int fd;
    size_t size = sizeof fd;
    zmq_getsockopt(self->peer->socket, ZMQ_FD, &fd, &size);
    struct pollfd item = { .fd = fd, .events = POLLIN };
    struct timespec time = { (limit - now) / 1000000000, (limit - now) % 1000000000 };
    ppoll(&item, 1, &time, NULL);
}

// Of many acknowledged messages some are timed: reading the clock for every one would be a good part of the load. The last one is.
static bool
is_timed(const requester_t *self)
{
    return !self->peer->options->ack || self->number % PEER_SAMPLE == 0 || self->number + 1 == self->quota;
}

// One turn: ask what is due and fits (NOTHING_DUE: ask nothing), take what came, sleep.
static void
turn(requester_t *self, bool asking)
{
    bool paced = self->peer->options->rate > 0, full = false;
    check_deadlines(self);
    int64_t now = self->now_ns;
    while (asking && self->frees && self->number < self->quota) {
        int64_t due = paced ? pacer_due(&self->pacer) : is_timed(self) ? clock_mono_ns() : 0;
        if (due > now && paced)
            break;
        if (!ask(self, self->kind, due)) {
            full = true;
            break;
        }
        pacer_next(&self->pacer);
    }
    size_t before = self->frees;
    drain_replies(self);
    if (self->frees != before && !full)
        return;
    int64_t until = INT64_MAX;
    if (full)
        until = now + PEER_MARK_MS * MS; // nobody is there; libzmq does not say when
    else if (asking && self->frees && self->number < self->quota)
        until = pacer_due(&self->pacer);
    wait_reply(self, until);
}

// A mark goes round and comes back: this client is served. Until everybody is, go on,
// so that every service gets one.
static void
send_marks(requester_t *self)
{
    load_peer_t *peer = self->peer;
    while (board_phase(peer->board) == PHASE_SYNC) {
        self->now_ns = clock_mono_ns();
        if (self->frees)
            ask(self, PAYLOAD_SYNC, 0);
        int64_t until = self->now_ns + PEER_MARK_MS * MS;
        size_t before = self->frees;
        do {
            drain_replies(self);
            if (self->frees > before)
                atomic_store(&peer->slot->met, true);
            before = self->frees;
            self->next_check_ns = INT64_MAX;
            wait_reply(self, until);
        } while (clock_mono_ns() < until);
        self->next_check_ns = 0;
        check_deadlines(self);
    }
    while (!idle(self) && board_phase(peer->board) < PHASE_STOP)
        turn(self, false);
}

static void
begin(requester_t *self, payload_kind_t kind, uint64_t quota)
{
    const load_peer_t *peer = self->peer;
    self->kind = kind;
    self->number = 0;
    self->last = -1;
    self->quota = quota;
    self->pacer = pacer_new(peer->options->rate, peer->board->producers, peer->index);
}

static void
converse(requester_t *self)
{
    load_peer_t *peer = self->peer;
    const bench_options_t *options = peer->options;
    begin(self, PAYLOAD_WARM, UINT64_MAX);
    for (phase_t phase; (phase = board_phase(peer->board)) < PHASE_STOP;) {
        if (phase == PHASE_RUN && self->kind == PAYLOAD_WARM)
            begin(self, PAYLOAD_DATA, options->messages ? peer_quota(options, peer->index) : UINT64_MAX);
        if (self->number == self->quota && idle(self))
            break;
        turn(self, true);
    }
    while (!idle(self) && board_phase(peer->board) < PHASE_END)
        turn(self, false);
}

void
request_client(load_peer_t *peer)
{
    const bench_options_t *options = peer->options;
    int type = options->pattern->producer;
    requester_t self = { .peer = peer, .quota = UINT64_MAX };
    peer->asks_ack = options->ack;
    peer->envelope = type == ZMQ_DEALER && options->service && strcmp(options->service, "rep") == 0;
    self.in_order = options->consumers == 1 && options->retries == 0;
    self.window = xcalloc((size_t)options->outstanding, sizeof *self.window);
    self.free = xcalloc((size_t)options->outstanding, sizeof *self.free);
    for (size_t i = 0; i < (size_t)options->outstanding; i++)
        release(&self, (unsigned)(window_size(&self) - 1 - i));
    peer_open(peer, type);
    if (!peer_failed(peer)) {
        send_marks(&self);
        converse(&self);
    }
    peer_done(peer);
    peer_close(peer);
    free(self.window);
    free(self.free);
}

// --- Services ----------------------------------------------------------------

// ROUTER says EHOSTUNREACH when the asker is gone: nobody waits for that answer.
static bool
answer(load_peer_t *self, zmq_msg_t *frame, bool more)
{
    while (zmq_msg_send(frame, self->socket, more ? ZMQ_SNDMORE : 0) == -1)
        if ((errno != EAGAIN && errno != EINTR) || board_phase(self->board) == PHASE_END)
            return false;
    return true;
}

// Send back one message, frame by frame, envelope and all.
static bool
echo(load_peer_t *self, zmq_msg_t *frame)
{
    bool sending = true, first = true;
    for (;;) {
        bool more = zmq_msg_more(frame);
        sending = sending && answer(self, frame, more);
        self->slot->failed += first && !sending;
        first = false;
        if (!more)
            return sending;
        while (zmq_msg_recv(frame, self->socket, 0) == -1)
            if (board_phase(self->board) == PHASE_END)
                return false;
    }
}

// The same by a REP, which must have all of a question before it answers.
static bool
echo_whole(load_peer_t *self, zmq_msg_t *frame)
{
    zmsg_t *rest = zmq_msg_more(frame) ? zmsg_recv(self->socket) : NULL;
    bool sent = answer(self, frame, rest != NULL) && (!rest || zmsg_send(&rest, self->socket) == 0);
    self->slot->failed += !sent;
    zmsg_destroy(&rest);
    return sent;
}

void
request_service(load_peer_t *self)
{
    int type = service_type(self->options);
    peer_open(self, type);
    zmq_msg_t frame;
    zmq_msg_init(&frame);
    while (!peer_failed(self) && board_phase(self->board) < PHASE_END) {
        if (zmq_msg_recv(&frame, self->socket, 0) == -1)
            continue;
        if (atomic_load_explicit(&self->slot->state, memory_order_relaxed) < SLOT_SYNCED)
            atomic_store(&self->slot->state, SLOT_SYNCED);
        peer_work(self);
        if (type == ZMQ_REP ? echo_whole(self, &frame) : echo(self, &frame))
            peer_count(&self->slot->moved);
    }
    zmq_msg_close(&frame);
    peer_done(self);
    peer_close(self);
}
