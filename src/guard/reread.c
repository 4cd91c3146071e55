// SPDX-License-Identifier: MPL-2.0
#include "guard/reread.h"

#include "base/text.h"

#include <string.h>

typedef enum { ADDED, REMOVED, CHANGED, LEFT_OUT, COUNTS } count_t;

// "/etc/zbroker/clients: 1 added, 2 removed"; nothing where nothing is counted.
static void
say_counts(text_t *words, const size_t counts[COUNTS])
{
    static const char *const what[COUNTS] = { "added", "removed", "changed", "more left out as damaged" };
    const char *before = ":";
    for (int i = 0; i < COUNTS; i++)
        if (counts[i] > 0) {
            text_add(words, "%s %zu %s", before, counts[i], what[i]);
            before = ",";
        }
}

static void
say_cert(const policy_file_t *before, const policy_file_t *now, text_t *words)
{
    enum { SHOWN = 8 }; // of a public key, enough to find it in its file
    if (strcmp(before->public_key, now->public_key) != 0)
        text_add(words, ": new key %.*s.. -> %.*s..", SHOWN, before->public_key, SHOWN, now->public_key);
}

static void
say_keys(const policy_file_t *before, const policy_file_t *now, text_t *words)
{
    const keyset_t *had = before->keys, *has = now->keys;
    size_t counts[COUNTS] = { 0 };
    const char *user;
    if (had == has) // not read again
        return;
    for (size_t i = 0; i < keyset_room(has); i++) {
        const uint8_t *key = keyset_at(has, i, &user);
        const char *then = key ? keyset_find(had, key) : user;
        if (key)
            counts[then ? CHANGED : ADDED] += !then || strcmp(then, user) != 0;
    }
    for (size_t i = 0; i < keyset_room(had); i++) {
        const uint8_t *key = keyset_at(had, i, &user);
        counts[REMOVED] += key && !keyset_find(has, key);
    }
    if (keyset_left_out(has) > keyset_left_out(had))
        counts[LEFT_OUT] = keyset_left_out(has) - keyset_left_out(had);
    say_counts(words, counts);
}

static void
say_users(const policy_file_t *before, const policy_file_t *now, text_t *words)
{
    const users_t *had = before->users, *has = now->users;
    size_t counts[COUNTS] = { 0 };
    const char *name, *hash;
    if (had == has)
        return;
    for (size_t i = 0; (name = users_at(has, i, &hash)); i++) {
        const char *then = users_hash(had, name, strlen(name));
        counts[then ? CHANGED : ADDED] += !then || strcmp(then, hash) != 0;
    }
    for (size_t i = 0; (name = users_at(had, i, &hash)); i++)
        counts[REMOVED] += !users_hash(has, name, strlen(name));
    say_counts(words, counts);
}

static void
say_acl(const policy_file_t *before, const policy_file_t *now, text_t *words)
{
    if (!acl_same(before->acl, now->acl))
        text_add(words, " changed");
}

static void (*const sayers[])(const policy_file_t *before, const policy_file_t *now, text_t *words) = {
    [POLICY_CERT] = say_cert,
    [POLICY_KEYS] = say_keys,
    [POLICY_USERS] = say_users,
    [POLICY_ACL] = say_acl,
};

void
reread_compare(const policy_t *before, const policy_t *now, reread_found_t *found, void *arg)
{
    const policy_file_t *file;
    text_t words = { 0 };
    for (size_t i = 0; (file = policy_file_at(now, i)); i++) {
        const policy_file_t *had = policy_file(before, file->route, file->key, file->path);
        if (!had)
            continue;
        text_clear(&words);
        text_add(&words, "%s", file->path);
        size_t nothing = words.size;
        sayers[file->kind](had, file, &words);
        if (words.size > nothing)
            found(arg, file->route, file->key, words.data, file->reload);
    }
    text_free(&words);
}
