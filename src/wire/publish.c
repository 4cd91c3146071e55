// SPDX-License-Identifier: MPL-2.0
#include "wire/publish.h"

#include "wire/archivelog.h"
#include "wire/conn.h"
#include "wire/durable.h"
#include "wire/fan_internal.h"
#include "wire/output.h"
#include "wire/piece.h"
#include "wire/pump.h"
#include "wire/remember.h"
#include "wire/say.h"
#include "wire/subscribers.h"

#include <zmq.h>

// --- one message --------------------------------------------------------------------

static bool
may_read(const conn_t *conn, const piece_t *piece)
{
    size_t size;
    const uint8_t *first = piece_first(piece, &size);
    return conn_may(conn, ADMISSION_READ, first, size);
}

static void
lose(conn_t *conn, const piece_t *piece)
{
    conn->dropped += piece->load.messages;
    port_drop(conn->port, DROP_HWM, piece->load.messages);
    say_slow(conn);
}

// Someone who is full may only be waiting for the end of the round to be written to.
static bool
has_room(conn_t *conn)
{
    if (conn->full)
        output_flush(conn);
    return !conn->full;
}

bool
publish_send(conn_t *conn, const piece_t *piece)
{
    if (conn->rights && !may_read(conn, piece))
        return false;
    if (has_room(conn)) {
        output_add(conn, piece);
        return true;
    }
    lose(conn, piece);
    return false;
}

static bool
all_have_room(const fan_t *fan, const members_t *members)
{
    uint32_t place = 0, number;
    while (members_next(members, &place, &number))
        if (!has_room(fan->subscribers[number]))
            return false;
    return true;
}

static bool
everyone_has_room(const wport_t *self)
{
    for (uint32_t i = self->ready; i < self->count; i++)
        if (!has_room(self->open[i]))
            return false;
    return true;
}

// To all but MEMBERS.
static given_t
give_inverted(wport_t *self, const members_t *members, const piece_t *piece)
{
    const fan_t *fan = fan_of(self);
    uint32_t place = 0, number = 0, at = 0;
    if (!self->lossy && !everyone_has_room(self))
        return NO_ROOM;
    bool any = members_next(members, &place, &number);
    for (; at < fan->count; at++) {
        if (any && number == at)
            any = members_next(members, &place, &number);
        else if (fan->subscribers[at])
            publish_send(fan->subscribers[at], piece);
    }
    return GIVEN;
}

static void
give_to(const fan_t *fan, const members_t *members, const piece_t *piece)
{
    uint32_t place = 0, number;
    while (members_next(members, &place, &number))
        publish_send(fan->subscribers[number], piece);
}

static given_t
fan_give(wport_t *self, const piece_t *piece)
{
    size_t size;
    const fan_t *fan = fan_of(self);
    if (!fan)
        return GIVEN; // nobody was ever there
    const uint8_t *first = piece_first(piece, &size);
    const members_t *members = interest_match(fan->interest, first, size);
    if (fan->invert)
        return give_inverted(self, members, piece);
    if (!self->lossy && !all_have_room(fan, members))
        return NO_ROOM;
    give_to(fan, members, piece);
    return GIVEN;
}

// Those of MEMBERS that are away have no connection.
static bool
all_present_have_room(const fan_t *fan, const members_t *members)
{
    uint32_t place = 0, number;
    while (members_next(members, &place, &number))
        if (fan->subscribers[number] && !has_room(fan->subscribers[number]))
            return false;
    return true;
}

// A message as all have it who keep it: it is on disk once.
typedef struct {
    const piece_t *piece;
    kept_t kept;
    bool is_made;
} keeping_t;

static const kept_t *
kept_of(const wport_t *self, keeping_t *keeping)
{
    if (!keeping->is_made)
        keeping->kept = archivelog_kept(self->wire, keeping->piece);
    keeping->is_made = true;
    return &keeping->kept;
}

static given_t
give_durably(wport_t *self, const fan_t *fan, keeping_t *keeping)
{
    size_t size;
    uint32_t place = 0, number;
    const uint8_t *first = piece_first(keeping->piece, &size);
    const members_t *members = interest_match(fan->interest, first, size);
    if (!self->lossy && !all_present_have_room(fan, members))
        return NO_ROOM;
    while (members_next(members, &place, &number)) {
        conn_t *conn = fan->subscribers[number];
        bool gets = !conn || publish_send(conn, keeping->piece);
        if (gets && durables_keeps(self->durables, number))
            durables_put(self->durables, number, kept_of(self, keeping));
    }
    return GIVEN;
}

static given_t
give_and_keep(wport_t *self, const piece_t *piece)
{
    const fan_t *fan = fan_open(self);
    keeping_t keeping = { .piece = piece };
    given_t given = self->durables && !fan->invert ? give_durably(self, fan, &keeping) : fan_give(self, piece);
    if (given == GIVEN && self->remembered)
        remember_put(self->remembered, kept_of(self, &keeping));
    return given;
}

void
publish_again(wport_t *self, const kept_t *kept)
{
    const fan_t *fan = fan_open(self);
    bytes_t first = kept_first(kept->data, kept->size);
    const members_t *members = interest_match(fan->interest, first.at, first.size);
    uint32_t place = 0, number;
    while (members_next(members, &place, &number))
        if (durables_keeps(self->durables, number))
            durables_put(self->durables, number, kept);
}

// --- many messages --------------------------------------------------------------------

// How many messages each of MEMBERS can take.
static uint64_t
room_of(const wport_t *self, const fan_t *fan, const members_t *members)
{
    uint32_t place = 0, number;
    uint64_t room = UINT64_MAX;
    while (members_next(members, &place, &number)) {
        const conn_t *conn = fan->subscribers[number];
        uint64_t left = conn->full ? 0 : self->sndhwm - conn->out.load.messages;
        room = left < room ? left : room;
    }
    return room;
}

// Messages that lie behind each other and go to the same subscribers.
typedef struct {
    piece_t piece;
    const members_t *members;
    uint64_t room;
} message_run_t;

static void
emit(const fan_t *fan, message_run_t *run)
{
    if (run->piece.load.messages > 0)
        give_to(fan, run->members, &run->piece);
    run->piece.load = (load_t){ 0 };
}

static bool
joins(const message_run_t *run, const piece_t *piece, const members_t *members)
{
    return run->piece.load.messages > 0 && run->piece.load.messages < run->room &&
           piece->at == run->piece.at + run->piece.size && members_same(run->members, members);
}

// The newest answer of the interest is valid longest.
static void
extend(message_run_t *run, const piece_t *piece, const members_t *members)
{
    run->members = members;
    run->piece.size += piece->size;
    run->piece.load.messages++;
    run->piece.load.payload += piece->load.payload;
}

// A lossy side gives a full subscriber what it loses one by one, so that it loses no more than it must.
static bool
begin(wport_t *self, const fan_t *fan, message_run_t *run, const piece_t *piece, const members_t *members)
{
    run->room = room_of(self, fan, members);
    if (run->room == 0 && !self->lossy && !all_have_room(fan, members))
        return false;
    if (run->room == 0)
        run->room = 1;
    run->piece = *piece;
    run->members = members;
    return true;
}

static bool
pump_fan(conn_t *conn, wport_t *to)
{
    piece_t piece;
    message_run_t run = { 0 };
    const fan_t *fan = fan_open(to);
    int rc;
    if (fan->invert || fan->restricted > 0)
        return pump_singly(conn);
    while ((rc = input_next(conn, &piece)) == 1) {
        size_t size;
        const uint8_t *first = piece_first(&piece, &size);
        const members_t *members = interest_match(fan->interest, first, size);
        if (joins(&run, &piece, members))
            extend(&run, &piece, members);
        else {
            emit(fan, &run);
            if (!begin(to, fan, &run, &piece, members))
                return pump_wait(conn, &piece);
        }
        pump_received(conn, &piece);
    }
    emit(fan, &run);
    return rc == 0;
}

// --- the records ----------------------------------------------------------------------

static void
keeping_tick(wport_t *self)
{
    if (self->remembered)
        remember_tick(self->remembered);
    if (self->durables)
        durables_tick(self->durables);
}

static void
keeping_close(wport_t *self)
{
    fan_close(self);
    remember_free(&self->remembered);
    durables_free(&self->durables);
}

#define HAS_SUBSCRIBERS                                                                                                \
    .hears = subscribers_hear, .joined = subscribers_join, .rejoined = subscribers_rejoin, .left = subscribers_leave,  \
    .subscribed = subscribers_ask

const socktype_t socktype_xpub = {
    .type = ZMQ_XPUB, .give = fan_give, .pump = pump_fan, .close = fan_close, HAS_SUBSCRIBERS
};
const socktype_t socktype_pub = {
    .type = ZMQ_PUB, .give = fan_give, .pump = pump_fan, .close = fan_close, HAS_SUBSCRIBERS
};

#define KEEPS .give = give_and_keep, .tick = keeping_tick, .close = keeping_close, HAS_SUBSCRIBERS

static const socktype_t keeping_xpub = { .type = ZMQ_XPUB, KEEPS };
static const socktype_t keeping_pub = { .type = ZMQ_PUB, KEEPS };

void
publish_keep(wport_t *self)
{
    self->remembered = remember_new(self);
    self->durables = durables_new(self);
    if (self->remembered || self->durables)
        self->socktype = self->socktype->type == ZMQ_XPUB ? &keeping_xpub : &keeping_pub;
}
