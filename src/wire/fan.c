// SPDX-License-Identifier: MPL-2.0
#include "wire/fan.h"

#include "base/event.h"
#include "base/mem.h"
#include "wire/conn.h"
#include "wire/durable.h"
#include "wire/interest.h"
#include "wire/options.h"
#include "wire/output.h"
#include "wire/pump.h"
#include "wire/remember.h"
#include "wire/say.h"

#include <stdlib.h>
#include <string.h>
#include <zmq.h>

// What a publishing side has of its own.
typedef struct {
    interest_t *interest;
    conn_t **subscribers; // by their number, NULL: free
    uint32_t count, room;
    uint32_t restricted;  // of them, those with rights
    bool upstream;        // the other side is told what is wanted
    bool invert, verbose, verboser;
} fan_t;

static fan_t *
fan_of(const wport_t *self)
{
    return self->own;
}

// What nobody here asks for is wanted, too: by those who come later, or on other machines.
static bool
takes_all(const wport_t *self)
{
    return self->remembered || self->wire->cluster;
}

static fan_t *
fan_open(wport_t *self)
{
    if (self->own)
        return self->own;
    fan_t *fan = self->own = xcalloc(1, sizeof *fan);
    fan->interest = interest_new();
    fan->verboser = side_option(self->conf, "xpub_verboser", 0);
    fan->verbose = fan->verboser || side_option(self->conf, "xpub_verbose", 0);
    fan->invert = side_option(self->conf, "invert_matching", 0);
    fan->upstream = self->socktype->type == ZMQ_XPUB && !takes_all(self);
    return fan;
}

static void
fan_close(wport_t *self)
{
    fan_t *fan = fan_of(self);
    if (!fan)
        return;
    interest_free(&fan->interest);
    free(fan->subscribers);
    free(fan);
    self->own = NULL;
}

// --- subscriptions ------------------------------------------------------------------

// Those of a capture are not the route's.
static void
count_topics(wport_t *self)
{
    if (self->side != SIDE_CAPTURE)
        counter_set(&self->wire->counters->subscriptions, interest_count(fan_of(self)->interest));
}

static void
tell_upstream(wport_t *self, const void *topic, size_t size, bool on)
{
    fan_t *fan = fan_of(self);
    wport_t *to = self->to;
    count_topics(self);
    if (fan->upstream && to && to->socktype->topic)
        to->socktype->topic(to, topic, size, on);
}

static void
on_last(void *arg, const void *topic, size_t size)
{
    tell_upstream(arg, topic, size, false);
}

// One more of SIZE bytes would be within each limit. 0: none.
static bool
within_quota(conn_t *conn, size_t size)
{
    const side_conf_t *conf = conn->port->conf;
    const route_conf_t *route = conn->wire->conf;
    const struct {
        const char *key;
        int64_t limit;
        uint64_t wanted;
    } quotas[] = {
        { "max_subscriptions", conf->max_subscriptions, interest_count_of(fan_of(conn->port)->interest, conn->slot) + 1 },
        { "max_topic", conf->max_topic, size },
        { "max_subscriptions_total", route->max_subscriptions_total, conn->wire->subscriptions + 1 },
    };
    for (size_t i = 0; i < COUNT(quotas); i++)
        if (quotas[i].limit > 0 && quotas[i].wanted > (uint64_t)quotas[i].limit) {
            port_drop(conn->port, DROP_QUOTA, 1);
            say_quota(conn, size, quotas[i].key, quotas[i].limit);
            return false;
        }
    return true;
}

static bool
change_topic(conn_t *conn, const uint8_t *topic, size_t size, bool on, bool *edge)
{
    interest_t *interest = fan_of(conn->port)->interest;
    if (on && interest_add(interest, conn->slot, topic, size, edge))
        conn->wire->subscriptions++;
    else if (!on && interest_remove(interest, conn->slot, topic, size, edge))
        conn->wire->subscriptions--;
    else
        return false;
    return true;
}

// What it may not read is not sent, whatever it asks for. It is told once where that is all that it asked for.
static void
look_at_rights(conn_t *conn, const uint8_t *topic, size_t size)
{
    if (!conn->rights || conn->wire->services->admission->may(conn->rights, ADMISSION_SUBSCRIBE, topic, size))
        return;
    port_drop(conn->port, DROP_ACL, 1);
    say_denied(conn, "read", topic, size);
}

// It may read it, and no earlier subscription has brought it.
static bool
is_news(const conn_t *conn, bytes_t first)
{
    interest_t *interest = fan_of(conn->port)->interest;
    const admission_rights_t *rights = conn->rights;
    if (rights && !conn->wire->services->admission->may(rights, ADMISSION_READ, first.at, first.size))
        return false;
    return interest_count_of(interest, conn->slot) == 0 || !members_has(interest_match(interest, first.at, first.size), conn->slot);
}

static void
subscribed(conn_t *conn, const uint8_t *topic, size_t size, bool on)
{
    wport_t *self = conn->port;
    fan_t *fan = fan_of(self);
    bool edge = false;
    bool is_new = on && !interest_has(fan->interest, conn->slot, topic, size);
    if (is_new && !within_quota(conn, size))
        return;
    if (on)
        look_at_rights(conn, topic, size);
    if (is_new && self->remembered && !fan->invert && !conn->hung_up)
        remember_bring(self->remembered, conn, bytes_of(topic, size), is_news);
    bool changed = change_topic(conn, topic, size, on, &edge);
    bool tell = changed && (edge || (on ? fan->verbose : fan->verboser));
    if (tell || (on && fan->verbose))
        tell_upstream(self, topic, size, on);
}

// Older peers, and those of any version who send it by hand, subscribe by a message: 01 or 00, and the topic.
static bool
hears(conn_t *conn, piece_t *piece)
{
    size_t size;
    const uint8_t *first = pump_first(piece, &size);
    if (size == 0 || first[0] > 1)
        return conn->port->socktype->type == ZMQ_PUB; // a PUB takes nothing else
    subscribed(conn, first + 1, size - 1, first[0] == 1);
    return true;
}

// --- subscribers --------------------------------------------------------------------

static uint32_t
free_number(const wport_t *self, fan_t *fan)
{
    for (uint32_t i = 0; i < fan->count; i++)
        if (!fan->subscribers[i] && !(self->durables && durables_has(self->durables, i)))
            return i;
    mem_grow(fan->subscribers, fan->count, fan->room);
    return fan->count++;
}

// 0, or -1: it may not stay.
static int
take_number(conn_t *conn)
{
    durables_t *durables = conn->port->durables;
    int known = durables ? durables_join(durables, conn) : 0;
    if (known == 0)
        conn->slot = free_number(conn->port, fan_of(conn->port));
    if (known == 0 && durables)
        durables_enter(durables, conn);
    return known == -1 ? -1 : 0;
}

static int
subscriber_rejoined(conn_t *conn)
{
    fan_t *fan = fan_open(conn->port);
    if (take_number(conn) == -1)
        return -1;
    fan->subscribers[conn->slot] = conn;
    fan->restricted += conn->rights != NULL;
    return 0;
}

static int
subscriber_joined(conn_t *conn)
{
    if (subscriber_rejoined(conn) == -1)
        return -1;
    const char *welcome = options_text(conn->port->conf, "xpub_welcome_msg");
    if (welcome)
        output_frame(conn, 0, NULL, 0, welcome, strlen(welcome));
    bool is_back = conn->port->durables && durables_bring(conn->port->durables, conn);
    if (!is_back && conn->major == 1)
        subscribed(conn, NULL, 0, true); // it cannot say what it wants, and sorts that out itself
    return 0;
}

static void
subscriber_left(conn_t *conn)
{
    fan_t *fan = fan_of(conn->port);
    if (!conn->port->durables || !durables_leave(conn->port->durables, conn))
        fan_forget(conn->port, conn->slot);
    fan->subscribers[conn->slot] = NULL;
    fan->restricted -= conn->rights != NULL;
}

void
fan_forget(wport_t *self, uint32_t number)
{
    interest_t *interest = fan_of(self)->interest;
    self->wire->subscriptions -= interest_count_of(interest, number);
    interest_leave(interest, number, on_last, self);
    count_topics(self);
}

size_t
fan_topics_at(const wport_t *self, uint32_t number)
{
    return interest_count_of(fan_of(self)->interest, number);
}

size_t
fan_topics_of(const conn_t *conn)
{
    const fan_t *fan = conn->port->socktype->subscribed ? fan_of(conn->port) : NULL;
    return fan ? interest_count_of(fan->interest, conn->slot) : 0;
}

void
fan_topics_each(const conn_t *conn, void (*fn)(void *arg, const void *topic, size_t size), void *arg)
{
    const fan_t *fan = conn->port->socktype->subscribed ? fan_of(conn->port) : NULL;
    if (fan)
        interest_each_of(fan->interest, conn->slot, fn, arg);
}

void
fan_topic_again(conn_t *conn, const uint8_t *topic, size_t size)
{
    bool edge;
    if (conn->port->socktype->subscribed && change_topic(conn, topic, size, true, &edge))
        count_topics(conn->port);
}

char **
fan_topics(const wport_t *self, size_t *count, size_t max)
{
    const fan_t *fan = self->socktype && self->socktype->subscribed ? fan_of(self) : NULL;
    *count = 0;
    return fan ? interest_list(fan->interest, count, max) : NULL;
}

bool
fan_is_wanted(const wport_t *self)
{
    const fan_t *fan = fan_of(self);
    return fan && (interest_count(fan->interest) > 0 || (fan->invert && self->count > 0));
}

void
fan_review(wport_t *self)
{
    fan_t *fan = self->socktype->subscribed ? fan_of(self) : NULL;
    uint32_t restricted = 0;
    for (uint32_t i = 0; fan && i < fan->count; i++)
        restricted += fan->subscribers[i] && fan->subscribers[i]->rights;
    if (fan)
        fan->restricted = restricted;
}

// --- publishing ---------------------------------------------------------------------

static bool
may_read(const conn_t *conn, const piece_t *piece)
{
    size_t size;
    if (!conn->rights)
        return true;
    const uint8_t *first = pump_first(piece, &size);
    return conn->wire->services->admission->may(conn->rights, ADMISSION_READ, first, size);
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

static void
send_to(conn_t *conn, const piece_t *piece)
{
    if (conn->rights && !may_read(conn, piece))
        return;
    if (has_room(conn))
        output_add(conn, piece);
    else
        lose(conn, piece);
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
            send_to(fan->subscribers[at], piece);
    }
    return GIVEN;
}

static void
give_to(const fan_t *fan, const members_t *members, const piece_t *piece)
{
    uint32_t place = 0, number;
    while (members_next(members, &place, &number))
        send_to(fan->subscribers[number], piece);
}

static given_t
fan_give(wport_t *self, const piece_t *piece)
{
    size_t size;
    const fan_t *fan = fan_of(self);
    if (!fan)
        return GIVEN; // nobody was ever there
    const uint8_t *first = pump_first(piece, &size);
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

static given_t
give_durably(wport_t *self, const fan_t *fan, const piece_t *piece)
{
    size_t size;
    uint32_t place = 0, number;
    const uint8_t *first = pump_first(piece, &size);
    const members_t *members = interest_match(fan->interest, first, size);
    if (!self->lossy && !all_present_have_room(fan, members))
        return NO_ROOM;
    while (members_next(members, &place, &number))
        if (fan->subscribers[number])
            send_to(fan->subscribers[number], piece);
        else
            durables_put(self->durables, number, piece);
    return GIVEN;
}

static given_t
give_and_keep(wport_t *self, const piece_t *piece)
{
    const fan_t *fan = fan_open(self);
    given_t given = self->durables && !fan->invert ? give_durably(self, fan, piece) : fan_give(self, piece);
    if (given == GIVEN && self->remembered)
        remember_put(self->remembered, piece);
    return given;
}

// --- publishing many ------------------------------------------------------------------

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
} run_t;

static void
emit(const fan_t *fan, run_t *run)
{
    if (run->piece.load.messages > 0)
        give_to(fan, run->members, &run->piece);
    run->piece.load = (load_t){ 0 };
}

static bool
joins(const run_t *run, const piece_t *piece, const members_t *members)
{
    return run->piece.load.messages > 0 && run->piece.load.messages < run->room
           && piece->at == run->piece.at + run->piece.size && members_same(run->members, members);
}

// The newest answer of the interest is valid longest.
static void
extend(run_t *run, const piece_t *piece, const members_t *members)
{
    run->members = members;
    run->piece.size += piece->size;
    run->piece.load.messages++;
    run->piece.load.payload += piece->load.payload;
}

// A lossy side gives a full subscriber what it loses one by one, so that it loses no more than it must.
static bool
begin(wport_t *self, const fan_t *fan, run_t *run, const piece_t *piece, const members_t *members)
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
    run_t run = { 0 };
    const fan_t *fan = fan_open(to);
    int rc;
    if (fan->invert || fan->restricted > 0)
        return pump_singly(conn);
    while ((rc = input_next(conn, &piece)) == 1) {
        size_t size;
        const uint8_t *first = pump_first(&piece, &size);
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

// --- XSUB and SUB ---------------------------------------------------------------------

static void
send_topic(conn_t *conn, const void *topic, size_t size, bool on)
{
    uint8_t head[TRAFFIC_TOPIC_HEAD_MAX] = { on };
    if (conn->major == 1)
        return; // it sends everything
    if (conn->major == 3 && conn->minor >= 1) {
        size_t length = traffic_topic_head(head, on ? TRAFFIC_SUBSCRIBE : TRAFFIC_CANCEL);
        output_frame(conn, FRAME_COMMAND, head, length, topic, size);
    } else
        output_frame(conn, 0, head, 1, topic, size);
}

static void
topic_for_all(wport_t *self, const uint8_t *topic, size_t size, bool on)
{
    for (uint32_t i = 0; i < self->count; i++)
        send_topic(self->open[i], topic, size, on);
}

static void
send_one(void *arg, const void *topic, size_t size)
{
    send_topic(arg, topic, size, true);
}

// A publisher that comes is told all that is wanted.
static int
publisher_joined(conn_t *conn)
{
    const wport_t *self = conn->port, *to = self->to;
    for (size_t i = 0; i < self->conf->option_count; i++) {
        const option_conf_t *option = &self->conf->options[i];
        if (option->option->option == ZMQ_SUBSCRIBE)
            send_topic(conn, option->value.text, strlen(option->value.text), true);
    }
    if (self->socktype->topic && to && takes_all(to))
        send_topic(conn, NULL, 0, true); // everything
    const fan_t *fan = self->socktype->topic && to && to->socktype->subscribed ? fan_of(to) : NULL;
    if (fan && fan->upstream)
        interest_each(fan->interest, send_one, conn);
    return 0;
}

// What subscribers send up goes to every publisher.
static given_t
give_to_all(wport_t *self, const piece_t *piece)
{
    for (uint32_t i = 0; i < self->count; i++)
        send_to(self->open[i], piece);
    return GIVEN;
}

// clang-format off
const socktype_t socktype_xpub = { .type = ZMQ_XPUB, .give = fan_give, .pump = pump_fan, .hears = hears, .joined = subscriber_joined,
                                   .rejoined = subscriber_rejoined, .left = subscriber_left, .subscribed = subscribed, .close = fan_close };
const socktype_t socktype_pub  = { .type = ZMQ_PUB,  .give = fan_give, .pump = pump_fan, .hears = hears, .joined = subscriber_joined,
                                   .rejoined = subscriber_rejoined, .left = subscriber_left, .subscribed = subscribed, .close = fan_close };
static const socktype_t keeping_xpub = { .type = ZMQ_XPUB, .give = give_and_keep, .hears = hears, .joined = subscriber_joined,
                                   .rejoined = subscriber_rejoined, .left = subscriber_left, .subscribed = subscribed, .close = fan_close };
static const socktype_t keeping_pub  = { .type = ZMQ_PUB,  .give = give_and_keep, .hears = hears, .joined = subscriber_joined,
                                   .rejoined = subscriber_rejoined, .left = subscriber_left, .subscribed = subscribed, .close = fan_close };
const socktype_t socktype_xsub = { .type = ZMQ_XSUB, .give = give_to_all, .joined = publisher_joined, .topic = topic_for_all };
const socktype_t socktype_sub  = { .type = ZMQ_SUB,  .joined = publisher_joined };
// clang-format on

const socktype_t *
fan_keeping(const socktype_t *socktype)
{
    return socktype->type == ZMQ_XPUB ? &keeping_xpub : &keeping_pub;
}
