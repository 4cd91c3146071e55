// SPDX-License-Identifier: MPL-2.0
#include "wire/outbox.h"

#include "base/mem.h"
#include "store/store.h"
#include "store/subject.h"
#include "wire/acks.h"
#include "wire/arrival.h"
#include "wire/conn.h"
#include "wire/kept.h"
#include "wire/port.h"
#include "wire/storage.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    watched_t watched; // first
    outbox_t *outbox;
} outbox_news_t;

typedef struct {
    uint64_t sequence;
    bool settled;
} flight_t;

struct outbox {
    wire_t *wire;
    store_t *store;
    store_figures_t counted; // so far
    outbox_news_t news[STORE_FDS];
    void (*changed)(wire_t *wire);
    jetstream_t *jetstream; // NULL: not begun
    const char *prefix;
    flight_t *flights; // published and not settled, and the settled ones between them: in order
    size_t first, count, room;
    uint64_t published; // the last one
    bool stopped;
    uint64_t written; // once stopped: what is below it was put
};

// --- to the stream ---------------------------------------------------------------------

static void
take_off(outbox_t *self, uint64_t sequence)
{
    if (self->first > self->count / 2) {
        self->count -= self->first;
        memmove(self->flights, self->flights + self->first, self->count * sizeof *self->flights);
        self->first = 0;
    }
    mem_grow(self->flights, self->count, self->room);
    self->flights[self->count++] = (flight_t){ sequence, false };
    self->published = sequence;
}

static int
by_sequence(const void *left, const void *right)
{
    const flight_t *a = left, *b = right;
    return a->sequence < b->sequence ? -1 : a->sequence > b->sequence;
}

static void
land(outbox_t *self, uint64_t sequence)
{
    flight_t wanted = { sequence, false };
    flight_t *flight =
        bsearch(&wanted, self->flights + self->first, self->count - self->first, sizeof wanted, by_sequence);
    flight->settled = true;
    while (self->first < self->count && self->flights[self->first].settled)
        self->first++;
}

static bool
flies(const outbox_t *self)
{
    return self->first < self->count;
}

static void
publish(outbox_t *self, const store_message_t *message)
{
    text_t subject = { 0 };
    frame_head_t head = { 0 };
    jetstream_piece_t out = { .sequence = message->sequence,
                              .framed = true,
                              .again = store_had(self->store, message->sequence),
                              .data = message->data,
                              .size = message->size };
    frame_read(message->data, message->size, &head);
    if (self->prefix) {
        bytes_t topic = arrival_topic(kept_first(message->data, message->size), self->wire->conf->topic_end);
        subject_of(&subject, self->prefix, topic.at, topic.size);
        out.subject = subject.data;
    } else if (head.head + head.body == message->size) { // one frame: as others write it, too
        out.framed = false;
        out.data = message->data + head.head;
        out.size = head.body;
    }
    jetstream_publish(self->jetstream, &out);
    take_off(self, message->sequence);
    text_free(&subject);
}

static void
feed(outbox_t *self)
{
    store_message_t message;
    while (!self->stopped && store_next(self->store, &message) && jetstream_has_room(self->jetstream, message.size)) {
        publish(self, &message);
        store_pass(self->store);
    }
}

static void
settle(outbox_t *self)
{
    uint64_t sequence;
    jetstream_outcome_t outcome;
    while (jetstream_settled(self->jetstream, &sequence, &outcome)) {
        if (outcome == JETSTREAM_TOO_LARGE)
            port_drop(&self->wire->ports[SIDE_BACKEND], DROP_UNDELIVERABLE, 1);
        store_done(self->store, sequence);
        land(self, sequence);
    }
}

void
outbox_hear(outbox_t *self)
{
    settle(self);
    acks_committed(self->wire);
    feed(self);
    store_turn(self->store);
    storage_tell(self->wire, self->store, &self->counted);
}

static void
hear_store(watched_t *watched, uint32_t events)
{
    outbox_t *self = ((outbox_news_t *)watched)->outbox;
    (void)events;
    store_hear(self->store);
    outbox_hear(self);
    self->changed(self->wire);
}

bool
outbox_is_empty(const outbox_t *self)
{
    return !flies(self) && store_is_passed(self->store);
}

uint64_t
outbox_acknowledged(const outbox_t *self)
{
    if (flies(self))
        return self->flights[self->first].sequence;
    if (store_is_passed(self->store))
        return store_next_sequence(self->store);
    return self->published > 0 ? self->published + 1 : 0;
}

void
outbox_stop(outbox_t *self)
{
    self->stopped = true;
    self->written = store_next_sequence(self->store);
}

bool
outbox_is_written(outbox_t *self)
{
    store_hear(self->store);
    store_hurry(self->store);
    return store_committed(self->store) >= self->written;
}

bool
outbox_has_landed(const outbox_t *self)
{
    return !flies(self);
}

// --- what comes in -----------------------------------------------------------------------

given_t
outbox_put(outbox_t *self, const piece_t *piece)
{
    const store_put_in_t in = { .data = piece->chunk->data + piece->at,
                                .size = piece->size,
                                .payload = piece->load.payload,
                                .must = self->wire->draining };
    uint64_t sequence;
    store_put_t taken = store_put(self->store, &in, &sequence);
    if (taken == STORE_NO_ROOM)
        return NO_ROOM;
    if (taken != STORE_TOO_LARGE)
        return GIVEN;
    conn_break(piece->from, CUT_TOO_LARGE, "a message of %zu bytes is too large for the store", piece->size);
    return DROPPED;
}

store_t *
outbox_store(const outbox_t *self)
{
    return self->store;
}

void
outbox_turn(outbox_t *self)
{
    store_turn(self->store);
}

// --- life --------------------------------------------------------------------------------

outbox_t *
outbox_open(wire_t *wire, void (*changed)(wire_t *wire), diag_t *diag)
{
    store_conf_t conf = storage_conf(wire);
    store_t *store = store_open(wire->name, &conf, diag, wire->conf->place);
    if (!store)
        return NULL;
    outbox_t *self = xcalloc(1, sizeof *self);
    self->wire = wire;
    self->store = store;
    self->changed = changed;
    return self;
}

void
outbox_begin(outbox_t *self, jetstream_t *jetstream, const char *prefix)
{
    self->jetstream = jetstream;
    self->prefix = prefix;
    const store_memory_t memory = storage_memory(self->wire);
    store_begin(self->store, &memory);
    for (unsigned i = 0; i < STORE_FDS; i++) {
        self->news[i] = (outbox_news_t){ { hear_store }, self };
        loop_watch(&self->wire->loop, store_fd(self->store, i), EPOLLIN, &self->news[i].watched);
    }
}

void
outbox_configure(outbox_t *self)
{
    store_conf_t conf = storage_conf(self->wire);
    store_change(self->store, &conf);
}

uint64_t
outbox_close(outbox_t **self_p, int64_t wait_ms)
{
    outbox_t *self = *self_p;
    if (!self)
        return 0;
    if (self->jetstream) {
        settle(self);
        storage_tell(self->wire, self->store, &self->counted);
        for (unsigned i = 0; i < STORE_FDS; i++)
            loop_forget(&self->wire->loop, store_fd(self->store, i), &self->news[i].watched);
    }
    uint64_t lost = store_close(&self->store, wait_ms);
    free(self->flights);
    free(self);
    *self_p = NULL;
    return lost;
}
