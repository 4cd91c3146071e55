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

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

enum { PATIENCE_MS = 1000 }; // a message that no worker here has room for goes to another machine after it

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

static given_t
hand_over(cluster_t *self, const arrival_t *arrival)
{
    wport_t *backend = &self->wire->ports[SIDE_BACKEND];
    size_t size = arrival->head.size + arrival->size;
    chunk_t *chunk = chunk_new(&self->wire->pool, size);
    if (arrival->head.size > 0)
        memcpy(chunk->data, arrival->head.data, arrival->head.size);
    if (arrival->size > 0)
        memcpy(chunk->data + arrival->head.size, arrival->data, arrival->size);
    chunk->size = size;
    piece_t piece = { .chunk = chunk, .size = size, .load = arrival->load };
    given_t given = port_give(backend, &piece);
    chunk_drop(chunk);
    return given;
}

static given_t
give_out(cluster_t *self, const jetstream_arrival_t *in)
{
    arrival_t arrival;
    arrival_rules_t rules = rules_of(self);
    bool fits = arrival_read(&arrival, &in->piece, &rules);
    if (!fits)
        port_drop(&self->port, DROP_UNDELIVERABLE, 1);
    given_t given = fits ? hand_over(self, &arrival) : DROPPED;
    text_free(&arrival.head);
    return given;
}

// False: nobody has room for the one in hand.
static bool
deliver(cluster_t *self)
{
    jetstream_arrival_t in;
    jetstream_look(self->jetstream, self->in_hand, &in);
    handed_t *handed = self->handed ? handed_meet(self->handed, &in) : NULL;
    bool had = handed && handed->done;
    if (!had && give_out(self, &in) == NO_ROOM)
        return false;
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

static bool
has_takers(const cluster_t *self)
{
    const wport_t *backend = &self->wire->ports[SIDE_BACKEND];
    return may_deliver(self->wire) && (self->prefix || backend->ready > 0);
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
    while (has_takers(self) && (self->in_hand || (self->in_hand = jetstream_take(self->jetstream))))
        if (!deliver(self))
            break;
    want(self, has_takers(self) ? UINT32_MAX : 0);
    if (!self->prefix && self->wants == 0 && (self->wire->ports[SIDE_BACKEND].count == 0 || !may_deliver(self->wire)))
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
    give_back(self);
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
