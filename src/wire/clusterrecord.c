// SPDX-License-Identifier: MPL-2.0
// clusterrecord.c - how a cluster goes from one route to the next, of the same stream; see cluster.h.

#include "wire/cluster_internal.h"

#include "base/bell.h"
#include "base/clock.h"
#include "base/mem.h"
#include "wire/workers.h"

#include <poll.h>
#include <string.h>

enum {
    PAUSE_MS = 80, // for which the servers may hold up all routes that go to another program
    LAND_MS = 40,  // of it, for what was published and is not acknowledged
    TURN_MS = 10,
};

// Never used for anything else again.
enum {
    TAG_BEGAN = 1,
    TAG_SEQUENCE,
    TAG_MADE,
    TAG_ARRIVED, // a message that nobody has got
    TAG_TRIES,
    TAG_MESSAGE,
    TAG_PAST, // of past_t, one behind the other
};

// A message that a worker has had.
typedef struct {
    uint64_t sequence, tries, done;
    int64_t stored_ns;
} past_t;

// --- who may go on -----------------------------------------------------------------------

static bool
is_same_text(const char *left, const char *right)
{
    return left == right || (left && right && strcmp(left, right) == 0);
}

// What a forwarder remembers of the stream is what it has read of it.
static bool
remembers_alike(const route_conf_t *left, const route_conf_t *right)
{
    return left->last_value == right->last_value && left->topic_end == right->topic_end &&
           left->replay_messages == right->replay_messages && left->replay_bytes == right->replay_bytes &&
           left->replay_time_ms == right->replay_time_ms;
}

bool
cluster_may_go_on(const wire_t *self, const route_conf_t *successor)
{
    const nats_conf_t *ours = &self->conf->nats, *theirs = &successor->nats;
    if (!self->cluster || !route_conf_is_shared(successor))
        return !self->cluster && !route_conf_is_shared(successor);
    return is_same_text(ours->servers, theirs->servers) && is_same_text(ours->stream, theirs->stream) &&
           is_same_text(ours->subject, theirs->subject) && remembers_alike(self->conf, successor);
}

// --- the end here ------------------------------------------------------------------------

// Producers hear what is decided meanwhile.
static void
settle(cluster_t *self, int64_t wait_ms)
{
    int64_t begin_ms = clock_mono_ms(), gone_ms = 0;
    outbox_stop(self->outbox);
    for (;;) {
        outbox_hear(self->outbox);
        bool lands = self->is_ready && !outbox_has_landed(self->outbox) && gone_ms < LAND_MS;
        if (!lands && (outbox_is_written(self->outbox) || gone_ms >= wait_ms))
            return;
        struct pollfd news[] = { { .fd = store_fd(outbox_store(self->outbox), 0), .events = POLLIN },
                                 { .fd = self->bell, .events = POLLIN } };
        poll(news, COUNT(news), TURN_MS);
        bell_hear(self->bell);
        gone_ms = clock_mono_ms() - begin_ms;
    }
}

// What came from the stream, where it is given out once only.
static void
save_arrived(cluster_t *self, record_t *to)
{
    while (!self->prefix && (self->in_hand || (self->in_hand = jetstream_take(self->jetstream)))) {
        size_t opened = record_open(to, TAG_ARRIVED);
        jetstream_save(self->jetstream, self->in_hand, true, to);
        record_close(to, opened);
        jetstream_forget(self->jetstream, &self->in_hand);
    }
}

// The servers may not have heard of it, and give it out again.
static void
save_past(const cluster_t *self, record_t *to)
{
    size_t opened = record_open(to, TAG_PAST);
    const handed_t *handed = self->handed ? handed_past(self->handed) : NULL;
    for (; handed; handed = handed->next) {
        const past_t past = { handed->sequence, handed->tries, handed->done, handed->stored_ns };
        record_add(to, &past, sizeof past);
    }
    record_close(to, opened);
}

static void
save_place(const cluster_t *self, record_t *to)
{
    jetstream_place_t place;
    jetstream_place(self->jetstream, &place);
    record_number(to, TAG_BEGAN, place.began);
    record_number(to, TAG_SEQUENCE, place.sequence);
    record_number(to, TAG_MADE, (uint64_t)place.made);
}

uint64_t
cluster_hand_over(wire_t *wire, int64_t wait_ms, record_t *to)
{
    cluster_t *self = wire->cluster;
    if (!self)
        return 0;
    self->part_by_ms = clock_mono_ms() + PAUSE_MS;
    settle(self, wait_ms);
    jetstream_hush(self->jetstream, self->part_by_ms - clock_mono_ms());
    workers_end(wire);
    save_arrived(self, to);
    save_past(self, to);
    save_place(self, to);
    return outbox_close(&self->outbox, wait_ms);
}

void
clusterrecord_save_held(wire_t *wire, uint64_t number, record_t *to)
{
    cluster_t *self = wire->cluster;
    handed_t *handed = handed_of_number(number);
    record_number(to, TAG_TRIES, handed->tries);
    size_t opened = record_open(to, TAG_MESSAGE);
    jetstream_save(self->jetstream, handed->message, false, to);
    record_close(to, opened);
    jetstream_forget(self->jetstream, &handed->message);
    handed_release(self->handed, handed);
}

// --- and again there ---------------------------------------------------------------------

static handed_t *
restore_handed(cluster_t *self, const past_t *past)
{
    const jetstream_arrival_t in = { .piece.sequence = past->sequence, .stored_ns = past->stored_ns };
    handed_t *handed = handed_again(self->handed, &in);
    handed->tries = past->tries < UINT32_MAX ? (uint32_t)past->tries : UINT32_MAX;
    handed->done = past->done;
    return handed;
}

static void
restore_past(cluster_t *self, const record_field_t *field)
{
    past_t past;
    for (size_t at = 0; self->handed && field->size - at >= sizeof past; at += sizeof past) {
        memcpy(&past, field->at + at, sizeof past);
        restore_handed(self, &past);
    }
}

void
cluster_restore(wire_t *wire, record_fields_t from)
{
    cluster_t *self = wire->cluster;
    record_field_t field;
    if (!self)
        return;
    self->place = (jetstream_place_t){ .began = record_number_of(from, TAG_BEGAN, 1),
                                       .sequence = record_number_of(from, TAG_SEQUENCE, INT64_MAX),
                                       .made = (int64_t)record_number_of(from, TAG_MADE, INT64_MAX) };
    while (record_next(&from, &field))
        if (field.tag == TAG_ARRIVED)
            jetstream_restore(self->jetstream, record_inside(&field), false);
        else if (field.tag == TAG_PAST)
            restore_past(self, &field);
}

uint64_t
clusterrecord_restore_held(wire_t *wire, record_fields_t from)
{
    cluster_t *self = wire->cluster;
    record_field_t field;
    jetstream_arrival_t in;
    if (!self->handed || !record_find(from, TAG_MESSAGE, &field))
        return 0;
    jetstream_message_t *message = jetstream_restore(self->jetstream, record_inside(&field), true);
    if (!message)
        return 0;
    jetstream_look(self->jetstream, message, &in);
    const past_t past = { .sequence = in.piece.sequence,
                          .tries = record_number_of(from, TAG_TRIES, UINT32_MAX),
                          .stored_ns = in.stored_ns };
    handed_t *handed = restore_handed(self, &past);
    handed->message = message;
    handed_hold(self->handed, handed);
    return handed_number(handed);
}
