// SPDX-License-Identifier: MPL-2.0
#include "wire/stored_internal.h"

#include "base/clock.h"
#include "wire/acks.h"
#include "wire/cluster.h"
#include "wire/output.h"
#include "wire/piece.h"
#include "wire/port.h"
#include "wire/workers.h"

#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

enum { SETTLE_TURN_MS = 50 };

static bool
is_written(stored_t *self, uint64_t put_before, uint64_t said)
{
    store_hear(self->store);
    store_hurry(self->store);
    return store_committed(self->store) >= put_before && store_reached(self->store) >= said;
}

// It is not done. Where its file is about to go, or has gone, it waits for the workers beside the store.
static void
undo(stored_t *self, uint64_t sequence, const piece_t *piece)
{
    wport_t *workers = self->workers;
    if (store_undo(self->store, sequence))
        return;
    piece_queue(&workers->returned, &workers->wire->pool, piece);
    workers->queued.messages += piece->load.messages;
    workers->queued_bytes += piece->size;
    port_count(workers);
}

// What was promised to workers and not given is not done.
static void
take_back(stored_t *self)
{
    store_message_t message;
    for (; self->count > 0; delivery_drop_run(self))
        for (run_t *run = stored_run(self, 0); run->load.messages > 0;) {
            piece_t piece = delivery_first(run);
            undo(self, run->first, &piece);
            delivery_pass(run, &piece);
        }
    while (store_next(self->store, &message)) {
        chunk_t *chunk = message.block;
        piece_t piece = { .chunk = chunk,
                          .at = (size_t)(message.data - chunk->data),
                          .size = message.size,
                          .load = { 1, message.payload } };
        if (message.done)
            undo(self, message.sequence, &piece);
        store_pass(self->store);
    }
    self->claimed = self->ahead = 0;
}

void
stored_settle(wire_t *wire, int64_t wait_ms)
{
    stored_t *self = wire->stored;
    if (!self || self->settled)
        return;
    int64_t end = clock_mono_ms() + wait_ms;
    workers_end(wire);
    uint64_t put_before = store_next_sequence(self->store), said = store_said(self->store);
    delivery_give(self);
    self->settled = true;
    while (!is_written(self, put_before, said) && clock_mono_ms() < end)
        poll(&(struct pollfd){ store_fd(self->store, 0), POLLIN, 0 }, 1, SETTLE_TURN_MS);
    acks_committed(wire);
    take_back(self);
    stored_count(self);
}

// It had been given to a worker before anything that is in the store was.
static given_t
keep_early(stored_t *self, const piece_t *piece)
{
    const store_put_in_t in = { .data = piece->chunk->data + piece->at,
                                .size = piece->size,
                                .payload = piece->load.payload,
                                .must = true,
                                .early = true };
    uint64_t sequence;
    return store_put(self->store, &in, &sequence) == STORE_TAKEN ? GIVEN : DROPPED;
}

static given_t
keep_one(wire_t *wire, const piece_t *piece)
{
    return wire->cluster ? cluster_keep(wire, piece) : keep_early(wire->stored, piece);
}

static void
keep(wport_t *workers, spans_t *spans)
{
    piece_t piece = { 0 };
    wire_t *wire = workers->wire;
    while (spans_take(spans, &wire->pool, &piece.chunk, &piece.at, &piece.size, &piece.load)) {
        if (piece.load.messages > 0 && keep_one(wire, &piece) != GIVEN)
            port_drop(workers, DROP_SHUTDOWN, piece.load.messages);
        chunk_drop(piece.chunk);
    }
    spans_clear(spans);
}

// They come before what is on the disk, and after what is in the stream already.
void
stored_keep_queues(wire_t *wire)
{
    wport_t *workers = &wire->ports[SIDE_BACKEND];
    if (!wire->stored && !cluster_has_workers(wire))
        return;
    workers->queued.messages -= workers->returned.load.messages;
    workers->queued_bytes -= workers->returned.bytes;
    keep(workers, &workers->returned);
    for (conn_t *conn = workers->conns; conn; conn = conn->next) {
        spans_t unbegun = { 0 };
        load_t lost = output_abandon(conn, &unbegun);
        wire->left.undelivered += lost.messages;
        keep(workers, &unbegun);
    }
}

uint64_t
stored_close(wire_t *wire, int64_t wait_ms)
{
    stored_t *self = wire->stored;
    if (!self)
        return 0;
    if (self->begun) {
        stored_settle(wire, wait_ms);
        workers_end(wire);
        deadletters_free(&self->deadletters);
        for (unsigned i = 0; i < STORE_FDS; i++)
            loop_forget(&wire->loop, store_fd(self->store, i), &self->news[i].watched);
        loop_forget(&wire->loop, self->timer, &self->patience.watched);
        stored_count(self);
    }
    port_write_all(wire); // the port of its own is among those that have something to write
    uint64_t lost = store_close(&self->store, wait_ms);
    close(self->timer);
    free(self->runs);
    free(self);
    wire->stored = NULL;
    wire->ledger = NULL;
    return lost;
}
