// SPDX-License-Identifier: MPL-2.0
#include "guard/rights.h"

#include "base/event.h"
#include "base/mem.h"
#include "base/text.h"
#include "flow/peername.h"
#include "guard/users.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    REMEMBERED_MAX = 1000, // denials that were logged; then they are forgotten
    WRITERS_MAX = 4096,
};

typedef struct writer {
    char user[USER_NAME_MAX + 1];
    char id[64]; // "" where no line of the rights asks for it
    acl_view_t *view;
    uint64_t generation;
} writer_t;

// --- what was denied ---------------------------------------------------------------

static bool
denied_before(rights_t *self, const char *user, const void *topic, size_t size)
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

void
rights_say_denied(rights_t *self, const char *user, const char *address, const char *action, const void *topic,
                  size_t size)
{
    char key[600];
    snprintf(key, sizeof key, "%s\n%s\n%s", user, address, action);
    if (denied_before(self, key, topic, size))
        return;
    char *shown = topic_text(topic, size);
    log_event(EVENT_ACL_DENIED, EVENT_TEXT("route", self->route), EVENT_TEXT("address", address),
              EVENT_PROSE("action", action), EVENT_TEXT("user", *user ? user : NULL), EVENT_TEXT("topic", shown));
    free(shown);
}

// --- the rights in force -------------------------------------------------------------

static void
take_side(rights_t *self, side_t side)
{
    acl_t *acl = inforce_acl(self->inforce, self->route, side);
    if (!acl) // the policy no longer knows this route: it is leaving, and keeps what it had
        return;
    acl_free(&self->acl[side]);
    self->acl[side] = acl;
}

void
rights_take(rights_t *self)
{
    self->generation = inforce_generation(self->inforce);
    for (side_t side = 0; side < SIDES; side++)
        if (self->checked[side] || side == self->xpub)
            take_side(self, side);
}

// What USER may do at SIDE. NULL, which is nothing at all, where no rights are known; the caller frees.
static acl_view_t *
view_of(const rights_t *self, side_t side, const char *user, const char *client)
{
    return self->acl[side] ? acl_view(self->acl[side], user, client) : NULL;
}

// --- who subscribes ----------------------------------------------------------------

// What a client may read stays what it was when it came; when that has changed it must come again.
static bool
has_valid_view(rights_t *self, subscriber_t *client)
{
    if (client->view && client->generation == self->generation)
        return true;
    acl_view_t *view = view_of(self, self->xpub, client->user, client->id);
    bool same = view && (!client->view || acl_view_same(client->view, view));
    if (same) {
        acl_view_free(&client->view);
        client->view = view;
        client->generation = self->generation;
    } else {
        acl_view_free(&view);
    }
    return same;
}

void
rights_review(rights_t *self)
{
    if (self->generation == inforce_generation(self->inforce))
        return;
    rights_take(self);
    for (subscriber_t *client = self->subscribers->first; client; client = client->next)
        if (client->view && !has_valid_view(self, client))
            subscriber_cut(client);
}

bool
rights_install(rights_t *self, subscriber_t *client, void *xpub, const void *topic, size_t size)
{
    acl_cover_t cover = { 0 };
    if (!has_valid_view(self, client)) {
        subscriber_cut(client);
        return false;
    }
    if (!subscriber_is_alive(client))
        return false;
    acl_cover(client->view, topic, size, &cover);
    size_t entered = 0;
    for (size_t i = 0; i < cover.count; i++) {
        const acl_prefix_t *prefix = &cover.at[i];
        // Who cannot be shut out in time gets only what is certain.
        if (prefix->checked
            && (client->fd == -1 || !subscribers_hold(self->subscribers, client, prefix->bytes, prefix->size)))
            continue;
        entered++;
        if (bag_put(&client->installed, prefix->bytes, prefix->size) == 1)
            zmq_setsockopt(xpub, ZMQ_SUBSCRIBE, prefix->bytes, prefix->size);
    }
    acl_cover_free(&cover);
    if (entered == 0) {
        counter_add(&self->counters->dropped[DROP_ACL], 1);
        rights_say_denied(self, client->user, subscriber_address(client), "read", topic, size);
    }
    return entered > 0;
}

void
rights_uninstall(rights_t *self, subscriber_t *client, void *xpub, const void *topic, size_t size)
{
    acl_cover_t cover = { 0 };
    if (!client->view || !subscriber_is_alive(client))
        return;
    acl_cover(client->view, topic, size, &cover);
    for (size_t i = 0; i < cover.count; i++) {
        const acl_prefix_t *prefix = &cover.at[i];
        if (!bag_find(&client->installed, prefix->bytes, prefix->size)
            || bag_take(&client->installed, prefix->bytes, prefix->size) > 0)
            continue;
        if (prefix->checked)
            subscribers_let_go(self->subscribers, client, prefix->bytes, prefix->size);
        zmq_setsockopt(xpub, ZMQ_UNSUBSCRIBE, prefix->bytes, prefix->size);
    }
    acl_cover_free(&cover);
}

// Shut out those of the prefix's holders who may not see TOPIC.
static void
check_holders(rights_t *self, const holders_t *holders, const void *topic, size_t size)
{
    for (size_t i = 0; i < holders->count; i++) {
        subscriber_t *client = holders->clients[i];
        if (client->inode == 0 || acl_may(client->view, ACL_READ, topic, size))
            continue;
        if (subscriber_is_alive(client)) {
            char *shown = topic_text(topic, size);
            log_event(EVENT_ACL_CUT, EVENT_TEXT("route", self->route),
                      EVENT_TEXT("address", subscriber_address(client)),
                      EVENT_TEXT("user", *client->user ? client->user : NULL), EVENT_TEXT("topic", shown));
            free(shown);
        }
        subscriber_cut(client);
    }
}

void
rights_check_readers(rights_t *self, const void *topic, size_t size)
{
    const holders_t *holders;
    for (size_t length = 0; (holders = subscribers_holders(self->subscribers, topic, size, &length));)
        check_holders(self, holders, topic, size);
}

// --- who publishes -----------------------------------------------------------------

static void
forget_writers(bag_t *writers)
{
    for (size_t i = 0; i < writers->room; i++) {
        bag_item_t *item = bag_slot(writers, i);
        if (!item)
            continue;
        writer_t *writer = item->value;
        acl_view_free(&writer->view);
        free(writer);
    }
    bag_free(writers);
}

static writer_t *
add_writer(bag_t *writers, const char *key, size_t size, const char *user, const char *id)
{
    writer_t *writer = xcalloc(1, sizeof *writer);
    snprintf(writer->user, sizeof writer->user, "%s", user);
    snprintf(writer->id, sizeof writer->id, "%s", id);
    bag_put(writers, key, size);
    bag_find(writers, key, size)->value = writer;
    return writer;
}

static writer_t *
find_writer(rights_t *self, side_t from, const char *user, const char *id)
{
    char key[sizeof self->last[from]->user + sizeof self->last[from]->id];
    bag_t *writers = &self->writers[from];
    if (writers->count >= WRITERS_MAX) {
        forget_writers(writers);
        self->last[from] = NULL;
    }
    writer_t *last = self->last[from];
    if (last && strcmp(last->user, user) == 0 && strcmp(last->id, id) == 0)
        return last;
    // No user has a line break in its name.
    int size = snprintf(key, sizeof key, "%.*s\n%.*s", (int)sizeof last->user - 1, user, (int)sizeof last->id - 1, id);
    const bag_item_t *item = bag_find(writers, key, (size_t)size);
    return self->last[from] = item ? item->value : add_writer(writers, key, (size_t)size, user, id);
}

static const acl_view_t *
writer_view(rights_t *self, side_t from, zmq_msg_t *first, const char *user)
{
    bool by_id = self->acl[from] && acl_asks_for_id(self->acl[from]);
    writer_t *writer = find_writer(self, from, user, by_id ? subscriber_claimed_id(first) : "");
    if (!writer->view || writer->generation != self->generation) {
        acl_view_free(&writer->view);
        writer->view = view_of(self, from, writer->user, writer->id);
        writer->generation = self->generation;
    }
    return writer->view;
}

bool
rights_may_publish(rights_t *self, side_t from, zmq_msg_t *first)
{
    const void *topic = zmq_msg_data(first);
    size_t size = zmq_msg_size(first);
    const char *user = subscriber_user(first, self->verified[from]);
    const acl_view_t *view = writer_view(self, from, first, user);
    if (view && acl_may(view, ACL_WRITE, topic, size))
        return true;
    char address[64];
    subscriber_peer(first, address, sizeof address);
    rights_say_denied(self, user, peername_shown(address, "inproc"), "publish", topic, size);
    return false;
}

void
rights_free(rights_t *self)
{
    bag_free(&self->denied);
    for (size_t side = 0; side < SIDES; side++) {
        forget_writers(&self->writers[side]);
        acl_free(&self->acl[side]);
    }
}
