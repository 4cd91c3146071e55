// SPDX-License-Identifier: MPL-2.0
#include "guard/gate.h"

#include "base/event.h"
#include "base/mem.h"
#include "base/text.h"
#include "flow/peername.h"
#include "guard/bag.h"
#include "guard/idset.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <zmq.h>

enum {
    IGNORED_MAX = 1000,  // a client may be over its quota by so many subscriptions, or by the quota
    REMEMBERED_MAX = 1000, // denials that were logged; then they are forgotten
    WRITERS_MAX = 4096,
    INSTALLED_MAX = 65536, // prefixes in the XPUB's table for one client
    LEAVINGS = 1000, // subscriptions that end with their client, and as many as there are clients: look who has gone
    TOPIC_MAX = 65536,
};

// One connection that subscribes. Its metadata is alive as long as PIN, so its
// address in memory names it.
typedef struct subscriber {
    struct subscriber *next;
    zmq_msg_t pin;
    const void *key;
    size_t key_size;
    const char *sender; // the address in its metadata, NULL where all from one address are one
    int fd;      // -1: none to be seen (inproc)
    ino_t inode; // of its connection, 0: not alive any more
    char address[64];
    char user[256];
    char id[64];
    idset_t asked;   // topics, as asked for and taken in, each held
    idset_t ignored; // topics, over a quota or denied, each held
    bag_t installed; // prefixes in the XPUB's table, with how many of the asked need them
    acl_view_t *view;
    uint64_t generation;
    bool said_quota, said_cut;
} subscriber_t;

// A checked prefix and who has it.
typedef struct {
    subscriber_t **clients;
    size_t count, room;
} holders_t;

typedef struct {
    acl_view_t *view;
    uint64_t generation;
} writer_t;

struct gate {
    filter_t filter;
    const route_conf_t *conf;
    char route[ROUTE_NAME_MAX + 1]; // CONF may go before us
    void *socket;                   // the XPUB, once it was seen
    counters_t *counters;
    inforce_t *inforce;
    side_t from, xpub; // SIDES: none
    bool manual, by_address, verbose, verboser; // as the user set them
    bool out_of_step; // the XPUB may name the wrong peer
    uint64_t generation; // of the rights the clients were last looked at with

    subscriber_t *clients;
    bag_t index; // key -> subscriber_t
    subscriber_t *last; // found in it: subscriptions come in rows
    size_t count, sweep_at, leavings;
    topics_t *topics;  // the route's: asked for by how many connections
    topics_t *ignored; // by how many

    bag_t checked; // prefix -> holders_t
    unsigned *lengths; // a bit for each length of a checked prefix, NULL before the first
    size_t longest;

    bag_t writers, denied;
    size_t denials;
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
has_acl(const route_conf_t *conf, side_t side)
{
    return side < SIDES && conf->sides[side].security.acl && *conf->sides[side].security.acl;
}

static side_t
input_side(const route_conf_t *conf)
{
    if (has_acl(conf, SIDE_FRONTEND) && conf->sides[SIDE_FRONTEND].type != ZMQ_XPUB)
        return SIDE_FRONTEND;
    if (conf->sides[SIDE_INGRESS].type != -1 && has_acl(conf, SIDE_INGRESS))
        return SIDE_INGRESS;
    return has_acl(conf, SIDE_BACKEND) && conf->sides[SIDE_BACKEND].type != ZMQ_XPUB ? SIDE_BACKEND : SIDES;
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

static bool
connects(const side_conf_t *side)
{
    for (size_t i = 0; i < side->endpoint_count; i++)
        if (side->endpoints[i].connect)
            return true;
    return false;
}

// --- connections ------------------------------------------------------------------

// Is FD now a connection to ADDRESS? All there is to ask where no inode is known.
static bool
leads_to(int fd, const char *address)
{
    struct sockaddr_storage peer;
    socklen_t size = sizeof peer;
    char name[NI_MAXHOST], host[NI_MAXHOST];
    if (getpeername(fd, (struct sockaddr *)&peer, &size) == -1)
        return false;
    if (peer.ss_family == AF_UNIX)
        return strncmp(address, "localhost", 9) == 0;
    if (getnameinfo((struct sockaddr *)&peer, size, name, sizeof name, NULL, 0, NI_NUMERICHOST) != 0)
        return false;
    peername_split(name, strlen(name), host, sizeof host);
    return strcmp(host, address) == 0;
}

static bool
is_alive(const subscriber_t *client)
{
    return client->fd == -1 || (client->inode != 0 && peername_inode(client->fd) == client->inode);
}

// End a connection at once: nothing more reaches the peer, who comes back.
static void
cut(subscriber_t *client)
{
    if (client->fd != -1 && is_alive(client))
        shutdown(client->fd, SHUT_RDWR);
    client->inode = 0;
}

static const char *
shown_address(const subscriber_t *client)
{
    static const char mapped[] = "::ffff:";
    if (strncmp(client->address, mapped, sizeof mapped - 1) == 0 && strchr(client->address, '.'))
        return client->address + sizeof mapped - 1;
    return client->fd == -1 && !*client->address ? "inproc" : strncmp(client->address, "localhost", 9) == 0 ? "ipc"
                                                                                                     : client->address;
}

static void
copy_property(zmq_msg_t *frame, const char *name, char *to, size_t room)
{
    const char *text = zmq_msg_gets(frame, name);
    snprintf(to, room, "%s", text ? text : "");
}

// The inode of its connection, 0: not known.
static ino_t
peer_address(zmq_msg_t *frame, char *host, size_t room)
{
    const char *text = zmq_msg_gets(frame, "Peer-Address");
    return peername_split(text ? text : "", text ? strlen(text) : 0, host, room);
}

static void free_client(gate_t *self, subscriber_t *client);

// Forget who has gone: at most as often as the number of clients doubles, or when
// more subscriptions have ended than there are clients to look at.
static void
sweep(gate_t *self)
{
    for (subscriber_t **at = &self->clients; *at;) {
        subscriber_t *client = *at;
        if (is_alive(client)) {
            at = &client->next;
            continue;
        }
        *at = client->next;
        bag_take(&self->index, client->key, client->key_size);
        free_client(self, client);
        self->count--;
    }
    self->sweep_at = self->count * 2 + 64;
    self->leavings = 0;
}

// Where we connect, the peer stays the same over its connections.
static void
look_at_connection(subscriber_t *client, zmq_msg_t *frame)
{
    client->fd = zmq_msg_get(frame, ZMQ_SRCFD);
    ino_t inode = peername_inode(client->fd), known = peer_address(frame, client->address, sizeof client->address);
    // By the time we read its message it may be closed and the number somebody else's.
    bool is_it = known ? inode == known : leads_to(client->fd, client->address);
    client->inode = is_it ? inode : 0;
}

static subscriber_t *
add_client(gate_t *self, zmq_msg_t *frame, const void *key, size_t key_size)
{
    subscriber_t *client = xcalloc(1, sizeof *client);
    if (self->count >= self->sweep_at)
        sweep(self);
    zmq_msg_init(&client->pin);
    zmq_msg_copy(&client->pin, frame);
    copy_property(frame, "User-Id", client->user, sizeof client->user);
    copy_property(frame, "Routing-Id", client->id, sizeof client->id);
    look_at_connection(client, frame);
    client->key_size = key_size;
    bag_put(&self->index, key, key_size);
    bag_item_t *item = bag_find(&self->index, key, key_size);
    item->value = client;
    client->key = item->bytes;
    client->next = self->clients;
    self->clients = client;
    self->count++;
    return client;
}

// Who sent FRAME, of which SENDER is the address; NULL over inproc.
static subscriber_t *
find_client(gate_t *self, zmq_msg_t *frame, const char *sender)
{
    const void *key = &sender;
    size_t size = sizeof sender;
    char host[64];
    if (sender && self->last && self->last->sender == sender)
        return self->last;
    if (!sender || self->by_address) {
        peer_address(frame, host, sizeof host);
        key = host;
        size = strlen(host);
    }
    const bag_item_t *item = bag_find(&self->index, key, size);
    subscriber_t *client = item ? item->value : add_client(self, frame, key, size);
    if (self->by_address && item)
        look_at_connection(client, frame);
    client->sender = self->by_address ? NULL : sender;
    return self->last = client;
}

// --- rights -------------------------------------------------------------------------

// What a client may read stays what it was when it came; when that has changed it must come again.
static bool
has_valid_view(gate_t *self, subscriber_t *client)
{
    uint64_t generation = inforce_generation(self->inforce);
    if (client->view && client->generation == generation)
        return true;
    acl_view_t *view = inforce_view(self->inforce, self->route, self->xpub, client->user, client->id);
    bool same = view && (!client->view || acl_view_same(client->view, view));
    if (same) {
        acl_view_free(&client->view);
        client->view = view;
        client->generation = generation;
    } else {
        acl_view_free(&view);
    }
    return same;
}

// Rights have changed: whose are others now must come again, before anything else passes.
static void
review(gate_t *self)
{
    uint64_t generation = inforce_generation(self->inforce);
    if (generation == self->generation)
        return;
    self->generation = generation;
    for (subscriber_t *client = self->clients; client && self->manual; client = client->next)
        if (client->view && !has_valid_view(self, client))
            cut(client);
}

static void
remember_length(gate_t *self, size_t size)
{
    if (size >= TOPIC_MAX)
        return;
    if (!self->lengths)
        self->lengths = xcalloc(TOPIC_MAX / 32, sizeof *self->lengths);
    self->lengths[size / 32] |= 1u << size % 32;
    if (size > self->longest)
        self->longest = size;
}

static void
hold(gate_t *self, subscriber_t *client, const acl_prefix_t *prefix)
{
    bag_item_t *item = bag_find(&self->checked, prefix->bytes, prefix->size);
    if (!item) {
        bag_put(&self->checked, prefix->bytes, prefix->size);
        item = bag_find(&self->checked, prefix->bytes, prefix->size);
        item->value = xcalloc(1, sizeof(holders_t));
        remember_length(self, prefix->size);
    }
    holders_t *holders = item->value;
    for (size_t i = 0; i < holders->count; i++)
        if (holders->clients[i] == client)
            return;
    mem_grow(holders->clients, holders->count, holders->room);
    holders->clients[holders->count++] = client;
}

static void
let_go(gate_t *self, const subscriber_t *client, const void *bytes, size_t size)
{
    bag_item_t *item = bag_find(&self->checked, bytes, size);
    if (!item)
        return;
    holders_t *holders = item->value;
    for (size_t i = holders->count; i-- > 0;)
        if (holders->clients[i] == client)
            holders->clients[i] = holders->clients[--holders->count];
    if (holders->count > 0)
        return;
    free(holders->clients);
    free(holders);
    bag_take(&self->checked, bytes, size);
}

static void
drop_all(topics_t *topics, idset_t *set)
{
    for (uint32_t i = 0; i < set->room; i++)
        if (idset_slot(set, i))
            topics_drop(topics, idset_slot(set, i));
    idset_free(set);
}

static void
free_client(gate_t *self, subscriber_t *client)
{
    for (size_t i = 0; i < client->installed.room; i++) {
        const bag_item_t *item = bag_slot(&client->installed, i);
        if (item)
            let_go(self, client, item->bytes, item->size);
    }
    if (self->last == client)
        self->last = NULL;
    zmq_msg_close(&client->pin);
    drop_all(self->topics, &client->asked);
    drop_all(self->ignored, &client->ignored);
    bag_free(&client->installed);
    acl_view_free(&client->view);
    free(client);
}

static bool
denied_before(gate_t *self, const char *user, const void *topic, size_t size)
{
    text_t key = { 0 };
    if (self->denials++ >= REMEMBERED_MAX) {
        bag_free(&self->denied);
        self->denials = 0;
    }
    text_bytes(&key, user, strlen(user) + 1);
    text_bytes(&key, topic, size);
    bool before = bag_put(&self->denied, key.data, key.size) > 1;
    self->denials -= before;
    text_free(&key);
    return before;
}

// TOPIC, or its beginning, as a string: after a NUL byte nothing is shown.
static char *
topic_text(const void *topic, size_t size)
{
    text_t text = { 0 };
    text_bytes(&text, topic, size < 100 ? size : 100);
    return text_take(&text);
}

static void
say_denied(gate_t *self, const char *user, const char *who, const char *what, const void *topic, size_t size)
{
    char key[600];
    snprintf(key, sizeof key, "%s\n%s\n%s", user, who, what);
    if (denied_before(self, key, topic, size))
        return;
    char *shown = topic_text(topic, size);
    log_event(EVENT_ACL_DENIED, EVENT_TEXT("route", self->route), EVENT_TEXT("address", who), EVENT_PROSE("action", what),
              EVENT_TEXT("user", *user ? user : NULL), EVENT_TEXT("topic", shown));
    free(shown);
}

// --- subscriptions ------------------------------------------------------------------

// Enter what CLIENT, whose frame was just read from XPUB, may see of TOPIC.
static bool
install(gate_t *self, subscriber_t *client, void *xpub, const void *topic, size_t size)
{
    acl_cover_t cover = { 0 };
    if (!has_valid_view(self, client)) {
        cut(client);
        return false;
    }
    if (!is_alive(client))
        return false;
    acl_cover(client->view, topic, size, &cover);
    size_t entered = 0;
    for (size_t i = 0; i < cover.count; i++) {
        const acl_prefix_t *prefix = &cover.at[i];
        // Who cannot be shut out in time gets only what is certain.
        if (prefix->checked && client->fd == -1)
            continue;
        entered++;
        if (prefix->checked)
            hold(self, client, prefix);
        if (bag_put(&client->installed, prefix->bytes, prefix->size) == 1)
            zmq_setsockopt(xpub, ZMQ_SUBSCRIBE, prefix->bytes, prefix->size);
    }
    acl_cover_free(&cover);
    if (entered == 0) {
        counter_add(&self->counters->dropped[DROP_ACL], 1);
        say_denied(self, client->user, shown_address(client), "read", topic, size);
    }
    return entered > 0;
}

static void
uninstall(gate_t *self, subscriber_t *client, void *xpub, const void *topic, size_t size)
{
    acl_cover_t cover = { 0 };
    if (!client->view || !is_alive(client))
        return;
    acl_cover(client->view, topic, size, &cover);
    for (size_t i = 0; i < cover.count; i++) {
        const acl_prefix_t *prefix = &cover.at[i];
        if (!bag_find(&client->installed, prefix->bytes, prefix->size)
            || bag_take(&client->installed, prefix->bytes, prefix->size) > 0)
            continue;
        if (prefix->checked)
            let_go(self, client, prefix->bytes, prefix->size);
        zmq_setsockopt(xpub, ZMQ_UNSUBSCRIBE, prefix->bytes, prefix->size);
    }
    acl_cover_free(&cover);
}

static void
say_quota(gate_t *self, subscriber_t *client, const char *key, int64_t limit, size_t topic_size)
{
    counter_add(&self->counters->dropped[DROP_QUOTA], 1);
    if (!client->said_quota)
        log_event(EVENT_QUOTA_IGNORED, EVENT_TEXT("route", self->route), EVENT_TEXT("address", shown_address(client)),
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
        log_event(EVENT_QUOTA_CUT, EVENT_TEXT("route", self->route), EVENT_TEXT("address", shown_address(client)),
                  EVENT_TEXT("user", *client->user ? client->user : NULL), EVENT_NUMBER("ignored", client->ignored.count));
    client->said_cut = true;
    cut(client);
    self->sweep_at = 0; // it holds a lot: gone before the next one comes
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
    uint32_t number = topics_hold(self->ignored, topic, size);
    idset_put(&client->ignored, number);
    topics_ask(self->ignored, number);
    cut_if_stubborn(self, client);
}

// Its number if CLIENT is ignored with it, or 0.
static uint32_t
find_ignored(gate_t *self, const subscriber_t *client, const void *topic, size_t size)
{
    uint32_t number = client->ignored.count > 0 ? topics_find(self->ignored, topic, size) : 0;
    return number && idset_has(&client->ignored, number) ? number : 0;
}

static bool
subscribed(gate_t *self, subscriber_t *client, void *xpub, const void *topic, size_t size)
{
    if (find_ignored(self, client, topic, size))
        return false;
    uint32_t number = topics_hold(self->topics, topic, size);
    if (idset_has(&client->asked, number)) {
        topics_drop(self->topics, number);
        return self->verbose;
    }
    if (is_over_quota(self, client, size) || (self->manual && !install(self, client, xpub, topic, size))) {
        topics_drop(self->topics, number);
        ignore(self, client, topic, size);
        return false;
    }
    idset_put(&client->asked, number);
    return topics_ask(self->topics, number) == 1 || self->verbose;
}

static bool
unsubscribed(gate_t *self, subscriber_t *client, void *xpub, const void *topic, size_t size)
{
    uint32_t number = find_ignored(self, client, topic, size);
    if (number) {
        idset_take(&client->ignored, number);
        topics_unask(self->ignored, number);
        topics_drop(self->ignored, number);
        return false;
    }
    number = topics_find(self->topics, topic, size);
    if (!number || !idset_take(&client->asked, number))
        return false;
    if (self->manual)
        uninstall(self, client, xpub, topic, size);
    bool was_last = topics_unask(self->topics, number) == 0;
    topics_drop(self->topics, number);
    return was_last || self->verboser;
}

// What goes with a client goes in one go: then it is time to forget the client.
static void
note_leaving(gate_t *self)
{
    if (++self->leavings > self->count + LEAVINGS)
        sweep(self);
}

// One of those who asked for TOPIC has left; which, libzmq does not say. That of
// an ignored one is taken first: then at worst the frontend brings a topic too long.
static bool
left(gate_t *self, const void *topic, size_t size)
{
    uint32_t number = topics_find(self->topics, topic, size);
    const bag_item_t *local = bag_find(&self->index, "", 0); // peers over inproc carry no address either
    bool was_local = number && local && idset_take(&((subscriber_t *)local->value)->asked, number);
    uint32_t ignored = topics_find(self->ignored, topic, size);
    bool was_ignored = ignored && topics_asked(self->ignored, ignored) > 0;
    bool was_asked = !was_ignored && number && topics_asked(self->topics, number) > 0;
    bool was_last = was_asked && topics_unask(self->topics, number) == 0;
    if (was_ignored)
        topics_unask(self->ignored, ignored);
    if (was_local)
        topics_drop(self->topics, number);
    note_leaving(self);
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
    say_denied(self, client->user, shown_address(client), "send upwards", zmq_msg_data(frame), zmq_msg_size(frame));
    counter_add(&self->counters->dropped[DROP_ACL], 1);
    cut(client);
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
    review(self);
    const char *sender = zmq_msg_gets(frame, "Peer-Address");
    bool is_plain = size == 0 || data[0] > 1;
    if (!sender && !is_plain && data[0] == 0)
        return left(self, data + 1, size - 1);
    subscriber_t *client = find_client(self, frame, sender);
    if (is_plain)
        return spoke(self, client, xpub, frame);
    if (self->out_of_step) {
        cut(client); // it comes again, and then we know it
        look_for_step(self, xpub);
    }
    return data[0] ? subscribed(self, client, xpub, data + 1, size - 1)
                   : unsubscribed(self, client, xpub, data + 1, size - 1);
}

// --- messages -----------------------------------------------------------------------

static const acl_view_t *
writer_view(gate_t *self, zmq_msg_t *first, const char *user)
{
    const char *id = zmq_msg_gets(first, "Routing-Id");
    uint64_t generation = inforce_generation(self->inforce);
    text_t key = { 0 };
    text_bytes(&key, user, strlen(user) + 1);
    text_bytes(&key, id ? id : "", id ? strlen(id) : 0);
    bag_item_t *item = bag_find(&self->writers, key.data, key.size);
    if (!item) {
        bag_put(&self->writers, key.data, key.size);
        item = bag_find(&self->writers, key.data, key.size);
        item->value = xcalloc(1, sizeof(writer_t));
    }
    writer_t *writer = item->value;
    if (!writer->view || writer->generation != generation) {
        acl_view_free(&writer->view);
        writer->view = inforce_view(self->inforce, self->route, self->from, user, id ? id : "");
        writer->generation = generation;
    }
    text_free(&key);
    return writer->view;
}

static void
forget_writers(gate_t *self)
{
    for (size_t i = 0; i < self->writers.room; i++) {
        bag_item_t *item = bag_slot(&self->writers, i);
        if (!item)
            continue;
        writer_t *writer = item->value;
        acl_view_free(&writer->view);
        free(writer);
    }
    bag_free(&self->writers);
}

static bool
may_publish(gate_t *self, zmq_msg_t *first, const void *topic, size_t size)
{
    const char *user = zmq_msg_gets(first, "User-Id");
    if (self->writers.count >= WRITERS_MAX)
        forget_writers(self);
    const acl_view_t *view = writer_view(self, first, user ? user : "");
    if (!view || acl_may(view, ACL_WRITE, topic, size))
        return true;
    char address[64];
    peer_address(first, address, sizeof address);
    say_denied(self, user ? user : "", *address ? address : "inproc", "publish", topic, size);
    return false;
}

// Shut out those of the prefix's holders who may not see TOPIC.
static void
check_holders(gate_t *self, holders_t *holders, const void *topic, size_t size)
{
    for (size_t i = 0; i < holders->count; i++) {
        subscriber_t *client = holders->clients[i];
        if (client->inode == 0 || acl_may(client->view, ACL_READ, topic, size))
            continue;
        if (is_alive(client)) {
            char *shown = topic_text(topic, size);
            log_event(EVENT_ACL_CUT, EVENT_TEXT("route", self->route), EVENT_TEXT("address", shown_address(client)),
                      EVENT_TEXT("user", *client->user ? client->user : NULL), EVENT_TEXT("topic", shown));
            free(shown);
        }
        cut(client);
    }
}

static void
check_readers(gate_t *self, const void *topic, size_t size)
{
    size_t longest = size < self->longest ? size : self->longest;
    if (!self->lengths)
        return;
    for (size_t length = 0; length <= longest; length++) {
        if (!(self->lengths[length / 32] & 1u << length % 32))
            continue;
        const bag_item_t *item = bag_find(&self->checked, topic, length);
        if (item)
            check_holders(self, item->value, topic, size);
    }
}

static bool
on_message(void *arg, zmq_msg_t *first, drop_reason_t *reason)
{
    gate_t *self = arg;
    const void *topic = zmq_msg_data(first);
    size_t size = zmq_msg_size(first);
    review(self);
    if (self->from != SIDES && !may_publish(self, first, topic, size)) {
        *reason = DROP_ACL;
        return false;
    }
    if (self->checked.count > 0)
        check_readers(self, topic, size);
    return true;
}

// --- life -----------------------------------------------------------------------------

static void
take_conf(gate_t *self, const route_conf_t *conf, counters_t *counters)
{
    self->conf = conf;
    snprintf(self->route, sizeof self->route, "%s", conf->name);
    self->counters = counters;
    self->from = input_side(conf);
    self->xpub = xpub_side(conf);
    self->manual = self->xpub != SIDES && gate_mode(conf, self->xpub) == GATE_MANUAL;
    bool counts = self->xpub != SIDES && gate_mode(conf, self->xpub) != GATE_OPEN;
    self->by_address = counts && connects(&conf->sides[self->xpub]);
    self->verboser = counts && has_option(&conf->sides[self->xpub], "xpub_verboser");
    self->verbose = self->verboser || (counts && has_option(&conf->sides[self->xpub], "xpub_verbose"));
    self->filter = (filter_t){ .message = on_message,
                               .subscription = on_subscription,
                               .arg = self,
                               .filters_messages = self->from != SIDES || self->manual,
                               .filters_subscriptions = counts };
}

gate_t *
gate_new(const route_conf_t *conf, counters_t *counters, topics_t *topics, inforce_t *inforce)
{
    gate_t *self = xcalloc(1, sizeof *self);
    self->inforce = inforce;
    self->topics = topics_share(topics);
    self->ignored = topics_new();
    self->sweep_at = 64;
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
    for (subscriber_t *client = self->clients; client; client = client->next)
        cut(client);
}

bool
gate_resume(gate_t *self, const route_conf_t *conf, counters_t *counters, const topics_t *topics)
{
    bool manual = self->manual, counts = self->filter.filters_subscriptions;
    take_conf(self, conf, counters);
    return self->topics == topics && self->manual == manual && self->filter.filters_subscriptions == counts;
}

void
gate_free(gate_t **self_p)
{
    gate_t *self = *self_p;
    if (!self)
        return;
    while (self->clients) {
        subscriber_t *client = self->clients;
        self->clients = client->next;
        idset_free(&client->asked);
        idset_free(&client->ignored);
        free_client(self, client);
    }
    topics_forget(self->topics);
    topics_free(&self->topics);
    topics_free(&self->ignored);
    for (size_t i = 0; i < self->checked.room; i++) {
        bag_item_t *item = bag_slot(&self->checked, i);
        if (!item)
            continue;
        free(((holders_t *)item->value)->clients);
        free(item->value);
    }
    forget_writers(self);
    bag_free(&self->checked);
    bag_free(&self->index);
    bag_free(&self->denied);
    free(self->lengths);
    free(self);
    *self_p = NULL;
}
