// SPDX-License-Identifier: MPL-2.0

#include "bench/peer.h"

#include "base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

void
peer_sleep_ms(int ms)
{
    struct timespec time = { ms / 1000, ms % 1000 * 1000000L };
    nanosleep(&time, NULL);
}

void
peer_work(const peer_t *self)
{
    if (self->options->work_us)
        for (int64_t end = clock_mono_ns() + self->options->work_us * 1000; clock_mono_ns() < end;)
            ;
}

static int
fail(peer_t *self, const char *what)
{
    snprintf(self->slot->error, sizeof self->slot->error, "%s: %s", what, zmq_strerror(errno));
    atomic_store(&self->slot->state, SLOT_FAILED);
    return -1;
}

bool
peer_failed(const peer_t *self)
{
    return atomic_load(&self->slot->state) == SLOT_FAILED;
}

static void
set(void *socket, int option, int value)
{
    zmq_setsockopt(socket, option, &value, sizeof value);
}

static int
attach(peer_t *self, const char *endpoint)
{
    bool bind = *endpoint == '@';
    if (bind)
        endpoint++;
    if ((bind ? zmq_bind(self->socket, endpoint) : zmq_connect(self->socket, endpoint)) == -1)
        return fail(self, endpoint);
    if (bind) {
        size_t size = sizeof self->slot->endpoint;
        zmq_getsockopt(self->socket, ZMQ_LAST_ENDPOINT, self->slot->endpoint, &size);
    }
    return 0;
}

// A client that binds has no broker before it: it is the server of the others.
static void
encrypt(const peer_t *self)
{
    const place_list_t *where = &self->where;
    bool binds = where->count > 0 && where->endpoint[0][0] == '@';
    (binds ? keys_for_server : keys_for_client)(&self->options->keys, self->socket);
}

static void
set_options(const options_t *options, void *socket, int type)
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
peer_reopen(peer_t *self, int type)
{
    if (self->socket)
        zmq_close(self->socket);
    self->socket = zmq_socket(self->context, type);
    if (!self->socket)
        return fail(self, "no socket");
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
peer_open(peer_t *self, int type)
{
    const options_t *options = self->options;
    self->payload = payload_new((size_t)options->size, (unsigned)options->parts, options->empty, options->topic);
    self->context = zmq_ctx_new();
    if (peer_reopen(self, type) == 0)
        atomic_store(&self->slot->state, SLOT_OPEN);
}

void
peer_close(peer_t *self)
{
    if (self->socket)
        zmq_close(self->socket);
    zmq_ctx_term(self->context);
    payload_destroy(&self->payload);
}

void
peer_done(peer_t *self)
{
    if (!peer_failed(self))
        atomic_store(&self->slot->state, SLOT_DONE);
    while (board_phase(self->board) < PHASE_END)
        peer_sleep_ms(PEER_MARK_MS);
}

static int
send_part(peer_t *self, unsigned part, const stamp_t *stamp, int flags)
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
try_again(peer_t *self)
{
    return (errno == EAGAIN || errno == EINTR) && board_phase(self->board) < PHASE_END;
}

int
peer_send(peer_t *self, const stamp_t *stamp, int flags)
{
    // The first frame decides. libzmq has room for the others then, unless the
    // connection ends in between: they go on when there is one again.
    if (self->envelope && zmq_send(self->socket, "", 0, flags | ZMQ_SNDMORE) == -1)
        return -1;
    unsigned parts = (unsigned)self->options->parts;
    for (unsigned part = 0; part < parts; part++) {
        int more = part + 1 < parts ? ZMQ_SNDMORE : 0;
        while (send_part(self, part, stamp, flags | more) == -1)
            if ((part == 0 && !self->envelope) || !try_again(self))
                return -1;
    }
    return 0;
}

static int
receive_part(peer_t *self, zmq_msg_t *frame)
{
    int rc;
    while ((rc = zmq_msg_recv(frame, self->socket, 0)) == -1)
        if (!try_again(self))
            break;
    return rc;
}

int
peer_receive(peer_t *self, stamp_t *stamp, int flags)
{
    zmq_msg_t frame;
    zmq_msg_init(&frame);
    if (zmq_msg_recv(&frame, self->socket, flags) == -1)
        return -1; // an empty frame owns nothing
    bool good = true;
    if (self->envelope)
        good = zmq_msg_size(&frame) == 0 && zmq_msg_more(&frame) && receive_part(self, &frame) >= 0;
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
peer_quota(const options_t *options, size_t producer)
{
    uint64_t all = (uint64_t)options->messages, of = (uint64_t)options->producers;
    return all / of + (producer < all % of);
}
