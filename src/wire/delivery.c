// SPDX-License-Identifier: MPL-2.0
#include "wire/stored_internal.h"

#include "base/mem.h"
#include "wire/port.h"
#include "wire/workers.h"

#include <stdlib.h>

enum {
    SOON_MOST = 100000,
    AHEAD_MOST = 10000, // messages that one worker is given before it takes them, whatever its high-water mark
};

// --- runs ------------------------------------------------------------------------------

static void
grow_runs(stored_t *self)
{
    uint32_t old = self->room;
    run_t *runs = xcalloc(old ? 2 * old : 64, sizeof *runs);
    for (uint32_t i = 0; i < self->count; i++)
        runs[i] = *stored_run(self, i);
    free(self->runs);
    self->runs = runs;
    self->head = 0;
    self->room = old ? 2 * old : 64;
}

static bool
goes_on(const run_t *last, const store_run_t *run, size_t at, uint64_t said)
{
    return last->chunk == run->block && last->at + last->size == at && last->said == said &&
           last->first + last->load.messages == run->first;
}

static void
add_run(stored_t *self, const store_run_t *run, uint64_t said)
{
    chunk_t *chunk = run->block;
    size_t at = (size_t)(run->data - chunk->data);
    run_t *last = self->count > 0 ? stored_run(self, self->count - 1) : NULL;
    self->claimed += run->messages;
    if (last && goes_on(last, run, at, said)) {
        last->size += run->size;
        last->load.messages += run->messages;
        last->load.payload += run->payload;
        return;
    }
    if (self->count == self->room)
        grow_runs(self);
    *stored_run(self, self->count++) =
        (run_t){ chunk_hold(chunk), at, run->size, { run->messages, run->payload }, run->first, said };
}

void
delivery_drop_run(stored_t *self)
{
    chunk_drop(stored_run(self, 0)->chunk);
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

void
delivery_note_commit(stored_t *self)
{
    uint64_t commit = store_reached(self->store) + store_committed(self->store);
    if (commit == self->commit)
        return;
    self->commit = commit;
    self->given[1] = self->given[0];
    self->given[0] = 0;
}

uint64_t
delivery_room(const stored_t *self)
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

piece_t
delivery_first(const run_t *run)
{
    piece_t piece = { .chunk = run->chunk, .at = run->at, .size = run->size, .load = run->load };
    if (run->load.messages > 1)
        piece.load = first_of(run, &piece.size);
    return piece;
}

void
delivery_pass(run_t *run, const piece_t *piece)
{
    run->at += piece->size;
    run->size -= piece->size;
    run->first += piece->load.messages;
    run->load.messages -= piece->load.messages;
    run->load.payload -= piece->load.payload;
}

static bool
give(stored_t *self, run_t *run)
{
    bool alone = self->workers->count == 1 && self->workers->ready == 1 && self->workers->returned.count == 0;
    piece_t piece = { .chunk = run->chunk, .at = run->at, .size = run->size, .load = run->load };
    if (!alone)
        piece = delivery_first(run);
    if (port_give(self->workers, &piece) == NO_ROOM)
        return false;
    delivery_pass(run, &piece);
    self->claimed -= piece.load.messages;
    self->given[0] += piece.load.messages;
    return true;
}

bool
delivery_give(stored_t *self)
{
    uint64_t reached = store_reached(self->store), before = self->claimed;
    while (self->count > 0 && stored_run(self, 0)->said <= reached && give(self, stored_run(self, 0)))
        if (stored_run(self, 0)->load.messages == 0)
            delivery_drop_run(self);
    return self->claimed < before;
}

static uint64_t
less(uint64_t from, uint64_t what)
{
    return from > what ? from - what : 0;
}

// The next message, which goes to an acknowledged worker: those take turns with plain ones. False: none wants it now.
static bool
claim_for_acked(stored_t *self, uint64_t room)
{
    store_message_t message;
    wire_t *wire = self->port.wire;
    if (!store_next(self->store, &message) || message.done)
        return false;
    bool is_their_turn = self->acked_first || room == 0;
    self->acked_first = !self->acked_first;
    if (!workers_have(wire, &message) && !(is_their_turn && workers_take(wire, &message)))
        return false;
    store_pass(self->store);
    self->waiting = less(self->waiting, 1);
    self->pace++;
    return true;
}

// The next messages, at most MOST, go to plain workers: if they were not put as done they are said to be so now, and *ROOM
// becomes less. False: there are none, or no room.
static bool
claim_run(stored_t *self, uint64_t most, uint64_t *room)
{
    store_run_t run;
    if (!store_next_run(self->store, most, &run))
        return false;
    if (run.done)
        self->ahead = less(self->ahead, run.messages);
    else {
        store_done_run(self->store, &run);
        self->waiting = less(self->waiting, run.messages);
        *room -= run.messages;
    }
    self->pace += run.messages;
    add_run(self, &run, run.done ? 0 : store_said(self->store));
    store_pass_run(self->store, &run);
    return true;
}

static void
claim(stored_t *self)
{
    bool acked = self->port.wire->ports[SIDE_WORKER_ACK].socktype;
    uint64_t room = delivery_room(self), said = store_said(self->store);
    while (!self->settled) {
        uint64_t most = acked && room > 1 ? 1 : room;
        if (!(acked && claim_for_acked(self, room)) && !claim_run(self, most, &room))
            break;
    }
    if (store_said(self->store) != said)
        store_hurry(self->store);
}

void
delivery_go_on(stored_t *self)
{
    delivery_give(self);
    do
        claim(self);
    while (delivery_give(self)); // those that were put as done held places until now, and no news comes of them
    if (store_is_passed(self->store))
        self->waiting = 0;
    if (self->count == 0 && self->workers->ready > 0 && store_is_passed(self->store)) {
        self->spills = false;
        self->pace = 0;
    }
}
