// SPDX-License-Identifier: MPL-2.0
#include "wire/fan_internal.h"

#include "base/mem.h"

#include <stdlib.h>
#include <zmq.h>

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

void
fan_tell_upstream(wport_t *self, const void *topic, size_t size, bool on)
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
    fan_tell_upstream(arg, topic, size, false);
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
    fan_tell_upstream(self->port, topic, size, true);
}

bool
fan_change(wport_t *self, uint32_t number, const uint8_t *topic, size_t size, bool on, bool *edge)
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

// --- by their number -----------------------------------------------------------------

uint32_t
fan_free_number(wport_t *self, uint32_t from)
{
    fan_t *fan = fan_open(self);
    for (uint32_t i = from; i < fan->count; i++)
        if (!fan->subscribers[i])
            return i;
    mem_grow(fan->subscribers, fan->count, fan->room);
    fan->subscribers[fan->count] = NULL;
    return fan->count++;
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
    if (self->socktype->subscribed && fan_change(self, number, topic, size, on, &edge))
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
    for (uint32_t i = 0; i < self->count; i++) // those who were handed over are not here any more
        restricted += self->open[i]->rights != NULL;
    if (fan)
        fan->restricted = restricted;
}
