// SPDX-License-Identifier: MPL-2.0
#include "guard/subscribers.h"

#include "base/mem.h"
#include "flow/peername.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
    LEAVINGS = 1000, // subscriptions that end with their client, and as many as there are clients: look who has gone
    SWEEP_FIRST = 64,
};

// --- one connection ----------------------------------------------------------------

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
        return peername_is_ipc(address);
    if (getnameinfo((struct sockaddr *)&peer, size, name, sizeof name, NULL, 0, NI_NUMERICHOST) != 0)
        return false;
    peername_split(name, strlen(name), host, sizeof host);
    return strcmp(host, address) == 0;
}

bool
subscriber_is_alive(const subscriber_t *client)
{
    return client->fd == -1 || (client->inode != 0 && peername_inode(client->fd) == client->inode);
}

void
subscriber_cut(subscriber_t *client)
{
    if (client->fd != -1 && subscriber_is_alive(client))
        shutdown(client->fd, SHUT_RDWR);
    client->inode = 0;
}

const char *
subscriber_address(const subscriber_t *client)
{
    return peername_shown(client->address, "inproc");
}

const char *
subscriber_user(zmq_msg_t *frame, bool verified)
{
    const char *user = verified ? zmq_msg_gets(frame, "User-Id") : NULL;
    return user ? user : "";
}

const char *
subscriber_claimed_id(zmq_msg_t *frame)
{
    const char *id = zmq_msg_gets(frame, "Identity"); // as READY calls it
    return id ? id : "";
}

ino_t
subscriber_peer(zmq_msg_t *frame, char *host, size_t room)
{
    const char *text = zmq_msg_gets(frame, "Peer-Address");
    return peername_split(text ? text : "", text ? strlen(text) : 0, host, room);
}

// --- checked prefixes --------------------------------------------------------------

static void
remember_length(subscribers_t *self, size_t size)
{
    if (!self->lengths)
        self->lengths = xcalloc(CHECKED_MAX / 32 + 1, sizeof *self->lengths);
    self->lengths[size / 32] |= 1u << size % 32;
    if (size > self->longest)
        self->longest = size;
}

bool
subscribers_hold(subscribers_t *self, subscriber_t *client, const void *prefix, size_t size)
{
    if (size > CHECKED_MAX)
        return false;
    bag_item_t *item = bag_find(&self->checked, prefix, size);
    if (!item) {
        bag_put(&self->checked, prefix, size);
        item = bag_find(&self->checked, prefix, size);
        item->value = xcalloc(1, sizeof(holders_t));
        remember_length(self, size);
    }
    holders_t *holders = item->value;
    for (size_t i = 0; i < holders->count; i++)
        if (holders->clients[i] == client)
            return true;
    mem_grow(holders->clients, holders->count, holders->room);
    holders->clients[holders->count++] = client;
    return true;
}

void
subscribers_let_go(subscribers_t *self, const subscriber_t *client, const void *prefix, size_t size)
{
    bag_item_t *item = bag_find(&self->checked, prefix, size);
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
    bag_take(&self->checked, prefix, size);
}

const holders_t *
subscribers_holders(const subscribers_t *self, const void *topic, size_t size, size_t *length)
{
    size_t longest = size < self->longest ? size : self->longest;
    while (self->checked.count > 0 && *length <= longest) {
        size_t at = (*length)++;
        const bag_item_t *item = self->lengths[at / 32] & 1u << at % 32 ? bag_find(&self->checked, topic, at) : NULL;
        if (item)
            return item->value;
    }
    return NULL;
}

// --- all of them -------------------------------------------------------------------

static void
drop_all(topics_t *topics, idset_t *set)
{
    for (uint32_t i = 0; i < set->room; i++)
        if (idset_slot(set, i))
            topics_drop(topics, idset_slot(set, i));
    idset_free(set);
}

static void
free_client(subscribers_t *self, subscriber_t *client)
{
    for (size_t i = 0; i < client->installed.room; i++) {
        const bag_item_t *item = bag_slot(&client->installed, i);
        if (item)
            subscribers_let_go(self, client, item->bytes, item->size);
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

// Forget who has gone: at most as often as the number of clients doubles, or when
// more subscriptions have ended than there are clients to look at.
static void
sweep(subscribers_t *self)
{
    for (subscriber_t **at = &self->first; *at;) {
        subscriber_t *client = *at;
        if (subscriber_is_alive(client)) {
            at = &client->next;
            continue;
        }
        *at = client->next;
        bag_take(&self->index, client->key, client->key_size);
        free_client(self, client);
        self->count--;
    }
    self->sweep_at = self->count * 2 + SWEEP_FIRST;
    self->leavings = 0;
}

// Where we connect, the peer stays the same over its connections. Without a sender's address there is none
// to be seen: a descriptor in the frame would be what the peer made up.
static void
look_at_connection(subscriber_t *client, zmq_msg_t *frame, const char *sender)
{
    client->fd = sender ? zmq_msg_get(frame, ZMQ_SRCFD) : -1;
    if (!sender)
        return;
    ino_t inode = peername_inode(client->fd), known = subscriber_peer(frame, client->address, sizeof client->address);
    // By the time we read its message it may be closed and the number somebody else's.
    bool is_it = known ? inode == known : leads_to(client->fd, client->address);
    client->inode = is_it ? inode : 0;
}

static subscriber_t *
add_client(subscribers_t *self, zmq_msg_t *frame, const char *sender, const void *key, size_t key_size)
{
    subscriber_t *client = xcalloc(1, sizeof *client);
    if (self->count >= self->sweep_at)
        sweep(self);
    zmq_msg_init(&client->pin);
    zmq_msg_copy(&client->pin, frame);
    snprintf(client->user, sizeof client->user, "%s", subscriber_user(frame, self->verified));
    snprintf(client->id, sizeof client->id, "%s", subscriber_claimed_id(frame));
    look_at_connection(client, frame, sender);
    client->key_size = key_size;
    bag_put(&self->index, key, key_size);
    bag_item_t *item = bag_find(&self->index, key, key_size);
    item->value = client;
    client->key = item->bytes;
    client->next = self->first;
    self->first = client;
    self->count++;
    return client;
}

subscriber_t *
subscribers_find(subscribers_t *self, zmq_msg_t *frame, const char *sender)
{
    const void *key = &sender;
    size_t size = sizeof sender;
    char host[64];
    if (sender && self->last && self->last->sender == sender)
        return self->last;
    if (!sender)
        size = 0;
    else if (self->by_address) {
        subscriber_peer(frame, host, sizeof host);
        key = host;
        size = strlen(host);
    }
    const bag_item_t *item = bag_find(&self->index, key, size);
    subscriber_t *client = item ? item->value : add_client(self, frame, sender, key, size);
    if (self->by_address && item)
        look_at_connection(client, frame, sender);
    client->sender = self->by_address ? NULL : sender;
    return self->last = client;
}

// What goes with a client goes in one go.
void
subscribers_note_leaving(subscribers_t *self)
{
    if (++self->leavings > self->count + LEAVINGS)
        sweep(self);
}

void
subscribers_note_cut(subscribers_t *self)
{
    self->sweep_at = 0;
}

subscriber_t *
subscribers_local(const subscribers_t *self)
{
    const bag_item_t *item = bag_find(&self->index, "", 0); // they carry no address
    return item ? item->value : NULL;
}

void
subscribers_init(subscribers_t *self, topics_t *topics)
{
    *self = (subscribers_t){ .topics = topics_share(topics), .ignored = topics_new(), .sweep_at = SWEEP_FIRST };
}

void
subscribers_free(subscribers_t *self)
{
    while (self->first) {
        subscriber_t *client = self->first;
        self->first = client->next;
        idset_free(&client->asked); // all at once, below
        idset_free(&client->ignored);
        free_client(self, client);
    }
    topics_forget(self->topics);
    topics_free(&self->topics);
    topics_free(&self->ignored);
    bag_free(&self->checked); // of which nobody holds any more
    bag_free(&self->index);
    free(self->lengths);
}
