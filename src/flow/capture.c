// SPDX-License-Identifier: MPL-2.0
#include "flow/capture.h"

#include "base/mem.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// A number as text, kept: the next one is mostly the same, or one more.
typedef struct {
    uint64_t value;
    size_t size;
    char digits[20];
} number_t;

struct capture {
    void *socket;
    counters_t *counters;
    struct {
        char text[ROUTE_NAME_MAX + 16]; // "ROUTE SIDE "
        size_t size;
    } heads[SIDES];
    number_t seq, wall_ns;
    bool publishes;    // XPUB; else PUSH
    bool unwatched;    // PUSH with a peer that has no connection to count (inproc)
    bool met;          // a message has gone out since somebody is connected
    bool envelope;
    size_t readers;    // XPUB: subscriptions, each of each reader (verboser)
    size_t everything; // those of them without a topic
    unsigned patience; // messages that are not even tried once it is full
    unsigned skip;     // how many of them are left
};

enum { PATIENCE_MAX = 256 };

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
    for (int i = 0; i < SIDES; i++)
        self->heads[i].size = (size_t) snprintf(self->heads[i].text, sizeof self->heads[i].text, "%s %s ", conf->name, side_name((side_t) i));
    self->publishes = side->type != ZMQ_PUSH;
    self->unwatched = has_unwatched_endpoint(side);
    self->envelope = conf->capture_envelope;
    // libzmq frees a full queue's room by halves of it: to skip a few attempts costs a reader nothing.
    int hwm = 0;
    size_t size = sizeof hwm;
    zmq_getsockopt(socket, ZMQ_SNDHWM, &hwm, &size);
    self->patience = hwm / 8 < PATIENCE_MAX ? (unsigned) (hwm / 8) : PATIENCE_MAX;
    if (self->publishes) {
        // Every subscription of every reader is shown, so that they can be counted.
        int on = 1;
        zmq_setsockopt(socket, ZMQ_XPUB_VERBOSER, &on, sizeof on);
        zmq_setsockopt(socket, ZMQ_XPUB_NODROP, &on, sizeof on);
    }
    return self;
}

static void
count_subscription(size_t *count, bool begins)
{
    if (begins)
        ++*count;
    else if (*count > 0)
        --*count;
}

void
capture_look(capture_t *self)
{
    zmq_msg_t frame;
    zmq_msg_init(&frame);
    self->skip = 0;
    while (self->publishes && zmq_msg_recv(&frame, self->socket, ZMQ_DONTWAIT) != -1) {
        const unsigned char *data = zmq_msg_data(&frame);
        if (zmq_msg_size(&frame) == 0 || data[0] > 1)
            continue;
        count_subscription(&self->readers, data[0]);
        if (zmq_msg_size(&frame) == 1)
            count_subscription(&self->everything, data[0]);
    }
    zmq_msg_close(&frame);
    self->met = self->met && capture_has_readers(self);
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

// One reader may have subscribed several times.
static bool
has_several_readers(const capture_t *self)
{
    return self->publishes && self->readers > 1
           && (self->unwatched || counter_get(&self->counters->sides[SIDE_CAPTURE].connections) != 1);
}

// With one reader, a message that finds no room is dropped and counted, exactly.
// With several, those that have room must not miss it: the socket is made lossy
// for this message, and the count says how often a reader fell behind (each of
// them can tell from the envelope's sequence number what it missed).
static bool
send_frame(capture_t *self, zmq_msg_t *frame, int flags)
{
    if (zmq_msg_send(frame, self->socket, flags | ZMQ_DONTWAIT) != -1)
        return self->met = true;
    // Whoever is connected to a PUSH is a reader only a moment later, and misses nothing before.
    if (!self->publishes && !self->met)
        return false;
    counter_add(&self->counters->capture_dropped, 1);
    if (!has_several_readers(self)) {
        // A reader of some topic would not miss all of what comes.
        self->skip = !self->publishes || self->everything ? self->patience : 0;
        return false;
    }
    int off = 0, on = 1;
    zmq_setsockopt(self->socket, ZMQ_XPUB_NODROP, &off, sizeof off);
    int rc = zmq_msg_send(frame, self->socket, flags | ZMQ_DONTWAIT);
    zmq_setsockopt(self->socket, ZMQ_XPUB_NODROP, &on, sizeof on);
    return rc != -1;
}

static void
write_number(number_t *self, uint64_t value)
{
    char digits[sizeof self->digits];
    size_t count = 0;
    self->value = value;
    do
        digits[count++] = (char) ('0' + value % 10);
    while (value /= 10);
    self->size = count;
    for (size_t i = 0; i < self->size; i++)
        self->digits[i] = digits[--count];
}

// TO has room for the longest: a copy of fixed size is cheaper.
static char *
put_number(number_t *self, char *to, uint64_t value)
{
    if (value == self->value + 1 && self->size && self->digits[self->size - 1] != '9') {
        self->digits[self->size - 1]++;
        self->value = value;
    } else if (value != self->value || !self->size) {
        write_number(self, value);
    }
    memcpy(to, self->digits, sizeof self->digits);
    return to + self->size;
}

// Divisions, let alone snprintf(3), would cost more than the message itself.
static bool
send_envelope(capture_t *self, side_t side, uint64_t seq, int64_t wall_ns)
{
    char text[sizeof self->heads[0].text + 42];
    memcpy(text, self->heads[side].text, self->heads[side].size);
    char *end = put_number(&self->seq, text + self->heads[side].size, seq);
    *end++ = ' ';
    end = put_number(&self->wall_ns, end, (uint64_t) wall_ns);
    size_t size = (size_t) (end - text);
    zmq_msg_t frame;
    zmq_msg_init_size(&frame, size);
    memcpy(zmq_msg_data(&frame), text, size);
    bool sent = send_frame(self, &frame, ZMQ_SNDMORE);
    zmq_msg_close(&frame);
    return sent;
}

void
capture_offer(capture_t *self, side_t side, uint64_t seq, int64_t wall_ns, zmq_msg_t *frames, size_t count)
{
    if (!capture_has_readers(self))
        return;
    if (self->skip > 0) {
        self->skip--;
        counter_add(&self->counters->capture_dropped, 1);
        return;
    }
    if (self->envelope && !send_envelope(self, side, seq, wall_ns))
        return;
    uint64_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        zmq_msg_t copy;
        zmq_msg_init(&copy);
        zmq_msg_copy(&copy, &frames[i]);
        bool sent = send_frame(self, &copy, i + 1 < count ? ZMQ_SNDMORE : 0);
        zmq_msg_close(&copy);
        if (!sent)
            return; // only the first frame of a message can be refused
        bytes += zmq_msg_size(&frames[i]);
    }
    counter_add(&self->counters->sides[SIDE_CAPTURE].messages_sent, 1);
    counter_add(&self->counters->sides[SIDE_CAPTURE].sent_bytes, bytes);
}

size_t
capture_unseen(const capture_t *self)
{
    return capture_has_readers(self) ? self->skip : SIZE_MAX;
}

void
capture_pass(capture_t *self, size_t messages)
{
    unsigned missed = messages < self->skip ? (unsigned) messages : self->skip;
    self->skip -= missed;
    if (capture_has_readers(self))
        counter_add(&self->counters->capture_dropped, missed);
}

void
capture_rest(capture_t *self)
{
    self->skip = 0;
}

void
capture_free(capture_t **self_p)
{
    free(*self_p);
    *self_p = NULL;
}
