// SPDX-License-Identifier: MPL-2.0
#include "wire/arrival.h"
#include "wire/cluster_internal.h"
#include "wire/port.h"
#include "wire/workers.h"

#include <string.h>

enum { PATIENCE_MS = 1000 }; // a message that no worker here has room for goes to another machine after it

static arrival_rules_t
rules_of(const cluster_t *self)
{
    const wport_t *frontend = &self->wire->ports[SIDE_FRONTEND];
    return (arrival_rules_t){ self->prefix, self->wire->conf->topic_end, frontend->max_parts, frontend->maxmsgsize };
}

static chunk_t *
chunk_of(cluster_t *self, const arrival_t *arrival)
{
    size_t size = arrival->head.size + arrival->size;
    chunk_t *chunk = chunk_new(&self->wire->pool, size);
    if (arrival->head.size > 0)
        memcpy(chunk->data, arrival->head.data, arrival->head.size);
    if (arrival->size > 0)
        memcpy(chunk->data + arrival->head.size, arrival->data, arrival->size);
    chunk->size = size;
    return chunk;
}

static void
hold(cluster_t *self, handed_t *handed)
{
    jetstream_hold(self->jetstream, self->in_hand);
    handed->message = self->in_hand;
    self->in_hand = NULL;
    self->wants -= self->wants > 0 && self->wants != JETSTREAM_ANY;
}

// How often workers may have had it already. That it is in the stream twice is no reason to give it up untried.
static uint32_t
tries_before(const cluster_t *self, const jetstream_arrival_t *in, const handed_t *handed)
{
    uint64_t before = in->tries > 0 ? in->tries - 1 : 0;
    if (in->again && before + 1 < (uint64_t)self->wire->conf->max_tries)
        before++;
    if (before < handed->tries)
        before = handed->tries;
    return before < UINT32_MAX ? (uint32_t)before : UINT32_MAX - 1;
}

// False: they want none.
static bool
give_acked(cluster_t *self, const piece_t *piece, const jetstream_arrival_t *in, handed_t *handed)
{
    wire_t *wire = self->wire;
    if (workers_wanted(wire) == 0)
        return false;
    handed->tries = tries_before(self, in, handed) + 1;
    store_message_t message = { .sequence = handed_number(handed),
                                .tries = handed->tries - 1,
                                .data = piece->chunk->data,
                                .size = piece->size,
                                .payload = piece->load.payload,
                                .block = piece->chunk };
    handed_hold(self->handed, handed);
    hold(self, handed);
    workers_take(wire, &message);
    return true;
}

// They take turns, while both want some.
static given_t
hand_over(cluster_t *self, const piece_t *piece, const jetstream_arrival_t *in, handed_t *handed)
{
    wport_t *backend = &self->wire->ports[SIDE_BACKEND];
    bool acked_first = self->acked_first, has_plain = self->prefix || backend->ready > 0;
    self->acked_first = !acked_first;
    if (handed && acked_first && give_acked(self, piece, in, handed))
        return GIVEN;
    given_t given = has_plain ? port_give(backend, piece) : NO_ROOM;
    return given == NO_ROOM && handed && !acked_first && give_acked(self, piece, in, handed) ? GIVEN : given;
}

static given_t
give_out(cluster_t *self, const jetstream_arrival_t *in, handed_t *handed)
{
    arrival_t arrival;
    arrival_rules_t rules = rules_of(self);
    given_t given = DROPPED;
    if (arrival_read(&arrival, &in->piece, &rules)) {
        chunk_t *chunk = chunk_of(self, &arrival);
        piece_t piece = { .chunk = chunk, .size = chunk->size, .load = arrival.load };
        given = hand_over(self, &piece, in, handed);
        chunk_drop(chunk);
    } else
        port_drop(&self->port, DROP_UNDELIVERABLE, 1);
    text_free(&arrival.head);
    return given;
}

// A worker here has it. The stream gives it out again if it has not heard of us for long: what is said then counts.
static void
have_again(cluster_t *self, handed_t *handed, const jetstream_arrival_t *in)
{
    if (handed->sequence != in->piece.sequence) { // the same once more
        jetstream_done(self->jetstream, &self->in_hand, true);
        return;
    }
    jetstream_forget(self->jetstream, &handed->message);
    hold(self, handed);
}

// False: nobody has room for the one in hand.
static bool
deliver(cluster_t *self)
{
    jetstream_arrival_t in;
    jetstream_look(self->jetstream, self->in_hand, &in);
    handed_t *handed = self->handed ? handed_meet(self->handed, &in) : NULL;
    if (handed && handed->message) {
        have_again(self, handed, &in);
        return true;
    }
    bool had = handed && handed->done;
    if (!had && give_out(self, &in, handed) == NO_ROOM)
        return false;
    if (!self->in_hand)
        return true; // an acknowledged worker has it
    if (handed)
        handed->done = true;
    jetstream_done(self->jetstream, &self->in_hand, true);
    return true;
}

// Others can have it.
static void
give_back(cluster_t *self)
{
    while (self->in_hand || (self->in_hand = jetstream_take(self->jetstream)))
        jetstream_done(self->jetstream, &self->in_hand, false);
}

static bool
may_deliver(const wire_t *wire)
{
    return !wire->frozen && !wire->stopped && !wire->draining && !wire->closing && !wire->is_short;
}

// How many messages would be taken.
static uint32_t
takers(const cluster_t *self)
{
    const wport_t *backend = &self->wire->ports[SIDE_BACKEND];
    if (!may_deliver(self->wire))
        return 0;
    return self->prefix || backend->ready > 0 ? JETSTREAM_ANY : workers_wanted(self->wire);
}

static bool
has_workers(const wire_t *wire)
{
    return wire->ports[SIDE_BACKEND].count > 0 || wire->ports[SIDE_WORKER_ACK].count > 0;
}

static void
want(cluster_t *self, uint32_t wanted)
{
    if (self->wants != wanted)
        jetstream_want(self->jetstream, wanted);
    self->wants = wanted;
}

void
fromstream_turn(cluster_t *self)
{
    while (takers(self) > 0 && (self->in_hand || (self->in_hand = jetstream_take(self->jetstream))))
        if (!deliver(self))
            break;
    workers_reached(self->wire);
    want(self, takers(self));
    if (!self->prefix && self->wants == 0 && !(has_workers(self->wire) && may_deliver(self->wire)))
        give_back(self);
    if (self->wants > 0 || self->in_hand_ms == 0)
        self->in_hand_ms = self->wire->now_ms;
}

// --- acknowledged workers -----------------------------------------------------------------------

void
fromstream_done(cluster_t *self, uint64_t number, bool done)
{
    handed_t *handed = handed_of_number(number);
    handed->done = done;
    jetstream_done(self->jetstream, &handed->message, done);
    handed_release(self->handed, handed);
}

// Their work may take longer than the stream waits.
static void
keep_held(cluster_t *self)
{
    if (!self->handed || self->wire->now_ms - self->kept_ms < JETSTREAM_KEEP_MS)
        return;
    self->kept_ms = self->wire->now_ms;
    for (const handed_t *handed = handed_held(self->handed); handed && self->is_ready; handed = handed->next)
        jetstream_keep(self->jetstream, handed->message);
}

void
fromstream_tick(cluster_t *self)
{
    fromstream_turn(self);
    keep_held(self);
    if (!self->prefix && self->wants == 0 && self->wire->now_ms - self->in_hand_ms >= PATIENCE_MS)
        give_back(self);
}

void
fromstream_end(cluster_t *self)
{
    handed_t *handed;
    workers_end(self->wire);
    give_back(self);
    while (self->handed && (handed = handed_held(self->handed)))
        fromstream_done(self, handed_number(handed), false);
}
