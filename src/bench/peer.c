// SPDX-License-Identifier: MPL-2.0

#include "bench/peer.h"

#include "base/clock.h"
#include "base/mem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

void
peer_sleep_ms(int ms)
{
    struct timespec time = { ms / 1000, ms % 1000 * 1000000L };
    nanosleep(&time, NULL);
}

void
peer_work(const load_peer_t *self)
{
    if (self->options->work_us)
        for (int64_t end = clock_mono_ns() + self->options->work_us * 1000; clock_mono_ns() < end;)
            ;
}

static int
fail(load_peer_t *self, const char *undone, const char *what)
{
    snprintf(self->slot->error, sizeof self->slot->error, "%s %s: %s", undone, what, zmq_strerror(errno));
    atomic_store(&self->slot->state, SLOT_FAILED);
    return -1;
}

bool
peer_failed(const load_peer_t *self)
{
    return atomic_load(&self->slot->state) == SLOT_FAILED;
}

static void
set(void *socket, int option, int value)
{
    zmq_setsockopt(socket, option, &value, sizeof value);
}

static int
attach(load_peer_t *self, const char *endpoint)
{
    bool bind = *endpoint == '@';
    if (bind)
        endpoint++;
    if ((bind ? zmq_bind(self->socket, endpoint) : zmq_connect(self->socket, endpoint)) == -1)
        return fail(self, bind ? "cannot bind" : "cannot connect to", endpoint);
    if (bind) {
        size_t size = sizeof self->slot->endpoint;
        zmq_getsockopt(self->socket, ZMQ_LAST_ENDPOINT, self->slot->endpoint, &size);
    }
    return 0;
}

// A client that binds has no broker before it: it is the server of the others.
static void
encrypt(const load_peer_t *self)
{
    const place_list_t *where = &self->where;
    bool binds = where->count > 0 && where->endpoint[0][0] == '@';
    (binds ? keys_for_server : keys_for_client)(&self->options->keys, self->socket);
}

static void
set_options(const bench_options_t *options, void *socket, int type)
{
    set(socket, ZMQ_LINGER, 0);
    set(socket, ZMQ_RCVTIMEO, PEER_LOOK_MS);
    set(socket, ZMQ_SNDTIMEO, PEER_LOOK_MS);
    set(socket, ZMQ_RECONNECT_IVL, 20);
    if (options->sndhwm >= 0)
        set(socket, ZMQ_SNDHWM, (int)options->sndhwm);
    if (options->rcvhwm >= 0)
        set(socket, ZMQ_RCVHWM, (int)options->rcvhwm);
    if (type == ZMQ_PUB && options->nodrop)
        set(socket, ZMQ_XPUB_NODROP, 1);
    if (type == ZMQ_SUB)
        set(socket, ZMQ_SNDHWM, 0); // or it drops subscriptions of its own
    if (type == ZMQ_ROUTER)
        set(socket, ZMQ_ROUTER_MANDATORY, 1); // or it drops replies when full
}

int
peer_reopen(load_peer_t *self, int type)
{
    if (self->socket)
        zmq_close(self->socket);
    self->socket = zmq_socket(self->context, type);
    if (!self->socket)
        return fail(self, "cannot make", "a socket");
    set_options(self->options, self->socket, type);
    if (self->options->curve)
        encrypt(self);
    const place_list_t *where = &self->where;
    size_t first = where->all || !where->count ? 0 : self->index % where->count;
    size_t count = where->all ? where->count : where->count > 0;
    for (size_t i = first; i < first + count; i++)
        if (attach(self, where->endpoint[i]) == -1)
            return -1;
    return 0;
}

void
peer_open(load_peer_t *self, int type)
{
    const bench_options_t *options = self->options;
    self->payload = payload_new((size_t)options->size, (unsigned)options->parts, options->empty, options->topic);
    self->context = zmq_ctx_new();
    self->unnamed = self->asks_ack && options->no_ids ? xcalloc((size_t)options->outstanding, sizeof *self->unnamed) : NULL;
    self->salt = (uint64_t)getpid() << 40 ^ (uint64_t)clock_mono_ns();
    if (peer_reopen(self, type) == 0)
        atomic_store(&self->slot->state, SLOT_OPEN);
}

void
peer_close(load_peer_t *self)
{
    if (self->socket)
        zmq_close(self->socket);
    zmq_ctx_term(self->context);
    payload_destroy(&self->payload);
    free(self->unnamed);
}

void
peer_done(load_peer_t *self)
{
    if (!peer_failed(self))
        atomic_store(&self->slot->state, SLOT_DONE);
    while (board_phase(self->board) < PHASE_END)
        peer_sleep_ms(PEER_MARK_MS);
}

static int
send_part(load_peer_t *self, unsigned part, const stamp_t *stamp, int flags)
{
    zmq_msg_t frame;
    zmq_msg_init_size(&frame, payload_size(self->payload, part));
    if (zmq_msg_size(&frame))
        payload_write(self->payload, part, stamp, zmq_msg_data(&frame));
    if (zmq_msg_send(&frame, self->socket, flags) >= 0)
        return 0;
    int reason = errno;
    zmq_msg_close(&frame);
    errno = reason;
    return -1;
}

static bool
try_again(load_peer_t *self)
{
    return (errno == EAGAIN || errno == EINTR) && board_phase(self->board) < PHASE_END;
}

// --- Acknowledged ends ---------------------------------------------------------
//
// The ID is the stamp, which comes back with the answer; without IDs answers are told by their order.

enum { CREDIT_MOST = 1000 };

typedef struct {
    stamp_t stamp;
    uint64_t salt;
} ack_id_t;

static size_t
window_size(const load_peer_t *self)
{
    return (size_t)self->options->outstanding;
}

// Of more than the window the oldest never had an answer.
static void
remember(load_peer_t *self, const stamp_t *stamp)
{
    if (self->unanswered == window_size(self))
        self->first = (self->first + 1) % window_size(self);
    else
        self->unanswered++;
    self->unnamed[(self->first + self->unanswered - 1) % window_size(self)] = *stamp;
}

static bool
recall(load_peer_t *self, stamp_t *stamp)
{
    if (self->unanswered == 0)
        return false;
    *stamp = self->unnamed[self->first];
    self->first = (self->first + 1) % window_size(self);
    self->unanswered--;
    return true;
}

static int
send_head(load_peer_t *self, const stamp_t *stamp, int flags)
{
    ack_id_t id;
    memset(&id, 0, sizeof id);
    id.stamp = *stamp;
    id.salt = self->salt;
    if (zmq_send(self->socket, "", 0, flags | ZMQ_SNDMORE) == -1)
        return -1;
    size_t size = self->unnamed ? 0 : sizeof id;
    while (self->asks_ack && zmq_send(self->socket, &id, size, flags | ZMQ_SNDMORE) == -1)
        if (!try_again(self))
            return -1;
    return 0;
}

static int
say(load_peer_t *self, const char *word, const void *about, size_t size)
{
    if (zmq_send(self->socket, "", 0, ZMQ_SNDMORE) == -1 || zmq_send(self->socket, word, strlen(word), ZMQ_SNDMORE) == -1)
        return -1;
    return zmq_send(self->socket, about, size, 0) == -1 ? -1 : 0;
}

int
peer_ready(load_peer_t *self, int64_t credit)
{
    char text[24];
    if (credit > CREDIT_MOST)
        credit = CREDIT_MOST;
    snprintf(text, sizeof text, "%lld", (long long)credit);
    return say(self, "ready", text, strlen(text));
}

int
peer_job_done(load_peer_t *self)
{
    int rc;
    while ((rc = say(self, "done", self->job, self->job_size)) == -1)
        if (!try_again(self))
            break;
    return rc;
}

int
peer_send(load_peer_t *self, const stamp_t *stamp, int flags)
{
    // The first frame decides. libzmq has room for the others then, unless the
    // connection ends in between: they go on when there is one again.
    bool has_head = self->envelope || self->asks_ack;
    if (has_head && send_head(self, stamp, flags) == -1)
        return -1;
    unsigned parts = (unsigned)self->options->parts;
    for (unsigned part = 0; part < parts; part++) {
        int more = part + 1 < parts ? ZMQ_SNDMORE : 0;
        while (send_part(self, part, stamp, flags | more) == -1)
            if ((part == 0 && !has_head) || !try_again(self))
                return -1;
    }
    if (self->unnamed)
        remember(self, stamp);
    return 0;
}

static int
receive_part(load_peer_t *self, zmq_msg_t *frame)
{
    int rc;
    while ((rc = zmq_msg_recv(frame, self->socket, 0)) == -1)
        if (!try_again(self))
            break;
    return rc;
}

static void
skip_rest(load_peer_t *self, zmq_msg_t *frame)
{
    while (zmq_msg_more(frame) && receive_part(self, frame) >= 0)
        continue;
    zmq_msg_close(frame);
}

// Of which message FRAME is the ID.
static bool
read_id(load_peer_t *self, zmq_msg_t *frame, stamp_t *stamp)
{
    ack_id_t id;
    if (self->unnamed)
        return zmq_msg_size(frame) == 0 && recall(self, stamp);
    if (zmq_msg_size(frame) != sizeof id)
        return false;
    memcpy(&id, zmq_msg_data(frame), sizeof id);
    *stamp = id.stamp;
    return id.salt == self->salt;
}

// The answer to a request: after the empty frame come ID and answer.
static int
receive_answer(load_peer_t *self, zmq_msg_t *frame, stamp_t *stamp)
{
    bool good = zmq_msg_more(frame) && receive_part(self, frame) >= 0 && read_id(self, frame, stamp);
    good = good && zmq_msg_more(frame) && receive_part(self, frame) >= 0 && zmq_msg_size(frame) == 2 &&
           memcmp(zmq_msg_data(frame), "ok", 2) == 0;
    skip_rest(self, frame);
    return good;
}

// JOB and TRIES, up to the first frame of the body.
static bool
receive_job(load_peer_t *self, zmq_msg_t *frame)
{
    if (!zmq_msg_more(frame) || receive_part(self, frame) < 0 || zmq_msg_size(frame) > sizeof self->job)
        return false;
    self->job_size = zmq_msg_size(frame);
    memcpy(self->job, zmq_msg_data(frame), self->job_size);
    if (!zmq_msg_more(frame) || receive_part(self, frame) < 0)
        return false;
    self->again = zmq_msg_size(frame) != 1 || *(const char *)zmq_msg_data(frame) != '1';
    return zmq_msg_more(frame) && receive_part(self, frame) >= 0;
}

int
peer_receive(load_peer_t *self, stamp_t *stamp, int flags)
{
    zmq_msg_t frame;
    zmq_msg_init(&frame);
    if (zmq_msg_recv(&frame, self->socket, flags) == -1)
        return -1; // an empty frame owns nothing
    if (self->asks_ack)
        return receive_answer(self, &frame, stamp);
    bool good = true;
    if (self->envelope)
        good = zmq_msg_size(&frame) == 0 && zmq_msg_more(&frame) && receive_part(self, &frame) >= 0;
    else if (self->gets_jobs)
        good = receive_job(self, &frame);
    good = good && payload_read(self->payload, zmq_msg_data(&frame), zmq_msg_size(&frame), stamp);
    unsigned part = 0;
    for (;; part++) {
        if (good && self->options->verify)
            good = payload_check(self->payload, part, stamp, zmq_msg_data(&frame), zmq_msg_size(&frame));
        if (!zmq_msg_more(&frame) || receive_part(self, &frame) == -1)
            break;
    }
    zmq_msg_close(&frame);
    return good && part + 1 == (unsigned)self->options->parts && stamp->producer < self->board->producers;
}

uint64_t
peer_quota(const bench_options_t *options, size_t producer)
{
    uint64_t all = (uint64_t)options->messages, of = (uint64_t)options->producers;
    return all / of + (producer < all % of);
}
