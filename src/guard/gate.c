// SPDX-License-Identifier: MPL-2.0
#include "guard/gate.h"

#include "base/event.h"
#include "base/mem.h"
#include "base/text.h"
#include "guard/rights.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

enum {
    IGNORED_MAX = 1000,    // a client may be over its quota by so many subscriptions, or by the quota
    INSTALLED_MAX = 65536, // prefixes in the XPUB's table for one client
};

struct gate {
    filter_t filter;
    const route_conf_t *conf;
    char route[ROUTE_NAME_MAX + 1]; // CONF may go before us
    counters_t *counters;
    void *socket; // the XPUB, once it was seen
    side_t xpub;  // SIDES: none
    bool manual, verbose, verboser; // as the user set them
    bool out_of_step; // the XPUB may name the wrong peer
    bool addressless; // over tipc libzmq knows no address: who names one there has made it up
    subscribers_t subscribers;
    rights_t rights;
};

// --- what a route needs ---------------------------------------------------------

static side_t
xpub_side(const route_conf_t *conf)
{
    for (side_t side = 0; side < SIDE_CAPTURE; side++)
        if (conf->sides[side].type == ZMQ_XPUB)
            return side;
    return SIDES;
}

static bool
is_over_tipc(const side_conf_t *side)
{
    for (size_t i = 0; i < side->endpoint_count; i++)
        if (side->endpoints[i].at.transport == TRANSPORT_TIPC)
            return true;
    return false;
}

static bool
has_acl(const route_conf_t *conf, side_t side)
{
    return text_given(conf->sides[side].security.acl);
}

static bool
needs_right_to_publish(const route_conf_t *conf, side_t side)
{
    return side != SIDE_CAPTURE && conf->sides[side].type != -1 && conf->sides[side].type != ZMQ_XPUB && has_acl(conf, side);
}

gate_mode_t
gate_mode(const route_conf_t *conf, side_t side)
{
    const side_conf_t *at = &conf->sides[side];
    if (conf->engine == ENGINE_ZMQ_PROXY || side != xpub_side(conf))
        return GATE_OPEN;
    if (has_acl(conf, side))
        return GATE_MANUAL;
    return at->max_subscriptions > 0 || at->max_topic > 0 ? GATE_COUNTS : GATE_OPEN;
}

static bool
has_option(const side_conf_t *side, const char *key)
{
    for (size_t i = 0; i < side->option_count; i++)
        if (strcmp(side->options[i].option->key, key) == 0 && side->options[i].value.number != 0)
            return true;
    return false;
}

// --- quotas ------------------------------------------------------------------------

static void
say_quota(gate_t *self, subscriber_t *client, const char *key, int64_t limit, size_t topic_size)
{
    counter_add(&self->counters->dropped[DROP_QUOTA], 1);
    if (!client->said_quota)
        log_event(EVENT_QUOTA_IGNORED, EVENT_TEXT("route", self->route),
                  EVENT_TEXT("address", subscriber_address(client)),
                  EVENT_TEXT("user", *client->user ? client->user : NULL), EVENT_NUMBER("bytes", topic_size),
                  EVENT_TEXT("limited_by", key), EVENT_NUMBER("limit", limit));
    client->said_quota = true;
}

// libzmq has entered what we ignore: one who goes on and on is cut.
static void
cut_if_stubborn(gate_t *self, subscriber_t *client)
{
    int64_t limit = self->conf->sides[self->xpub].max_subscriptions;
    if ((int64_t)client->ignored.count <= (limit > IGNORED_MAX ? limit : IGNORED_MAX))
        return;
    if (!client->said_cut)
        log_event(EVENT_QUOTA_CUT, EVENT_TEXT("route", self->route), EVENT_TEXT("address", subscriber_address(client)),
                  EVENT_TEXT("user", *client->user ? client->user : NULL),
                  EVENT_NUMBER("ignored", client->ignored.count));
    client->said_cut = true;
    subscriber_cut(client);
    subscribers_note_cut(&self->subscribers);
}

static bool
is_over_quota(gate_t *self, subscriber_t *client, size_t size)
{
    const side_conf_t *conf = &self->conf->sides[self->xpub];
    if (conf->max_topic > 0 && (int64_t)size > conf->max_topic)
        say_quota(self, client, "max_topic", conf->max_topic, size);
    else if ((conf->max_subscriptions > 0 && (int64_t)client->asked.count >= conf->max_subscriptions)
             || client->installed.count >= INSTALLED_MAX)
        say_quota(self, client, "max_subscriptions", conf->max_subscriptions, size);
    else
        return false;
    return true;
}

static void
ignore(gate_t *self, subscriber_t *client, const void *topic, size_t size)
{
    uint32_t number = topics_hold(self->subscribers.ignored, topic, size);
    idset_put(&client->ignored, number);
    topics_ask(self->subscribers.ignored, number);
    cut_if_stubborn(self, client);
}

// Its number if CLIENT is ignored with it, or 0.
static uint32_t
find_ignored(gate_t *self, const subscriber_t *client, const void *topic, size_t size)
{
    uint32_t number = client->ignored.count > 0 ? topics_find(self->subscribers.ignored, topic, size) : 0;
    return number && idset_has(&client->ignored, number) ? number : 0;
}

// --- subscriptions -----------------------------------------------------------------

static bool
subscribed(gate_t *self, subscriber_t *client, void *xpub, const void *topic, size_t size)
{
    if (find_ignored(self, client, topic, size))
        return false;
    uint32_t number = topics_hold(self->subscribers.topics, topic, size);
    if (idset_has(&client->asked, number)) {
        topics_drop(self->subscribers.topics, number);
        return self->verbose;
    }
    if (is_over_quota(self, client, size)
        || (self->manual && !rights_install(&self->rights, client, xpub, topic, size))) {
        topics_drop(self->subscribers.topics, number);
        ignore(self, client, topic, size);
        return false;
    }
    idset_put(&client->asked, number);
    return topics_ask(self->subscribers.topics, number) == 1 || self->verbose;
}

static bool
unsubscribed(gate_t *self, subscriber_t *client, void *xpub, const void *topic, size_t size)
{
    uint32_t number = find_ignored(self, client, topic, size);
    if (number) {
        idset_take(&client->ignored, number);
        topics_unask(self->subscribers.ignored, number);
        topics_drop(self->subscribers.ignored, number);
        return false;
    }
    number = topics_find(self->subscribers.topics, topic, size);
    if (!number || !idset_take(&client->asked, number))
        return false;
    if (self->manual)
        rights_uninstall(&self->rights, client, xpub, topic, size);
    bool was_last = topics_unask(self->subscribers.topics, number) == 0;
    topics_drop(self->subscribers.topics, number);
    return was_last || self->verboser;
}

// One of those who asked for TOPIC has left; which, libzmq does not say. That of
// an ignored one is taken first: then at worst the frontend brings a topic too long.
static bool
left(gate_t *self, const void *topic, size_t size)
{
    uint32_t number = topics_find(self->subscribers.topics, topic, size);
    subscriber_t *local = subscribers_local(&self->subscribers);
    bool was_local = number && local && idset_take(&local->asked, number);
    uint32_t ignored = topics_find(self->subscribers.ignored, topic, size);
    bool was_ignored = ignored && topics_asked(self->subscribers.ignored, ignored) > 0;
    bool was_asked = !was_ignored && number && topics_asked(self->subscribers.topics, number) > 0;
    bool was_last = was_asked && topics_unask(self->subscribers.topics, number) == 0;
    if (was_ignored)
        topics_unask(self->subscribers.ignored, ignored);
    if (was_local)
        topics_drop(self->subscribers.topics, number);
    subscribers_note_leaving(&self->subscribers);
    return was_asked && (was_last || self->verboser);
}

// Each message in the XPUB's queue that is no subscription makes it name the
// peers that follow wrongly (one too far), until the queue is empty.
static void
look_for_step(gate_t *self, void *xpub)
{
    int events = 0;
    size_t size = sizeof events;
    zmq_getsockopt(xpub, ZMQ_EVENTS, &events, &size);
    self->out_of_step = (events & ZMQ_POLLIN) != 0;
}

// A message from a subscriber. With rights, readers do not write.
static bool
spoke(gate_t *self, subscriber_t *client, void *xpub, zmq_msg_t *frame)
{
    if (!self->manual)
        return true;
    rights_say_denied(&self->rights, client->user, subscriber_address(client), "send upwards", zmq_msg_data(frame),
                      zmq_msg_size(frame));
    counter_add(&self->counters->dropped[DROP_ACL], 1);
    subscriber_cut(client);
    self->out_of_step = true;
    look_for_step(self, xpub);
    return false;
}

static bool
on_subscription(void *arg, void *xpub, zmq_msg_t *frame)
{
    gate_t *self = arg;
    const unsigned char *data = zmq_msg_data(frame);
    size_t size = zmq_msg_size(frame);
    self->socket = xpub;
    rights_review(&self->rights);
    const char *sender = self->addressless ? NULL : zmq_msg_gets(frame, "Peer-Address");
    bool is_plain = size == 0 || data[0] > 1;
    if (!sender && !is_plain && data[0] == 0)
        return left(self, data + 1, size - 1);
    subscriber_t *client = subscribers_find(&self->subscribers, frame, sender);
    if (is_plain)
        return spoke(self, client, xpub, frame);
    if (self->out_of_step) {
        subscriber_cut(client); // it comes again, and then we know it
        look_for_step(self, xpub);
    }
    return data[0] ? subscribed(self, client, xpub, data + 1, size - 1)
                   : unsubscribed(self, client, xpub, data + 1, size - 1);
}

// --- messages ----------------------------------------------------------------------

static bool
on_message(void *arg, side_t from, zmq_msg_t *first, drop_reason_t *reason)
{
    gate_t *self = arg;
    rights_review(&self->rights);
    if (self->rights.checked[from] && !rights_may_publish(&self->rights, from, first)) {
        *reason = DROP_ACL;
        return false;
    }
    rights_check_readers(&self->rights, zmq_msg_data(first), zmq_msg_size(first));
    return true;
}

// --- life -----------------------------------------------------------------------------

static void
take_conf(gate_t *self, const route_conf_t *conf, counters_t *counters)
{
    self->conf = conf;
    snprintf(self->route, sizeof self->route, "%s", conf->name);
    self->counters = counters;
    self->xpub = xpub_side(conf);
    self->rights.counters = counters;
    self->rights.xpub = self->xpub;
    bool checks = false;
    for (side_t side = 0; side < SIDES; side++) {
        checks |= self->rights.checked[side] = needs_right_to_publish(conf, side);
        self->rights.verified[side] = side_verifies_users(&conf->sides[side]);
    }
    rights_take(&self->rights);
    self->manual = self->xpub != SIDES && gate_mode(conf, self->xpub) == GATE_MANUAL;
    self->addressless = self->xpub != SIDES && is_over_tipc(&conf->sides[self->xpub]);
    bool counts = self->xpub != SIDES && gate_mode(conf, self->xpub) != GATE_OPEN;
    self->subscribers.by_address = counts && side_is_client(&conf->sides[self->xpub]);
    self->subscribers.verified = counts && side_verifies_users(&conf->sides[self->xpub]);
    self->verboser = counts && has_option(&conf->sides[self->xpub], "xpub_verboser");
    self->verbose = self->verboser || (counts && has_option(&conf->sides[self->xpub], "xpub_verbose"));
    self->filter = (filter_t){ .message = on_message,
                               .subscription = on_subscription,
                               .arg = self,
                               .filters_messages = checks || self->manual,
                               .filters_subscriptions = counts };
}

gate_t *
gate_new(const route_conf_t *conf, counters_t *counters, topics_t *topics, inforce_t *inforce)
{
    gate_t *self = xcalloc(1, sizeof *self);
    subscribers_init(&self->subscribers, topics);
    self->rights = (rights_t){ .inforce = inforce, .route = self->route, .subscribers = &self->subscribers };
    take_conf(self, conf, counters);
    if (conf->engine == ENGINE_ZMQ_PROXY || (!self->filter.filters_messages && !self->filter.filters_subscriptions))
        gate_free(&self);
    return self;
}

filter_t *
gate_filter(gate_t *self)
{
    return &self->filter;
}

const char *
gate_route(const gate_t *self)
{
    return self->route;
}

void *
gate_socket(const gate_t *self)
{
    return self->socket;
}

void
gate_cut(gate_t *self)
{
    for (subscriber_t *client = self->subscribers.first; client; client = client->next)
        subscriber_cut(client);
}

bool
gate_resume(gate_t *self, const route_conf_t *conf, counters_t *counters, const topics_t *topics)
{
    bool manual = self->manual, counts = self->filter.filters_subscriptions;
    take_conf(self, conf, counters);
    return self->subscribers.topics == topics && self->manual == manual && self->filter.filters_subscriptions == counts;
}

void
gate_free(gate_t **self_p)
{
    gate_t *self = *self_p;
    if (!self)
        return;
    rights_free(&self->rights);
    subscribers_free(&self->subscribers);
    free(self);
    *self_p = NULL;
}
