// SPDX-License-Identifier: MPL-2.0
#include "guard/revoke.h"

#include "base/log.h"

#include <stdio.h>
#include <string.h>

// What is asked of the clients who are there when the policy changes.
typedef struct {
    watch_t *watch;
    const policy_entry_t *has; // of one side
    bool all;           // something went by which clients had come in
} review_t;

static bool
lost_a_key(const policy_entry_t *had, const policy_entry_t *has)
{
    if (has->any_key)
        return false;
    if (had->any_key)
        return true;
    const char *user;
    for (size_t i = 0; had->keys && had->keys != has->keys && i < keyset_room(had->keys); i++) {
        const uint8_t *key = keyset_at(had->keys, i, &user);
        const char *now = key && has->keys ? keyset_find(has->keys, key) : NULL;
        if (key && (!now || strcmp(now, user) != 0))
            return true;
    }
    return false;
}

static bool
lost_a_user(const policy_entry_t *had, const policy_entry_t *has)
{
    const char *name, *hash;
    for (size_t i = 0; had->users && had->users != has->users && (name = users_at(had->users, i, &hash)); i++) {
        const char *now = has->users ? users_hash(has->users, name, strlen(name)) : NULL;
        if (!now || strcmp(now, hash) != 0)
            return true;
    }
    return false;
}

static bool
may_stay(const review_t *self, const client_t *client)
{
    char address[sizeof client->peer];
    snprintf(address, sizeof address, "%s", client->peer);
    char *port = strrchr(address, ':');
    if (port)
        *port = '\0';
    return !self->all && entry_admits(self->has, client->is_ipc ? NULL : address);
}

static void
review_client(const client_t *client, void *arg)
{
    const review_t *self = arg;
    if (client->side == self->has->side && !client->outgoing && !may_stay(self, client)
        && watch_kick(self->watch, self->has->route, client->id) == 0)
        log_event(EVENT_CLIENT_UNWELCOME, EVENT_TEXT("route", self->has->route), EVENT_TEXT("side", side_name(client->side)),
                  EVENT_NUMBER("client", client->id), EVENT_TEXT("peer", client->peer));
}

void
revoke(watch_t *watch, const policy_t *before, const policy_t *now)
{
    const policy_entry_t *had;
    for (size_t i = 0; (had = policy_at(before, i)); i++) {
        const policy_entry_t *has = policy_side(now, had->route, had->side);
        if (!has)
            continue;
        review_t review = { watch, has, lost_a_key(had, has) || lost_a_user(had, has) };
        if (review.all)
            watch_cut_newcomers(watch, has->route, has->side);
        watch_each(watch, has->route, review_client, &review);
    }
}
