// SPDX-License-Identifier: MPL-2.0
#include "zmq/capture.h"

#include "base/mem.h"
#include "flow/envelope.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct capture {
    void *socket;
    counters_t *counters;
    envelope_t envelopes[SIDES];
    bool publishes;    // XPUB; else PUSH
    bool unwatched;    // PUSH with a peer that has no connection to count (inproc)
    bool met;          // a message has gone out since somebody is connected
    bool envelope;
    size_t readers;    // XPUB: subscriptions, each of each reader (verboser)
};

static bool
has_unwatched_endpoint(const side_conf_t *side)
{
    for (size_t i = 0; i < side->endpoint_count; i++)
        if (side->endpoints[i].at.transport != TRANSPORT_TCP && side->endpoints[i].at.transport != TRANSPORT_IPC)
            return true;
    return false;
}

capture_t *
capture_new(void *socket, const route_conf_t *conf, counters_t *counters)
{
    const side_conf_t *side = &conf->sides[SIDE_CAPTURE];
    capture_t *self = xcalloc(1, sizeof *self);
    self->socket = socket;
    self->counters = counters;
    for (side_t i = 0; i < SIDES; i++)
        envelope_begin(&self->envelopes[i], conf->name, i);
    self->publishes = side->type != ZMQ_PUSH;
    self->unwatched = has_unwatched_endpoint(side);
    self->envelope = conf->capture_envelope;
    if (self->publishes) {
        // A group does not subscribe: libzmq sends it everything.
        self->readers = side_multicasts(side);
        // Every subscription of every reader is shown, so that they can be counted.
        int on = 1;
        zmq_setsockopt(socket, ZMQ_XPUB_VERBOSER, &on, sizeof on);
        zmq_setsockopt(socket, ZMQ_XPUB_NODROP, &on, sizeof on);
    }
    return self;
}

void
capture_look(capture_t *self)
{
    zmq_msg_t frame;
    zmq_msg_init(&frame);
    while (self->publishes && zmq_msg_recv(&frame, self->socket, ZMQ_DONTWAIT) != -1) {
        const unsigned char *data = zmq_msg_data(&frame);
        if (zmq_msg_size(&frame) == 0 || data[0] > 1)
            continue;
        if (data[0])
            self->readers++;
        else if (self->readers > 0)
            self->readers--;
    }
    zmq_msg_close(&frame);
    self->met = self->met && capture_has_readers(self);
}

bool
capture_has_readers(const capture_t *self)
{
    if (self->publishes)
        return self->readers > 0;
    return self->unwatched || counter_get(&self->counters->sides[SIDE_CAPTURE].connections) > 0;
}

// One reader may have subscribed several times.
static bool
has_several_readers(const capture_t *self)
{
    return self->publishes && self->readers > 1
           && (self->unwatched || counter_get(&self->counters->sides[SIDE_CAPTURE].connections) != 1);
}

// --- sending ----------------------------------------------------------------

// A part is a frame to be shared, or the text of an envelope. Returns its size, or -1.
static int
send_once(const capture_t *self, zmq_msg_t *frame, const envelope_t *envelope, int flags)
{
    if (frame)
        return zmq_msg_send(frame, self->socket, flags | ZMQ_DONTWAIT);
    return zmq_send(self->socket, envelope->text, envelope->size, flags | ZMQ_DONTWAIT);
}

// With one reader, a message that finds no room is dropped and counted, exactly.
// With several, those that have room must not miss it: the socket is made lossy
// for this message, and the count says how often a reader fell behind (each of
// them can tell from the envelope's sequence number what it missed).
static int
refused(capture_t *self, zmq_msg_t *frame, const envelope_t *envelope, int flags)
{
    // Whoever is connected to a PUSH is a reader only a moment later, and misses nothing before.
    if (!self->publishes && !self->met)
        return -1;
    counter_add(&self->counters->capture_dropped, 1);
    if (!has_several_readers(self))
        return -1;
    int off = 0, on = 1;
    zmq_setsockopt(self->socket, ZMQ_XPUB_NODROP, &off, sizeof off);
    int size = send_once(self, frame, envelope, flags);
    zmq_setsockopt(self->socket, ZMQ_XPUB_NODROP, &on, sizeof on);
    return size;
}

// libzmq leaves a part that it took empty: only one that it refused is to be closed.
static inline int
send_frame(capture_t *self, zmq_msg_t *frame, int flags)
{
    zmq_msg_t copy;
    zmq_msg_init(&copy);
    zmq_msg_copy(&copy, frame);
    int size = send_once(self, &copy, NULL, flags);
    if (__builtin_expect(size == -1, 0)) {
        size = refused(self, &copy, NULL, flags);
        zmq_msg_close(&copy);
    }
    return size;
}

static inline int
send_envelope(capture_t *self, envelope_t *envelope, uint64_t seq, int64_t wall_ns)
{
    envelope_write(envelope, seq, wall_ns);
    int size = send_once(self, NULL, envelope, ZMQ_SNDMORE);
    return size != -1 ? size : refused(self, NULL, envelope, ZMQ_SNDMORE);
}

void
capture_offer(capture_t *self, side_t side, uint64_t seq, int64_t wall_ns, zmq_msg_t *frames, size_t count)
{
    if (!capture_has_readers(self))
        return;
    if (self->envelope && send_envelope(self, &self->envelopes[side], seq, wall_ns) == -1)
        return;
    uint64_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        int size = send_frame(self, &frames[i], i + 1 < count ? ZMQ_SNDMORE : 0);
        if (size == -1)
            return; // only the first frame of a message can be refused
        bytes += (uint64_t)size;
    }
    self->met = true;
    counter_add(&self->counters->sides[SIDE_CAPTURE].messages_sent, 1);
    counter_add(&self->counters->sides[SIDE_CAPTURE].sent_bytes, bytes);
}

void
capture_free(capture_t **self_p)
{
    free(*self_p);
    *self_p = NULL;
}
