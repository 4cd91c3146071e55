// SPDX-License-Identifier: MPL-2.0
#include "flow/capture.h"

#include "base/clock.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct capture {
    void *socket;
    const char *route;
    counters_t *counters;
    bool publishes;    // XPUB; else PUSH
    bool unwatched;    // PUSH with a peer that has no connection to count (inproc)
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
    self->route = conf->name;
    self->counters = counters;
    self->publishes = side->type != ZMQ_PUSH;
    self->unwatched = has_unwatched_endpoint(side);
    self->envelope = conf->capture_envelope;
    if (self->publishes) {
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
        if (data[0] == 1)
            self->readers++;
        else if (self->readers > 0)
            self->readers--;
    }
    zmq_msg_close(&frame);
    if (!self->publishes) {
        int ready; // empties the mailbox
        size_t size = sizeof ready;
        zmq_getsockopt(self->socket, ZMQ_EVENTS, &ready, &size);
    }
}

bool
capture_has_readers(const capture_t *self)
{
    if (self->publishes)
        return self->readers > 0;
    return self->unwatched || counter_get(&self->counters->sides[SIDE_CAPTURE].connections) > 0;
}

// With one reader, a message that finds no room is dropped and counted, exactly.
// With several, those that have room must not miss it: the socket is made lossy
// for this message, and the count says how often a reader fell behind (each of
// them can tell from the envelope's sequence number what it missed).
static bool
send_frame(capture_t *self, zmq_msg_t *frame, int flags)
{
    if (zmq_msg_send(frame, self->socket, flags | ZMQ_DONTWAIT) != -1)
        return true;
    counter_add(&self->counters->capture_dropped, 1);
    if (!self->publishes || self->readers < 2)
        return false;
    int off = 0, on = 1;
    zmq_setsockopt(self->socket, ZMQ_XPUB_NODROP, &off, sizeof off);
    int rc = zmq_msg_send(frame, self->socket, flags | ZMQ_DONTWAIT);
    zmq_setsockopt(self->socket, ZMQ_XPUB_NODROP, &on, sizeof on);
    return rc != -1;
}

static bool
send_envelope(capture_t *self, side_t side, uint64_t seq)
{
    char text[ROUTE_NAME_MAX + 80];
    int size = snprintf(text, sizeof text, "%s %s %" PRIu64 " %" PRId64, self->route, side_name(side), seq, clock_wall_ns());
    zmq_msg_t frame;
    zmq_msg_init_size(&frame, (size_t) size);
    memcpy(zmq_msg_data(&frame), text, (size_t) size);
    bool sent = send_frame(self, &frame, ZMQ_SNDMORE);
    zmq_msg_close(&frame);
    return sent;
}

void
capture_offer(capture_t *self, side_t side, uint64_t seq, zmq_msg_t *frames, size_t count)
{
    if (!capture_has_readers(self))
        return;
    if (self->envelope && !send_envelope(self, side, seq))
        return;
    for (size_t i = 0; i < count; i++) {
        zmq_msg_t copy;
        zmq_msg_init(&copy);
        zmq_msg_copy(&copy, &frames[i]);
        bool sent = send_frame(self, &copy, i + 1 < count ? ZMQ_SNDMORE : 0);
        zmq_msg_close(&copy);
        if (!sent)
            return; // only the first frame of a message can be refused
    }
}

void
capture_free(capture_t **self_p)
{
    free(*self_p);
    *self_p = NULL;
}
