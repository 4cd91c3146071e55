// SPDX-License-Identifier: MPL-2.0
#include "wire/stored.h"

#include "base/clock.h"
#include "base/mem.h"
#include "store/store.h"
#include "wire/acks.h"
#include "wire/cluster.h"
#include "wire/conn.h"
#include "wire/deadletters.h"
#include "wire/output.h"
#include "wire/port.h"
#include "wire/pump.h"
#include "wire/storage.h"
#include "wire/workers.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include <zmq.h>

enum {
    SOON_MOST = 100000,
    AHEAD_MOST = 10000, // messages that one worker is given before it takes them, whatever its high-water mark
    PATIENCE_MS = 100,   // overflow: a worker that has no room for that long has none
    SETTLE_TURN_MS = 50,
};

// Messages that lie behind each other, and wait until the store says that they are done.
typedef struct {
    chunk_t *chunk;
    size_t at, size;
    load_t load;
    uint64_t first; // sequence
    uint64_t said;
} run_t;

#define NOT_SAID UINT64_MAX // yet: in the middle of it

typedef struct {
    watched_t watched; // first
    stored_t *stored;
} news_t;

struct stored {
    wport_t port; // first: what the frontend hands on to
    side_counters_t counters; // of that
    wport_t *workers;
    store_t *store;
    store_figures_t counted;  // so far
    news_t news[STORE_FDS];
    news_t patience;
    int timer;
    bool begun;
    bool is_patient; // overflow: somebody waits for the workers
    bool had_room;   // they have had room since then
    bool spills;     // overflow: messages go to the disk
    bool settled;    // nothing goes to workers any more
    bool acked_first; // whose turn it is of plain and acknowledged workers, while both want messages
    deadletters_t *deadletters; // what other routes give up
    run_t *runs;   // a ring
    uint32_t head, count, room;
    uint64_t claimed; // messages in it
    uint64_t ahead;   // put as done, and not come back
    uint64_t waiting; // put otherwise, or found on the disk
    uint64_t given[2]; // to workers since the last commit, and before it
    uint64_t commit;   // which was the last
    uint64_t budget;   // messages that may still be put as done in this turn
};

static bool
keeps_all(const stored_t *self)
{
    return self->port.wire->conf->store == KEEP_ALL;
}

// --- runs ------------------------------------------------------------------------------

static run_t *
run_at(const stored_t *self, uint32_t i)
{
    return &self->runs[(self->head + i) & (self->room - 1)];
}

static void
grow_runs(stored_t *self)
{
    uint32_t old = self->room;
    run_t *runs = xcalloc(old ? 2 * old : 64, sizeof *runs);
    for (uint32_t i = 0; i < self->count; i++)
        runs[i] = *run_at(self, i);
    free(self->runs);
    self->runs = runs;
    self->head = 0;
    self->room = old ? 2 * old : 64;
}

static bool
goes_on(const run_t *last, const store_message_t *message, size_t at, uint64_t said)
{
    return last->chunk == message->block && last->at + last->size == at && last->said == said
           && last->first + last->load.messages == message->sequence;
}

static void
add_run(stored_t *self, const store_message_t *message, uint64_t said)
{
    chunk_t *chunk = message->block;
    size_t at = (size_t)(message->data - chunk->data);
    run_t *last = self->count > 0 ? run_at(self, self->count - 1) : NULL;
    self->claimed++;
    if (last && goes_on(last, message, at, said)) {
        last->size += message->size;
        last->load.messages++;
        last->load.payload += message->payload;
        return;
    }
    if (self->count == self->room)
        grow_runs(self);
    *run_at(self, self->count++) = (run_t){ chunk_hold(chunk), at, message->size, { 1, message->payload }, message->sequence, said };
}

static void
drop_run(stored_t *self)
{
    chunk_drop(run_at(self, 0)->chunk);
    self->head = (self->head + 1) & (self->room - 1);
    self->count--;
}

// --- room ------------------------------------------------------------------------------

// How many messages the workers can take, of MOST.
static uint64_t
room_of(const stored_t *self, uint64_t most)
{
    const wport_t *workers = self->workers;
    uint64_t each = workers->sndhwm < AHEAD_MOST ? workers->sndhwm : AHEAD_MOST, room = 0;
    for (uint32_t i = 0; i < workers->ready && room < most; i++) {
        uint64_t queued = workers->open[i]->out.load.messages;
        room += queued < each ? each - queued : 0;
    }
    return room < most ? room : most;
}

// Workers that have taken more than they have room for since the last commit will do so again before the next one.
static uint64_t
room_soon(const stored_t *self, uint64_t most)
{
    uint64_t taken = self->given[0] > self->given[1] ? self->given[0] : self->given[1];
    uint64_t soon = self->workers->count == 0 ? 0 : 2 * taken < SOON_MOST ? 2 * taken : SOON_MOST;
    uint64_t room = room_of(self, most);
    return room > soon ? room : soon;
}

static void
note_commit(stored_t *self)
{
    uint64_t commit = store_reached(self->store) + store_committed(self->store);
    if (commit == self->commit)
        return;
    self->commit = commit;
    self->given[1] = self->given[0];
    self->given[0] = 0;
}

static uint64_t
room_left(const stored_t *self)
{
    uint64_t taken = self->claimed + self->ahead, room = room_soon(self, AHEAD_MOST + taken);
    bool goes = !self->settled && !self->port.wire->draining && !self->port.wire->frozen;
    return goes && room > taken ? room - taken : 0;
}

// --- to the workers ----------------------------------------------------------------------

// The first message of RUN, by its frames.
static load_t
first_of(const run_t *run, size_t *size)
{
    frame_head_t head;
    load_t load = { 1, 0 };
    *size = 0;
    do {
        if (frame_read(run->chunk->data + run->at + *size, run->size - *size, &head) != 1)
            break;
        *size += head.head + head.body;
        load.payload += head.body;
    } while (head.flags & FRAME_MORE && *size < run->size);
    return load;
}

static bool
give(stored_t *self, run_t *run)
{
    piece_t piece = { .chunk = run->chunk, .at = run->at, .size = run->size, .load = run->load };
    bool alone = self->workers->count == 1 && self->workers->ready == 1 && self->workers->returned.count == 0;
    if (!alone && run->load.messages > 1)
        piece.load = first_of(run, &piece.size);
    if (port_give(self->workers, &piece) == NO_ROOM)
        return false;
    run->at += piece.size;
    run->size -= piece.size;
    run->first += piece.load.messages;
    run->load.messages -= piece.load.messages;
    run->load.payload -= piece.load.payload;
    self->claimed -= piece.load.messages;
    self->given[0] += piece.load.messages;
    return true;
}

static void
give_claimed(stored_t *self)
{
    uint64_t reached = store_reached(self->store);
    while (self->count > 0 && run_at(self, 0)->said <= reached && give(self, run_at(self, 0)))
        if (run_at(self, 0)->load.messages == 0)
            drop_run(self);
}

// One that goes to plain workers is said to be done; those take turns with acknowledged ones. False: nobody wants it now.
static bool
claim_one(stored_t *self, const store_message_t *message, uint64_t *room)
{
    wire_t *wire = self->port.wire;
    bool acked_first = self->acked_first || *room == 0;
    if (message->done) {
        add_run(self, message, 0);
        self->ahead -= self->ahead > 0;
        return true;
    }
    self->acked_first = !self->acked_first;
    bool is_taken = workers_have(wire, message) || (acked_first && workers_take(wire, message));
    if (!is_taken && *room > 0) {
        add_run(self, message, NOT_SAID);
        store_done(self->store, message->sequence);
        --*room;
        is_taken = true;
    }
    self->waiting -= is_taken && self->waiting > 0;
    return is_taken;
}

static void
claim(stored_t *self)
{
    store_message_t message;
    uint64_t room = room_left(self), said = store_said(self->store);
    uint32_t from = self->count;
    while (!self->settled && store_next(self->store, &message) && claim_one(self, &message, &room))
        store_pass(self->store);
    for (uint32_t i = from; i < self->count; i++)
        if (run_at(self, i)->said == NOT_SAID)
            run_at(self, i)->said = store_said(self->store);
    if (store_said(self->store) != said)
        store_hurry(self->store);
}

static bool
is_clear(const stored_t *self)
{
    return !self->spills && self->count == 0 && store_is_passed(self->store);
}

static void
deliver(stored_t *self)
{
    give_claimed(self);
    claim(self);
    give_claimed(self);
    if (store_is_passed(self->store))
        self->waiting = 0;
    if (self->count == 0 && self->workers->ready > 0 && store_is_passed(self->store))
        self->spills = false;
}

// How many messages may be put as done in this turn: none that an acknowledged worker may want.
static uint64_t
budget(const stored_t *self)
{
    return self->port.wire->ports[SIDE_WORKER_ACK].count > 0 ? 0 : room_left(self);
}

// --- from the producers ------------------------------------------------------------------

static given_t
put(stored_t *self, const piece_t *piece)
{
    bool done = self->waiting == 0 && self->budget > 0;
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
    self->ahead += done;
    self->budget -= done;
    self->waiting += !done;
    return GIVEN;
}

// Overflow: who waits for the workers waits for the disk only when they have had some time.
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
    if (!keeps_all(self) && is_clear(self))
        return give_straight(self, piece);
    self->budget = budget(self);
    given_t given = put(self, piece);
    store_turn(self->store);
    return given;
}

static bool
pump_to_store(stored_t *self, conn_t *conn)
{
    piece_t piece;
    int rc = 0;
    self->budget = budget(self);
    while (!conn->broken && (rc = input_next(conn, &piece)) == 1) {
        if (put(self, &piece) == NO_ROOM) {
            pump_wait(conn, &piece);
            break;
        }
        pump_received(conn, &piece);
    }
    store_turn(self->store);
    return rc == 0 && !conn->broken;
}

static bool
pump_on(conn_t *conn, wport_t *to)
{
    stored_t *self = to->wire->stored;
    if (keeps_all(self) || !is_clear(self) || self->workers->contended)
        return pump_to_store(self, conn);
    bool over = self->workers->socktype->pump ? self->workers->socktype->pump(conn, self->workers) : pump_singly(conn);
    if (conn->parked)
        be_patient(self);
    return over;
}

static const socktype_t socktype_stored = { .type = -1, .give = take, .pump = pump_on };

// --- news --------------------------------------------------------------------------------

static void
count(stored_t *self)
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
    deliver(self);
    if (has_acked(self->port.wire))
        serve_acked(self);
    count(self);
    port_unpark_all(&self->port);
}

static void
hear(watched_t *watched, uint32_t events)
{
    stored_t *self = ((news_t *)watched)->stored;
    (void)events;
    store_hear(self->store);
    note_commit(self);
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
    if (self->port.parked && self->workers->ready == 0 && !keeps_all(self)) {
        self->spills = !self->had_room;
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
    go_on(self);
}

void
stored_made_room(wire_t *wire)
{
    stored_t *self = wire->stored;
    if (!self->begun)
        return;
    self->had_room = true;
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
    if (has_acked(wire))
        self->deadletters = deadletters_new(wire);
    self->begun = true;
}

store_t *
stored_store(const wire_t *wire)
{
    return wire->cluster ? cluster_store(wire) : wire->stored->store;
}

uint64_t
stored_safe(const wire_t *wire)
{
    return wire->cluster ? cluster_acknowledged(wire) : store_committed(wire->stored->store);
}

store_put_t
stored_put(wire_t *wire, const store_put_in_t *message, uint64_t *sequence)
{
    stored_t *self = wire->stored;
    if (!self)
        return cluster_put(wire, message, sequence);
    store_put_t result = store_put(self->store, message, sequence);
    self->waiting += result == STORE_TAKEN;
    wire->made_room = true; // the store has its turn in this round
    return result;
}

deadletters_t *
stored_deadletters(const wire_t *wire)
{
    return wire->stored ? wire->stored->deadletters : NULL;
}

void
stored_configure(wire_t *wire)
{
    store_conf_t conf = storage_conf(wire);
    if (wire->stored)
        store_change(wire->stored->store, &conf);
}

// --- the end -------------------------------------------------------------------------------

static bool
is_written(stored_t *self, uint64_t put_before, uint64_t said)
{
    store_hear(self->store);
    store_hurry(self->store);
    return store_committed(self->store) >= put_before && store_reached(self->store) >= said;
}

// What was promised to workers and not given is not done.
static void
take_back(stored_t *self)
{
    store_message_t message;
    while (self->count > 0) {
        run_t *run = run_at(self, 0);
        for (uint64_t i = 0; i < run->load.messages; i++)
            store_undo(self->store, run->first + i);
        drop_run(self);
    }
    while (store_next(self->store, &message)) {
        if (message.done)
            store_undo(self->store, message.sequence);
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
    give_claimed(self);
    self->settled = true;
    while (!is_written(self, put_before, said) && clock_mono_ms() < end)
        poll(&(struct pollfd){ store_fd(self->store, 0), POLLIN, 0 }, 1, SETTLE_TURN_MS);
    acks_committed(wire);
    take_back(self);
    count(self);
}

static void
keep(stored_t *self, spans_t *spans)
{
    piece_t piece = { 0 };
    chunk_pool_t *pool = &self->port.wire->pool;
    while (spans_take(spans, pool, &piece.chunk, &piece.at, &piece.size, &piece.load)) {
        if (piece.load.messages > 0 && put(self, &piece) != GIVEN)
            port_drop(self->workers, DROP_SHUTDOWN, piece.load.messages);
        chunk_drop(piece.chunk);
    }
    spans_clear(spans);
}

// They come after what is on the disk already.
void
stored_keep_queues(wire_t *wire)
{
    stored_t *self = wire->stored;
    if (!self)
        return;
    wport_t *workers = self->workers;
    workers->queued.messages -= workers->returned.load.messages;
    workers->queued_bytes -= workers->returned.bytes;
    keep(self, &workers->returned);
    for (conn_t *conn = workers->conns; conn; conn = conn->next) {
        spans_t unbegun = { 0 };
        load_t lost = output_abandon(conn, &unbegun);
        wire->left.undelivered += lost.messages;
        keep(self, &unbegun);
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
            loop_forget(&wire->loop, store_fd(self->store, i));
        loop_forget(&wire->loop, self->timer);
        count(self);
    }
    port_write_all(wire); // the port of its own is among those that have something to write
    uint64_t lost = store_close(&self->store, wait_ms);
    close(self->timer);
    free(self->runs);
    free(self);
    wire->stored = NULL;
    return lost;
}
