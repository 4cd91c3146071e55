// SPDX-License-Identifier: MPL-2.0
#include "wire/stored_internal.h"

#include "base/mem.h"
#include "wire/acks.h"
#include "wire/conn.h"
#include "wire/port.h"
#include "wire/pump.h"
#include "wire/storage.h"
#include "wire/workers.h"

#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include <zmq.h>

enum {
    PARTS = 256,       // messages that are taken at once
    PATIENCE_MS = 100, // overflow: a worker that has no room for that long has none
};

// --- from the producers ------------------------------------------------------------------

static bool
is_clear(const stored_t *self)
{
    return !self->spills && self->count == 0 && store_is_passed(self->store);
}

// How many messages may be put as done in this turn: none that an acknowledged worker may want, or that come behind others.
static uint64_t
budget(const stored_t *self)
{
    bool others_first = self->waiting > 0 || !store_is_read(self->store);
    return others_first || self->port.wire->ports[SIDE_WORKER_ACK].count > 0 ? 0 : delivery_room(self);
}

// How many messages producers may put in. Overflow: any number while the workers take nothing, else half as many as they
// take from the disk, so that what lies there becomes less, and producers then go at the pace of the workers.
static uint64_t
allowed(const stored_t *self)
{
    bool any = stored_keeps_all(self) || self->stuck || self->port.wire->draining;
    return any ? UINT64_MAX : self->pace / 2;
}

static void
note_put(stored_t *self, uint64_t messages, bool done)
{
    self->pace -= 2 * messages < self->pace ? 2 * messages : self->pace;
    *(done ? &self->ahead : &self->waiting) += messages;
    self->budget -= done ? messages : 0;
}

given_t
stored_take(stored_t *self, const piece_t *piece)
{
    bool done = self->budget > 0;
    const store_put_in_t in = { .data = piece->chunk->data + piece->at,
                                .size = piece->size,
                                .payload = piece->load.payload,
                                .done = done,
                                .must = self->port.wire->draining };
    uint64_t sequence;
    store_put_t taken = store_put(self->store, &in, &sequence);
    if (taken == STORE_NO_ROOM)
        return NO_ROOM;
    if (taken == STORE_TOO_LARGE) {
        conn_break(piece->from, CUT_TOO_LARGE, "a message of %zu bytes is too large for the store", piece->size);
        return DROPPED;
    }
    note_put(self, 1, done);
    return GIVEN;
}

// Overflow: what waits for the workers goes to the disk only when they have had some time.
static void
be_patient(stored_t *self)
{
    const struct itimerspec when = { .it_value = { 0, PATIENCE_MS * 1000000L } };
    if (!self->is_patient)
        timerfd_settime(self->timer, 0, &when, NULL);
    self->had_room = self->had_room && self->is_patient;
    self->is_patient = true;
}

static given_t
give_straight(stored_t *self, const piece_t *piece)
{
    given_t given = port_give(self->workers, piece);
    if (given == NO_ROOM)
        be_patient(self);
    return given;
}

static given_t
take(wport_t *port, const piece_t *piece)
{
    stored_t *self = port->wire->stored;
    if (!stored_keeps_all(self) && is_clear(self))
        return give_straight(self, piece);
    if (allowed(self) == 0) {
        be_patient(self);
        return NO_ROOM;
    }
    self->budget = budget(self);
    given_t given = stored_take(self, piece);
    store_turn(self->store);
    return given;
}

// Those that came as they will go, and for which there is room.
static void
take_many(stored_t *self, conn_t *conn)
{
    store_part_t parts[PARTS];
    bool done = self->budget > 0;
    uint64_t most = allowed(self);
    if (done && self->budget < most)
        most = self->budget;
    uint32_t count = input_parts(conn, parts, most < PARTS ? (uint32_t)most : PARTS);
    if (count == 0)
        return;
    uint32_t taken = store_put_many(self->store, conn->in->data + conn->start, parts, count, done);
    size_t size = 0;
    load_t load = { taken, 0 };
    for (uint32_t i = 0; i < taken; i++) {
        size += parts[i].size;
        load.payload += parts[i].payload;
        counter_add(&self->port.wire->counters->sizes[size_bucket(parts[i].payload)], 1);
    }
    input_take(conn, size);
    pump_counted(conn, load);
    note_put(self, taken, done);
}

static bool
pump_to_store(stored_t *self, conn_t *conn)
{
    piece_t piece;
    int rc = 0;
    self->budget = budget(self);
    while (!conn->broken) {
        take_many(self, conn);
        if ((rc = input_next(conn, &piece)) != 1)
            break;
        if (allowed(self) == 0 || stored_take(self, &piece) == NO_ROOM) {
            pump_wait(conn, &piece);
            break;
        }
        pump_received(conn, &piece);
    }
    if (conn->parked && !stored_keeps_all(self))
        be_patient(self);
    store_turn(self->store);
    return rc == 0 && !conn->broken;
}

static bool
pump_on(conn_t *conn, wport_t *to)
{
    stored_t *self = to->wire->stored;
    if (stored_keeps_all(self) || !is_clear(self) || self->workers->contended)
        return pump_to_store(self, conn);
    bool over = self->workers->socktype->pump ? self->workers->socktype->pump(conn, self->workers) : pump_singly(conn);
    if (conn->parked)
        be_patient(self);
    return over;
}

static const socktype_t socktype_stored = { .type = -1, .between = true, .give = take, .pump = pump_on };

// --- news --------------------------------------------------------------------------------

void
stored_count(stored_t *self)
{
    storage_tell(self->port.wire, self->store, &self->counted);
}

// What was said and put by the sides that speak with the store themselves.
static void
serve_acked(stored_t *self)
{
    wire_t *wire = self->port.wire;
    acks_committed(wire);
    workers_reached(wire);
    if (self->deadletters)
        deadletters_take(self->deadletters);
    if (acks_are_owed(wire))
        store_hurry(self->store); // somebody waits for it: what comes meanwhile is the next commit
    else
        store_turn(self->store);
}

static bool
has_acked(const wire_t *wire)
{
    return wire->ports[SIDE_ACK].socktype || wire->ports[SIDE_WORKER_ACK].socktype;
}

static void
go_on(stored_t *self)
{
    delivery_go_on(self);
    if (has_acked(self->port.wire) || deadletters_wait(self->deadletters))
        serve_acked(self);
    stored_count(self);
    port_unpark_all(&self->port);
}

// What was on the disk already waits as well.
static void
note_found(stored_t *self)
{
    store_figures_t found;
    store_figures(self->store, &found);
    self->waiting += found.messages;
}

static void
hear(watched_t *watched, uint32_t events)
{
    stored_t *self = ((news_t *)watched)->stored;
    (void)events;
    store_hear(self->store);
    if (self->counted.state == STORE_OPENING)
        note_found(self);
    delivery_note_commit(self);
    go_on(self);
}

static void
lose_patience(watched_t *watched, uint32_t events)
{
    stored_t *self = ((news_t *)watched)->stored;
    uint64_t times;
    (void)events;
    if (read(self->timer, &times, sizeof times) == -1)
        return;
    self->is_patient = false;
    if (self->port.parked && self->workers->ready == 0 && !stored_keeps_all(self)) {
        self->stuck = !self->had_room;
        self->spills |= self->stuck;
        be_patient(self);
    }
    port_unpark_all(&self->port);
}

void
stored_hear_others(wire_t *wire)
{
    stored_t *self = wire->stored;
    if (!self || !self->deadletters)
        return;
    workers_letters(wire);
    if (has_acked(wire) || deadletters_hear(self->deadletters))
        go_on(self);
}

void
stored_made_room(wire_t *wire)
{
    stored_t *self = wire->stored;
    if (!self->begun)
        return;
    if (self->workers->ready > 0) {
        self->had_room = true;
        self->stuck = false;
    }
    go_on(self);
}

// --- life ----------------------------------------------------------------------------------

int
stored_open(wire_t *wire, diag_t *diag)
{
    wport_t *frontend = &wire->ports[SIDE_FRONTEND];
    store_conf_t conf = storage_conf(wire);
    if (wire->conf->store == KEEP_NOTHING || route_conf_is_shared(wire->conf) || wire->conf->sides[SIDE_BACKEND].type != ZMQ_PUSH)
        return 0;
    store_t *store = store_open(wire->name, &conf, diag, wire->conf->place);
    if (!store)
        return -1;
    stored_t *self = xcalloc(1, sizeof *self);
    self->store = store;
    self->counted.state = STORE_OPENING;
    self->workers = frontend->to;
    self->port = (wport_t){ .wire = wire, .side = SIDE_BACKEND, .socktype = &socktype_stored, .counters = &self->counters, .conf = self->workers->conf };
    self->port.parked_end = &self->port.parked;
    self->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    frontend->to = &self->port;
    if (wire->ports[SIDE_ACK].socktype)
        wire->ports[SIDE_ACK].to = &self->port;
    wire->stored = self;
    wire->ledger = &stored_ledger;
    return 0;
}

static void
watch(stored_t *self, news_t *news, int fd, void (*ready)(watched_t *watched, uint32_t events))
{
    *news = (news_t){ { ready }, self };
    loop_watch(&self->port.wire->loop, fd, EPOLLIN, &news->watched);
}

void
stored_begin(wire_t *wire)
{
    stored_t *self = wire->stored;
    const store_memory_t memory = storage_memory(wire);
    if (!self)
        return;
    store_begin(self->store, &memory);
    for (unsigned i = 0; i < STORE_FDS; i++)
        watch(self, &self->news[i], store_fd(self->store, i), hear);
    watch(self, &self->patience, self->timer, lose_patience);
    self->deadletters = deadletters_new(wire);
    self->begun = true;
}

void
stored_configure(wire_t *wire)
{
    store_conf_t conf = storage_conf(wire);
    if (wire->stored)
        store_change(wire->stored->store, &conf);
}
