// SPDX-License-Identifier: MPL-2.0

#include "bench/stream.h"

#include "base/clock.h"
#include "base/mem.h"
#include "bench/pacer.h"

#include <stdlib.h>

static unsigned
topic_of(const bench_options_t *options, uint64_t number)
{
    return (unsigned)(number % (uint64_t)options->topics);
}

static bool
subscribes(const bench_options_t *options, size_t consumer, unsigned topic)
{
    return !options->split_topics || topic % (uint64_t)options->consumers == consumer;
}

uint64_t
stream_share(const bench_options_t *options, size_t consumer, uint64_t sent)
{
    if (!options->split_topics)
        return sent;
    uint64_t share = 0, topics = (uint64_t)options->topics;
    for (unsigned topic = 0; topic < topics; topic++)
        if (subscribes(options, consumer, topic))
            share += sent / topics + (topic < sent % topics);
    return share;
}

// Until everybody has met: a mark now and then, on the last topic of every
// subscriber (subscriptions arrive in order, so all before it are through).
static void
send_marks(load_peer_t *self)
{
    const bench_options_t *options = self->options;
    stamp_t stamp = { .kind = PAYLOAD_SYNC, .producer = (unsigned)self->index };
    while (board_phase(self->board) == PHASE_SYNC) {
        size_t topics = options->split_topics ? (size_t)options->consumers : 1;
        for (size_t i = 0; i < topics; i++) {
            stamp.tag = (unsigned)(options->topics - 1) - (unsigned)i;
            peer_send(self, &stamp, ZMQ_DONTWAIT);
        }
        peer_sleep_ms(PEER_MARK_MS);
    }
}

static void
produce(load_peer_t *self)
{
    const bench_options_t *options = self->options;
    board_t *board = self->board;
    bool exact = options->messages > 0, paced = options->rate > 0;
    uint64_t quota = exact ? peer_quota(options, self->index) : UINT64_MAX, number = 0;
    stamp_t stamp = { .kind = PAYLOAD_WARM, .producer = (unsigned)self->index };
    pacer_t pacer = pacer_new(options->rate, (size_t)options->producers, self->index);

    for (phase_t phase; (phase = board_phase(board)) < PHASE_STOP;) {
        if (phase == PHASE_RUN && stamp.kind == PAYLOAD_WARM) {
            stamp.kind = PAYLOAD_DATA;
            number = 0;
        }
        if (stamp.kind == PAYLOAD_DATA && number == quota)
            break;
        if (paced && !pacer_wait(&pacer, PEER_LOOK_MS))
            continue;
        stamp.number = (uint32_t)number;
        stamp.tag = topic_of(options, number);
        stamp.time_ns = paced ? pacer_due(&pacer) : number % PEER_SAMPLE ? 0 : clock_mono_ns();
        if (peer_send(self, &stamp, 0) == -1)
            continue; // full: look at the phase, try again, and the due time stays
        pacer_next(&pacer);
        number++;
        if (stamp.kind == PAYLOAD_DATA)
            peer_count(&self->slot->sent);
    }
}

void
stream_produce(load_peer_t *self)
{
    peer_open(self, self->options->pattern->producer);
    if (!peer_failed(self)) {
        send_marks(self);
        produce(self);
    }
    peer_done(self);
    peer_close(self);
}

static void
subscribe(load_peer_t *self)
{
    unsigned char topic[512];
    for (unsigned i = 0; i < (unsigned)self->options->topics; i++)
        if (subscribes(self->options, self->index, i)) {
            size_t size = payload_topic(self->payload, i, topic, sizeof topic);
            zmq_setsockopt(self->socket, ZMQ_SUBSCRIBE, topic, size);
        }
}

// Marks: SEEN[p] for each producer met. A subscriber is ready when it heard all
// of them, anybody else after the first one.
static void
note_mark(load_peer_t *self, const stamp_t *stamp, bool *seen, size_t *missing)
{
    if (!seen[stamp->producer]) {
        seen[stamp->producer] = true;
        --*missing;
        atomic_store(&board_producer(self->board, stamp->producer)->met, true);
    }
    bool needs_all = self->options->pattern->consumer == ZMQ_SUB || self->where.all;
    if ((*missing == 0 || !needs_all) && atomic_load(&self->slot->state) < SLOT_SYNCED)
        atomic_store(&self->slot->state, SLOT_SYNCED);
}

// LAST[p] is the number of the producer's last message here, -1 before the first.
static void
note_data(load_peer_t *self, const stamp_t *stamp, int64_t *last)
{
    board_slot_t *slot = self->slot;
    bool again = board_note(self->board, self->index, stamp->producer, stamp->number);
    if (again || stamp->number == last[stamp->producer]) {
        slot->doubled += !self->again; // a job that says that it comes again may do so
        return;
    }
    if (stamp->number < last[stamp->producer] && !self->again)
        slot->reordered++;
    else
        last[stamp->producer] = stamp->number;
    if (stamp->time_ns) {
        int64_t now = clock_mono_ns();
        hist_add(&slot->latency, now - stamp->time_ns);
        atomic_store_explicit(&slot->last_ns, (uint64_t)now, memory_order_relaxed);
    }
    peer_count(&slot->received);
}

// What is known of the producers.
typedef struct {
    bool *seen;
    size_t missing;
    int64_t *last;
} met_t;

static void
take(load_peer_t *self, const stamp_t *stamp, bool good, met_t *met)
{
    if (!good) {
        self->slot->corrupt++;
        return;
    }
    if (stamp->kind == PAYLOAD_SYNC) {
        note_mark(self, stamp, met->seen, &met->missing);
        return;
    }
    peer_count(&self->slot->moved);
    if (stamp->kind == PAYLOAD_DATA)
        note_data(self, stamp, met->last);
    peer_work(self);
}

// A worker that has heard nothing asks again: the broker may be another one.
static void
consume(load_peer_t *self)
{
    size_t producers = self->board->producers;
    met_t met = { xcalloc(producers + 1, sizeof *met.seen), producers, xcalloc(producers + 1, sizeof *met.last) };
    for (size_t i = 0; i < producers; i++)
        met.last[i] = -1;
    while (board_phase(self->board) < PHASE_END) {
        stamp_t stamp;
        int got = peer_receive(self, &stamp, 0);
        if (got != -1)
            take(self, &stamp, got, &met);
        if (self->gets_jobs)
            got == -1 ? peer_ready(self, self->options->outstanding) : peer_job_done(self);
    }
    free(met.last);
    free(met.seen);
}

void
stream_consume(load_peer_t *self)
{
    peer_open(self, self->options->pattern->consumer);
    if (!peer_failed(self)) {
        if (self->options->pattern->consumer == ZMQ_SUB)
            subscribe(self);
        self->gets_jobs = self->options->ack;
        if (self->gets_jobs)
            peer_ready(self, self->options->outstanding);
        consume(self);
    }
    peer_done(self);
    peer_close(self);
}
