// SPDX-License-Identifier: MPL-2.0
#include "wire/cluster_internal.h"

#include "base/bell.h"
#include "base/clock.h"
#include "base/mem.h"
#include "store/node.h"
#include "wire/ledger.h"
#include "wire/port.h"
#include "wire/pump.h"
#include "wire/workers.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

enum { PARTING_MS = 200 }; // in which the servers hear what we give back at the end

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

void
cluster_room(wire_t *wire)
{
    if (!wire->cluster || wire->handed_over)
        return;
    outbox_turn(wire->cluster->outbox);
    fromstream_turn(wire->cluster);
}

void
cluster_hear_others(wire_t *wire)
{
    if (!wire->cluster || !wire->cluster->letters)
        return;
    workers_letters(wire);
    fromstream_turn(wire->cluster);
}

// --- acknowledged producers and workers -----------------------------------------------------------

static store_t *
store_of(const wire_t *wire)
{
    return outbox_store(wire->cluster->outbox);
}

// One that the stream would not take is refused now, when its producer can be told.
static store_put_t
put(wire_t *wire, const store_put_in_t *message, uint64_t *sequence)
{
    size_t most = jetstream_most(wire->cluster->jetstream);
    if (message->size > most)
        return most == JETSTREAM_UNKNOWN ? STORE_NO_ROOM : STORE_TOO_LARGE;
    wire->made_room = true; // the store has its turn in this round
    return store_put(store_of(wire), message, sequence);
}

static uint64_t
safe(const wire_t *wire)
{
    return outbox_acknowledged(wire->cluster->outbox);
}

static void
done(wire_t *wire, uint64_t number)
{
    wire->made_room = true;
    fromstream_done(wire->cluster, number, true);
}

// The stream has counted it.
static void
try(wire_t *wire, uint64_t number, uint32_t tries)
{
    (void)number;
    (void)tries;
    wire->made_room = true;
}

// What is said to it holds at once.
static uint64_t
nothing(const wire_t *wire)
{
    (void)wire;
    return 0;
}

static bool
gives_again(wire_t *wire, uint64_t number)
{
    fromstream_done(wire->cluster, number, false);
    return true;
}

static void
untry(wire_t *wire, uint64_t number, uint32_t tries)
{
    (void)tries;
    fromstream_done(wire->cluster, number, false);
}

// That comes with untry.
static void
undo(wire_t *wire, uint64_t number)
{
    (void)wire;
    (void)number;
}

static letterbox_t *
letters(const wire_t *wire)
{
    return wire->cluster->letters;
}

static const ledger_t cluster_ledger = {
    .store = store_of,
    .put = put,
    .safe = safe,
    .done = done,
    .try = try,
    .said = nothing,
    .reached = nothing,
    .gives_again = gives_again,
    .untry = untry,
    .undo = undo,
    .save = clusterrecord_save_held,
    .restore = clusterrecord_restore_held,
    .letters = letters,
};

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
    if (self->wire->handed_over)
        return;
    look_at_stream(self);
    outbox_hear(self->outbox);
    fromstream_turn(self);
}

void
cluster_tick(wire_t *wire)
{
    if (wire->cluster && !wire->handed_over)
        fromstream_tick(wire->cluster);
}

bool
cluster_is_away(const wire_t *wire, char reason[256], int64_t *since_ms)
{
    jetstream_state_t state = { .ready = true };
    if (wire->cluster)
        jetstream_state(wire->cluster->jetstream, &state);
    snprintf(reason, 256, "%s", state.reason);
    *since_ms = state.since_ms;
    return !state.ready;
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

bool
cluster_has_workers(const wire_t *wire)
{
    return wire->cluster && !wire->cluster->prefix;
}

given_t
cluster_keep(wire_t *wire, const piece_t *piece)
{
    uint64_t sequence;
    const store_put_in_t message = { .data = piece->chunk->data + piece->at,
                                     .size = piece->size,
                                     .payload = piece->load.payload,
                                     .must = true };
    return store_put(store_of(wire), &message, &sequence) == STORE_TAKEN ? GIVEN : DROPPED;
}

static int64_t
parting_ms(const cluster_t *self)
{
    return self->part_by_ms > 0 ? self->part_by_ms - clock_mono_ms() : PARTING_MS;
}

void
cluster_part(wire_t *wire)
{
    cluster_t *self = wire->cluster;
    if (!self)
        return;
    jetstream_hush(self->jetstream, parting_ms(self));
    fromstream_end(self);
    jetstream_end(self->jetstream, parting_ms(self));
    letterbox_close(&self->letters);
}

uint64_t
cluster_close_outbox(wire_t *wire, int64_t wait_ms)
{
    cluster_t *self = wire->cluster;
    if (!self || wire->handed_over)
        return 0;
    cluster_part(wire);
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
    wire->ledger = &cluster_ledger;
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
    if (wire->ports[SIDE_WORKER_ACK].socktype && wire->resources->letters)
        self->letters = letterbox_open(wire->resources->letters, wire->name, wire->base.thread.bell);
}

void
cluster_connect(wire_t *wire)
{
    if (wire->cluster)
        jetstream_begin(wire->cluster->jetstream, &wire->cluster->place);
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
    wire->ledger = NULL;
}

wport_t *
cluster_port(wire_t *wire)
{
    return wire->cluster ? &wire->cluster->port : NULL;
}
