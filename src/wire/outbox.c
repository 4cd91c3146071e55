// SPDX-License-Identifier: MPL-2.0
#include "wire/outbox.h"

#include "base/mem.h"
#include "store/store.h"
#include "store/subject.h"
#include "wire/arrival.h"
#include "wire/conn.h"
#include "wire/kept.h"
#include "wire/port.h"
#include "wire/stored.h"

#include <stdlib.h>

typedef struct {
    watched_t watched; // first
    outbox_t *outbox;
} news_t;

struct outbox {
    wire_t *wire;
    store_t *store;
    store_figures_t counted; // so far
    news_t news[STORE_FDS];
    void (*changed)(wire_t *wire);
    jetstream_t *jetstream; // NULL: not begun
    const char *prefix;
    uint64_t published;     // and not settled
};

// --- to the stream ---------------------------------------------------------------------

static void
publish(outbox_t *self, const store_message_t *message)
{
    text_t subject = { 0 };
    frame_head_t head = { 0 };
    jetstream_piece_t out = { message->sequence, NULL, true, message->data, message->size };
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
    self->published++;
    text_free(&subject);
}

static void
feed(outbox_t *self)
{
    store_message_t message;
    while (store_next(self->store, &message) && jetstream_has_room(self->jetstream, message.size)) {
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
        self->published--;
    }
}

void
outbox_hear(outbox_t *self)
{
    settle(self);
    feed(self);
    store_turn(self->store);
    stored_count(self->wire, self->store, &self->counted);
}

static void
hear_store(watched_t *watched, uint32_t events)
{
    outbox_t *self = ((news_t *)watched)->outbox;
    (void)events;
    store_hear(self->store);
    outbox_hear(self);
    self->changed(self->wire);
}

bool
outbox_is_empty(const outbox_t *self)
{
    return self->published == 0 && store_is_passed(self->store);
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

void
outbox_turn(outbox_t *self)
{
    store_turn(self->store);
}

// --- life --------------------------------------------------------------------------------

outbox_t *
outbox_open(wire_t *wire, void (*changed)(wire_t *wire), diag_t *diag)
{
    store_conf_t conf = stored_conf(wire);
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
    stored_begin_in(self->wire, self->store);
    for (unsigned i = 0; i < STORE_FDS; i++) {
        self->news[i] = (news_t){ { hear_store }, self };
        loop_watch(&self->wire->loop, store_fd(self->store, i), EPOLLIN, &self->news[i].watched);
    }
}

void
outbox_configure(outbox_t *self)
{
    store_conf_t conf = stored_conf(self->wire);
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
        stored_count(self->wire, self->store, &self->counted);
        for (unsigned i = 0; i < STORE_FDS; i++)
            loop_forget(&self->wire->loop, store_fd(self->store, i));
    }
    uint64_t lost = store_close(&self->store, wait_ms);
    free(self);
    *self_p = NULL;
    return lost;
}
