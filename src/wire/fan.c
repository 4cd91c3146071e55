// SPDX-License-Identifier: MPL-2.0
#include "wire/fan.h"

#include "base/mem.h"
#include "wire/conn.h"
#include "wire/durable.h"
#include "wire/fan_internal.h"
#include "wire/options.h"
#include "wire/output.h"
#include "wire/pump.h"
#include "wire/remember.h"
#include "wire/say.h"

#include <stdlib.h>
#include <string.h>
#include <zmq.h>

enum { ASKED_A_TURN = 1000 }; // subscriptions and cancellations of one peer

fan_t *
fan_open(wport_t *self)
{
    if (self->own)
        return self->own;
    fan_t *fan = self->own = xcalloc(1, sizeof *fan);
    fan->interest = interest_new();
    fan->verbose = side_option(self->conf, "xpub_verbose", 0) || side_option(self->conf, "xpub_verboser", 0);
    fan->invert = side_option(self->conf, "invert_matching", 0);
    fan->upstream = self->socktype->type == ZMQ_XPUB && !fan_takes_all(self);
    return fan;
}

void
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

typedef struct {
    wport_t *port;
    bool everything;
} telling_t;

static void
on_wanted(void *arg, const void *topic, size_t size)
{
    telling_t *self = arg;
    self->everything |= size == 0;
    tell_upstream(self->port, topic, size, true);
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
        { "max_subscriptions", conf->max_subscriptions,
          interest_count_of(fan_of(conn->port)->interest, conn->slot) + 1 },
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
change_topic(wport_t *self, uint32_t number, const uint8_t *topic, size_t size, bool on, bool *edge)
{
    interest_t *interest = fan_of(self)->interest;
    if (on && interest_add(interest, number, topic, size, edge))
        self->wire->subscriptions++;
    else if (!on && interest_remove(interest, number, topic, size, edge))
        self->wire->subscriptions--;
    else
        return false;
    return true;
}

// What it may not read is not sent, whatever it asks for. It is told once where that is all that it asked for; where
// matching is inverted a subscription asks for all but its topic.
static void
look_at_rights(conn_t *conn, const uint8_t *topic, size_t size)
{
    if (fan_of(conn->port)->invert || conn_may(conn, ADMISSION_SUBSCRIBE, topic, size))
        return;
    port_drop(conn->port, DROP_ACL, 1);
    say_denied(conn, "read", topic, size);
}

// It may read it, and no earlier subscription has brought it.
static bool
is_news(const conn_t *conn, bytes_t first)
{
    interest_t *interest = fan_of(conn->port)->interest;
    if (!conn_may(conn, ADMISSION_READ, first.at, first.size))
        return false;
    return interest_count_of(interest, conn->slot) == 0 ||
           !members_has(interest_match(interest, first.at, first.size), conn->slot);
}

// Whoever asks for much at once keeps nobody waiting.
static void
count_turn(conn_t *conn)
{
    if (++conn->asked < ASKED_A_TURN)
        return;
    conn->turn_over = true;
    conn_schedule(conn);
}

void
fan_subscribed(conn_t *conn, const uint8_t *topic, size_t size, bool on)
{
    wport_t *self = conn->port;
    fan_t *fan = fan_of(self);
    bool edge = false;
    count_turn(conn);
    bool is_new = on && !interest_has(fan->interest, conn->slot, topic, size);
    if (is_new && !within_quota(conn, size))
        return;
    if (on)
        look_at_rights(conn, topic, size);
    if (is_new && self->remembered && !fan->invert && !conn->hung_up) {
        durables_gets_more(conn);
        remember_bring(self->remembered, conn, bytes_of(topic, size), is_news);
    }
    bool changed = change_topic(self, conn->slot, topic, size, on, &edge);
    if (changed && conn->durable)
        durables_topic(conn, topic, size, on);
    // A publisher that hears one cancellation sends nothing more, so it hears of the last one only.
    if ((changed && edge) || (on && fan->verbose))
        tell_upstream(self, topic, size, on);
}

// Older peers, and those of any version who send it by hand, subscribe by a message: 01 or 00, and the topic.
bool
fan_hears(conn_t *conn, piece_t *piece)
{
    size_t size;
    const uint8_t *first = pump_first(piece, &size);
    if (size == 0 || first[0] > 1)
        return conn->port->socktype->type == ZMQ_PUB; // a PUB takes nothing else
    fan_subscribed(conn, first + 1, size - 1, first[0] == 1);
    return true;
}

// --- subscribers --------------------------------------------------------------------

uint32_t
fan_free_number(wport_t *self)
{
    fan_t *fan = fan_open(self);
    for (uint32_t i = 0; i < fan->count; i++)
        if (!fan->subscribers[i] && !(self->durables && durables_has(self->durables, i)))
            return i;
    mem_grow(fan->subscribers, fan->count, fan->room);
    fan->subscribers[fan->count] = NULL;
    return fan->count++;
}

// 0, or -1: it may not stay.
static int
take_number(conn_t *conn)
{
    durables_t *durables = conn->port->durables;
    int known = durables ? durables_join(durables, conn) : 0;
    if (known == 0)
        conn->slot = fan_free_number(conn->port);
    if (known == 0 && durables)
        durables_enter(durables, conn);
    return known == -1 ? -1 : 0;
}

static int
enter(conn_t *conn)
{
    fan_t *fan = fan_open(conn->port);
    if (take_number(conn) == -1)
        return -1;
    fan->subscribers[conn->slot] = conn;
    fan->restricted += conn->rights != NULL;
    return 0;
}

int
fan_rejoined(conn_t *conn)
{
    if (enter(conn) == -1)
        return -1;
    durables_came_over(conn);
    return 0;
}

int
fan_joined(conn_t *conn)
{
    if (enter(conn) == -1)
        return -1;
    const char *welcome = options_text(conn->port->conf, "xpub_welcome_msg");
    if (welcome)
        output_frame(conn, 0, NULL, 0, welcome, strlen(welcome));
    bool is_back = conn->port->durables && durables_bring(conn->port->durables, conn);
    if (!is_back && conn->major == 1)
        fan_subscribed(conn, NULL, 0, true); // it cannot say what it wants, and sorts that out itself
    return 0;
}

void
fan_left(conn_t *conn)
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
    fan_topics_each_at(conn->port, conn->slot, fn, arg);
}

void
fan_topics_each_at(const wport_t *self, uint32_t number, void (*fn)(void *arg, const void *topic, size_t size),
                   void *arg)
{
    const fan_t *fan = self->socktype->subscribed ? fan_of(self) : NULL;
    if (fan)
        interest_each_of(fan->interest, number, fn, arg);
}

void
fan_topic_again(conn_t *conn, const uint8_t *topic, size_t size)
{
    fan_topic_again_at(conn->port, conn->slot, topic, size, true);
}

void
fan_topic_again_at(wport_t *self, uint32_t number, const uint8_t *topic, size_t size, bool on)
{
    bool edge;
    if (self->socktype->subscribed && change_topic(self, number, topic, size, on, &edge))
        count_topics(self);
}

void
fan_remembers_now(wport_t *self)
{
    const fan_t *fan = fan_open(self);
    telling_t telling = { self, false };
    wport_t *to = self->to;
    if (!to || !to->socktype->topic)
        return;
    if (fan->upstream) // first what is wanted, so that nothing is missed
        interest_each(fan->interest, on_wanted, &telling);
    if (!telling.everything)
        to->socktype->topic(to, NULL, 0, !fan->upstream);
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
