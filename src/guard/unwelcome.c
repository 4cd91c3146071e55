// SPDX-License-Identifier: MPL-2.0
#include "guard/unwelcome.h"

#include "base/event.h"
#include "guard/bag.h"

#include <stdio.h>
#include <string.h>

// What is asked of the clients who are there when the policy changes.
typedef struct {
    watch_t *watch;
    const entry_t *had, *has; // of one side
    bag_t gone; // users whose key or password went
    bool all;   // keys are asked for that were not before
} review_t;

static void
find_gone_keys(review_t *self)
{
    const keyset_t *had = self->had->keys, *has = self->has->keys;
    self->all = self->had->any_key && !self->has->any_key;
    if (had == has) // not read again
        return;
    for (size_t i = 0; had && i < keyset_room(had); i++) {
        const char *user;
        const uint8_t *key = keyset_at(had, i, &user);
        if (!key || self->has->any_key)
            continue;
        const char *now = has ? keyset_find(has, key) : NULL;
        if (!now || strcmp(now, user) != 0)
            bag_put(&self->gone, user, strlen(user));
    }
}

static void
find_gone_users(review_t *self)
{
    const char *name, *hash;
    if (self->had->users == self->has->users)
        return;
    for (size_t i = 0; self->had->users && (name = users_at(self->had->users, i, &hash)); i++) {
        const char *now = self->has->users ? users_hash(self->has->users, name, strlen(name)) : NULL;
        if (!now || strcmp(now, hash) != 0)
            bag_put(&self->gone, name, strlen(name));
    }
}

static bool
may_stay(const review_t *self, const client_t *client)
{
    char address[sizeof client->peer];
    snprintf(address, sizeof address, "%s", client->peer);
    char *port = strrchr(address, ':');
    if (port)
        *port = '\0';
    if (self->all || !entry_admits(self->has, client->is_ipc ? NULL : address))
        return false;
    // One of whom we do not know who it is must come again and say so; who is not in yet will be asked anyway.
    if (self->gone.count > 0 && (client->unsure || bag_find(&self->gone, client->user, strlen(client->user))))
        return false;
    // The gate knows whose rights are others now; only where there was none it knows nobody.
    return !self->had->acl == !self->has->acl;
}

static void
review_client(const client_t *client, void *arg)
{
    const review_t *self = arg;
    if (client->side == self->has->side && !client->outgoing && !may_stay(self, client)
        && watch_kick(self->watch, self->has->route, client->id) == 0)
        log_event(EVENT_CLIENT_UNWELCOME, EVENT_TEXT("route", self->has->route), EVENT_TEXT("side", side_name(client->side)),
                  EVENT_NUMBER("client", client->id), EVENT_TEXT("peer", client->peer),
                  EVENT_TEXT("user", *client->user ? client->user : NULL));
}

void
unwelcome_cut(watch_t *watch, const policy_t *before, const policy_t *now)
{
    const entry_t *had;
    watch_forget_expected(watch);
    for (size_t i = 0; (had = policy_at(before, i)); i++) {
        review_t review = { .watch = watch, .had = had, .has = policy_side(now, had->route, had->side) };
        if (!review.has)
            continue;
        find_gone_keys(&review);
        find_gone_users(&review);
        watch_each(watch, had->route, review_client, &review);
        bag_free(&review.gone);
    }
}
