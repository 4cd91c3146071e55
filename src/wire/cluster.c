// SPDX-License-Identifier: MPL-2.0
#include "wire/cluster.h"

#include "base/bell.h"
#include "base/mem.h"
#include "store/jetstream.h"
#include "store/node.h"
#include "wire/arrival.h"
#include "wire/handed.h"
#include "wire/outbox.h"
#include "wire/port.h"
#include "wire/pump.h"
#include "wire/workers.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

enum {
    PATIENCE_MS = 1000, // a message that no worker here has room for goes to another machine after it
    PARTING_MS = 200,   // in which the servers hear what we give back at the end
};

struct cluster {
    wire_t *wire;
    wport_t port; // has no peers, but a stream
    side_counters_t counters;
    watched_t watched;
    int bell;
    jetstream_t *jetstream;
    outbox_t *outbox; // what waits for it
    char *prefix;     // of the subjects, where each topic has one
    jetstream_message_t *in_hand;
    int64_t in_hand_ms;
    handed_set_t *handed; // of a streamer
    bool is_ready;        // its stream, as we have heard
    bool acked_first;     // whose turn it is of plain and acknowledged workers, while both want messages
    letterbox_t *letters; // NULL: it has no acknowledged workers
    int64_t kept_ms;      // when the stream heard last of those that are held
    uint32_t wants;
    char failure[300];
};

// --- into the stream ---------------------------------------------------------------------

static cluster_t *
cluster_of(const wport_t *port)
{
    return port->own;
}

static given_t
give(wport_t *port, const piece_t *piece)
{
    outbox_t *outbox = cluster_of(port)->outbox;
    given_t given = outbox_put(outbox, piece);
    outbox_turn(outbox);
    return given;
}

static bool
pump_to_outbox(conn_t *conn, wport_t *to)
{
    piece_t piece;
    int rc = 0;
    outbox_t *outbox = cluster_of(to)->outbox;
    while (!conn->broken && (rc = input_next(conn, &piece)) == 1) {
        if (outbox_put(outbox, &piece) == NO_ROOM) {
            pump_wait(conn, &piece);
            break;
        }
        pump_received(conn, &piece);
    }
    outbox_turn(outbox);
    return rc == 0 && !conn->broken;
}

static const socktype_t socktype_stream = { .type = -1, .between = true, .give = give, .pump = pump_to_outbox };

static void
outbox_changed(wire_t *wire)
{
    port_unpark_all(&wire->cluster->port);
}

// --- out of the stream -----------------------------------------------------------------------

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

// What acknowledged workers know a message by: nobody but this thread has the pointer.
static uint64_t
number_of(const handed_t *handed)
{
    return (uint64_t)(uintptr_t)handed;
}

static handed_t *
of_number(uint64_t number)
{
    return (handed_t *)(uintptr_t)number;
}

static void
hold(cluster_t *self, handed_t *handed)
{
    jetstream_hold(self->jetstream, self->in_hand);
    handed->message = self->in_hand;
    self->in_hand = NULL;
    self->wants -= self->wants > 0 && self->wants != JETSTREAM_ANY;
}

// False: they want none.
static bool
give_acked(cluster_t *self, const piece_t *piece, const jetstream_arrival_t *in, handed_t *handed)
{
    wire_t *wire = self->wire;
    if (workers_wanted(wire) == 0)
        return false;
    uint64_t before = in->tries > 0 ? in->tries - 1 : 0;
    before = before > handed->tries ? before : handed->tries;
    handed->tries = before < UINT32_MAX ? (uint32_t)before + 1 : UINT32_MAX;
    store_message_t message = { .sequence = number_of(handed),
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
    bool acked_first = self->acked_first;
    self->acked_first = !acked_first;
    if (handed && acked_first && give_acked(self, piece, in, handed))
        return GIVEN;
    given_t given = port_give(backend, piece);
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

static void
take(cluster_t *self)
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

void
cluster_room(wire_t *wire)
{
    if (!wire->cluster)
        return;
    outbox_turn(wire->cluster->outbox);
    take(wire->cluster);
}

// --- acknowledged workers -----------------------------------------------------------------------

void
cluster_done(wire_t *wire, uint64_t number, bool done)
{
    cluster_t *self = wire->cluster;
    handed_t *handed = of_number(number);
    handed->done = done;
    jetstream_done(self->jetstream, &handed->message, done);
    handed_release(self->handed, handed);
}

letterbox_t *
cluster_letters(const wire_t *wire)
{
    return wire->cluster->letters;
}

void
cluster_hear_others(wire_t *wire)
{
    if (!wire->cluster || !wire->cluster->letters)
        return;
    workers_letters(wire);
    take(wire->cluster);
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

static void
give_back_held(cluster_t *self)
{
    handed_t *handed;
    while (self->handed && (handed = handed_held(self->handed)))
        cluster_done(self->wire, number_of(handed), false);
}

// --- acknowledged producers ---------------------------------------------------------------------

store_t *
cluster_store(const wire_t *wire)
{
    return outbox_store(wire->cluster->outbox);
}

// One that the stream would not take is refused now, when its producer can be told.
store_put_t
cluster_put(wire_t *wire, const store_put_in_t *message, uint64_t *sequence)
{
    size_t most = jetstream_most(wire->cluster->jetstream);
    if (message->size > most)
        return most == JETSTREAM_UNKNOWN ? STORE_NO_ROOM : STORE_TOO_LARGE;
    wire->made_room = true; // the store has its turn in this round
    return store_put(cluster_store(wire), message, sequence);
}

uint64_t
cluster_acknowledged(const wire_t *wire)
{
    return outbox_acknowledged(wire->cluster->outbox);
}

// --- how the stream is -------------------------------------------------------------------------

static void
look_at_stream(cluster_t *self)
{
    jetstream_state_t state;
    jetstream_state(self->jetstream, &state);
    counter_set(&self->wire->counters->store.server, state.ready ? state.number : 0);
    self->is_ready = state.ready;
    if (!state.failed || *self->failure)
        return;
    snprintf(self->failure, sizeof self->failure, "%s", state.reason);
    routethread_end_now(&self->wire->base.thread);
}

static void
on_bell(watched_t *watched, uint32_t events)
{
    cluster_t *self = (cluster_t *)((char *)watched - offsetof(cluster_t, watched));
    (void)events;
    bell_hear(self->bell);
    look_at_stream(self);
    outbox_hear(self->outbox);
    take(self);
}

void
cluster_tick(wire_t *wire)
{
    cluster_t *self = wire->cluster;
    if (!self)
        return;
    take(self);
    keep_held(self);
    if (!self->prefix && self->wants == 0 && wire->now_ms - self->in_hand_ms >= PATIENCE_MS)
        give_back(self);
}

const char *
cluster_failure(const route_t *self)
{
    const cluster_t *cluster = ((const wire_t *)self)->cluster;
    return cluster && *cluster->failure ? cluster->failure : NULL;
}

// What the servers do not take is on the disk, and goes there later.
bool
cluster_waits(const wire_t *wire)
{
    const cluster_t *self = wire->cluster;
    jetstream_state_t state;
    if (!self || *self->failure)
        return false;
    jetstream_state(self->jetstream, &state);
    return state.ready && !outbox_is_empty(self->outbox);
}

uint64_t
cluster_close_outbox(wire_t *wire, int64_t wait_ms)
{
    cluster_t *self = wire->cluster;
    if (!self)
        return 0;
    workers_end(wire);
    give_back(self);
    give_back_held(self);
    jetstream_end(self->jetstream, PARTING_MS);
    letterbox_close(&self->letters);
    return outbox_close(&self->outbox, wait_ms);
}

// --- life ----------------------------------------------------------------------------------------

static void
open_port(cluster_t *self)
{
    wire_t *wire = self->wire;
    const side_conf_t *backend = &wire->conf->sides[SIDE_BACKEND];
    self->port = (wport_t){ .wire = wire,
                            .side = SIDE_BACKEND,
                            .socktype = &socktype_stream,
                            .counters = &self->counters,
                            .conf = backend,
                            .own = self };
    self->port.parked_end = &self->port.parked;
    if (backend->type == ZMQ_PUSH)
        self->handed = handed_new();
    else
        self->prefix = xstrdup(wire->conf->nats.subject);
}

static int
connect_stream(cluster_t *self, diag_t *diag)
{
    const route_conf_t *conf = self->wire->conf;
    jetstream_setup_t setup = { .conf = conf, .bell = self->bell };
    if (node_of(conf->store_dir, setup.node, diag, conf->place) == -1)
        return -1;
    self->jetstream = self->bell == -1 ? NULL : jetstream_open(&setup);
    if (self->jetstream)
        return 0;
    diag_error(diag, conf->place, "[route %s] store = nats: %s", conf->name, strerror(errno));
    return -1;
}

int
cluster_open(wire_t *wire, diag_t *diag)
{
    if (!route_conf_is_shared(wire->conf))
        return 0;
    cluster_t *self = wire->cluster = xcalloc(1, sizeof *self);
    self->wire = wire;
    self->watched.ready = on_bell;
    self->bell = bell_new();
    open_port(self);
    self->outbox = outbox_open(wire, outbox_changed, diag);
    return self->outbox && connect_stream(self, diag) == 0 ? 0 : -1;
}

void
cluster_begin(wire_t *wire)
{
    cluster_t *self = wire->cluster;
    if (!self)
        return;
    outbox_begin(self->outbox, self->jetstream, self->prefix);
    loop_watch(&wire->loop, self->bell, EPOLLIN, &self->watched);
    if (wire->ports[SIDE_WORKER_ACK].socktype && wire->services->letters)
        self->letters = letterbox_open(wire->services->letters, wire->name, wire->base.thread.bell);
}

void
cluster_configure(wire_t *wire)
{
    if (wire->cluster)
        outbox_configure(wire->cluster->outbox);
}

void
cluster_close(wire_t *wire)
{
    cluster_t *self = wire->cluster;
    if (!self)
        return;
    outbox_close(&self->outbox, 0);
    jetstream_close(&self->jetstream);
    if (self->bell != -1)
        close(self->bell);
    handed_free(&self->handed);
    free(self->prefix);
    free(self);
    wire->cluster = NULL;
}

wport_t *
cluster_port(wire_t *wire)
{
    return wire->cluster ? &wire->cluster->port : NULL;
}
