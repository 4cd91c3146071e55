// SPDX-License-Identifier: MPL-2.0
#include "guard/keyset.h"

#include "base/mem.h"
#include "guard/bag.h"
#include "guard/cert.h"
#include "guard/file.h"
#include "guard/users.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// What was read of a certificate. A folder may hold a hundred thousand, and a
// reload after one has changed need not read all the others.
typedef struct {
    char *name; // in its folder
    file_state_t state;
    uint8_t key[CERT_KEY_SIZE];
    char *user; // NULL: damaged
} known_t;

typedef struct {
    uint8_t key[32];
    const char *user; // of the known one; NULL: a free slot
} client_key_t;

struct keyset {
    unsigned holders;
    size_t left_out;
    client_key_t *slots;
    size_t count, room; // room is a power of two
    known_t *known;     // in the order of their names
    size_t known_count, known_room;
};

// --- by key ---------------------------------------------------------------------

// The keys are curve points of people we chose: their first bytes are as good as a hash.
static size_t
slot_of(const keyset_t *self, const uint8_t key[32])
{
    uint64_t hash;
    memcpy(&hash, key, sizeof hash);
    size_t i = (size_t)hash & (self->room - 1);
    while (self->slots[i].user && memcmp(self->slots[i].key, key, 32) != 0)
        i = (i + 1) & (self->room - 1);
    return i;
}

const char *
keyset_find(const keyset_t *self, const uint8_t key[32])
{
    return self->room ? self->slots[slot_of(self, key)].user : NULL;
}

size_t
keyset_left_out(const keyset_t *self)
{
    return self->left_out;
}

size_t
keyset_room(const keyset_t *self)
{
    return self->room;
}

const uint8_t *
keyset_at(const keyset_t *self, size_t i, const char **user)
{
    *user = self->slots[i].user;
    return *user ? self->slots[i].key : NULL;
}

static void
grow(keyset_t *self)
{
    keyset_t bigger = { .room = self->room ? self->room * 2 : 64 };
    bigger.slots = xcalloc(bigger.room, sizeof *bigger.slots);
    for (size_t i = 0; i < self->room; i++)
        if (self->slots[i].user)
            bigger.slots[slot_of(&bigger, self->slots[i].key)] = self->slots[i];
    free(self->slots);
    self->slots = bigger.slots;
    self->room = bigger.room;
}

// The user who has KEY already, or NULL: added.
static const char *
add(keyset_t *self, const uint8_t key[32], const char *user)
{
    if (self->count * 2 >= self->room)
        grow(self);
    client_key_t *slot = &self->slots[slot_of(self, key)];
    if (slot->user)
        return slot->user;
    memcpy(slot->key, key, 32);
    slot->user = user;
    self->count++;
    return NULL;
}

// --- the folder -----------------------------------------------------------------

// Editors' and others' files, and secret parts, do not name a client.
static bool
is_certificate_name(const char *name)
{
    size_t size = strlen(name);
    if (*name == '.' || size == 0 || name[size - 1] == '~')
        return false;
    return !(size > 7 && strcmp(name + size - 7, "_secret") == 0);
}

static int
is_candidate(const struct dirent *entry)
{
    return is_certificate_name(entry->d_name) && entry->d_type != DT_DIR;
}

static int
by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void
read_certificate(known_t *self, int folder, const char *path, cert_fault_t *fault)
{
    cert_t cert;
    char user[CERT_NAME_MAX + 1];
    if (cert_load_listed(&cert, folder, path, fault) == -1)
        return;
    cert_user(&cert, path, user);
    if (users_name_fault(user, strlen(user))) {
        snprintf(fault->text, sizeof fault->text, "its name is not one for a user");
        return;
    }
    memcpy(self->key, cert.public_key, sizeof self->key);
    self->user = xstrdup(user);
}

// The first to have a key keeps it. FAULT: why NAME is not in.
static void
add_certificate(keyset_t *self, const char *path, const char *name, int folder, const known_t *old, cert_fault_t *fault)
{
    mem_grow(self->known, self->known_count, self->known_room);
    known_t *known = &self->known[self->known_count++];
    *known = (known_t){ .name = xstrdup(name) };
    known->state = file_state(folder, name);
    if (old && old->user && file_is_unchanged(&known->state, &old->state)) {
        memcpy(known->key, old->key, sizeof known->key);
        known->user = xstrdup(old->user);
    } else
        read_certificate(known, folder, path, fault);
    const char *other = known->user ? add(self, known->key, known->user) : NULL;
    if (other)
        snprintf(fault->text, sizeof fault->text, "has the same key as %.100s, who came first", other);
    self->left_out += *fault->text != '\0';
}

// What BEFORE knew of NAME, from *AT on: both are in the order of names.
static const known_t *
known_before(const keyset_t *before, size_t *at, const char *name)
{
    size_t end = before ? before->known_count : 0;
    while (*at < end && strcmp(before->known[*at].name, name) < 0)
        ++*at;
    return *at < end && strcmp(before->known[*at].name, name) == 0 ? &before->known[*at] : NULL;
}

// Are all files what they were? What was left out then may be better now, for
// reasons that do not show in the file.
static bool
is_same_folder(const keyset_t *before, int folder, struct dirent *const *names, size_t count)
{
    if (!before || before->left_out > 0 || before->known_count != count)
        return false;
    for (size_t i = 0; i < count; i++) {
        const known_t *known = &before->known[i];
        if (strcmp(names[i]->d_name, known->name) != 0)
            return false;
        file_state_t now = file_state(folder, known->name);
        if (!file_is_unchanged(&now, &known->state))
            return false;
    }
    return true;
}

// --- whose certificate ------------------------------------------------------------

// Of many there is one line for all that are not told of.
enum { REMARKS_MAX = 20 };

typedef struct {
    const char *folder;
    keyset_tell_fn *tell;
    void *arg;
    size_t remarks;
} teller_t;

__attribute__((format(printf, 3, 4))) static void
remark(teller_t *self, const char *name, const char *format, ...)
{
    char text[2 * NAME_MAX + 200];
    va_list args;
    if (++self->remarks > REMARKS_MAX)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    char *path = xasprintf("%s/%s", self->folder, name);
    self->tell(self->arg, false, path, 0, text);
    free(path);
}

// USERS: the file in which each was met first.
static void
remark_name(teller_t *self, const known_t *known, bag_t *users)
{
    char wanted[CERT_NAME_MAX + 1];
    cert_file_user(known->name, wanted);
    if (strcmp(known->user, wanted) != 0)
        remark(self, known->name, "its name is %s, which is not that of the file: the owner of its key is this user", known->user);
    bool is_double = bag_put(users, known->user, strlen(known->user)) > 1;
    bag_item_t *item = bag_find(users, known->user, strlen(known->user));
    if (is_double)
        remark(self, known->name, "is one more certificate of user %s, beside %s", known->user, (const char *)item->value);
    else
        item->value = known->name;
}

static void
remark_names(const keyset_t *self, teller_t *teller)
{
    bag_t users = { 0 };
    for (size_t i = 0; i < self->known_count; i++) {
        const known_t *known = &self->known[i];
        if (known->user && keyset_find(self, known->key) == known->user) // else it is left out
            remark_name(teller, known, &users);
    }
    bag_free(&users);
    if (teller->remarks > REMARKS_MAX) {
        char text[100];
        snprintf(text, sizeof text, "%zu more names of certificates are not those of their files, or double",
                 teller->remarks - REMARKS_MAX);
        teller->tell(teller->arg, false, teller->folder, 0, text);
    }
}

keyset_t *
keyset_load(const char *folder, keyset_t *before, keyset_tell_fn *tell, void *arg)
{
    struct dirent **names;
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int count = fd == -1 ? -1 : scandirat(fd, ".", &names, is_candidate, by_name);
    if (count == -1) {
        int reason = errno;
        if (fd != -1)
            close(fd);
        errno = reason;
        return NULL;
    }
    bool same = is_same_folder(before, fd, names, (size_t)count);
    keyset_t *self = same ? before : xcalloc(1, sizeof *self);
    size_t at = 0;
    self->holders++;
    for (int i = 0; i < count && !same; i++) {
        cert_fault_t fault = { 0 };
        const char *name = names[i]->d_name;
        char *path = xasprintf("%s/%s", folder, name);
        add_certificate(self, path, name, fd, known_before(before, &at, name), &fault);
        if (*fault.text)
            tell(arg, true, path, fault.line, fault.text);
        else if (*fault.warning)
            tell(arg, false, path, 0, fault.warning);
        free(path);
    }
    for (int i = 0; i < count; i++)
        free(names[i]);
    free(names);
    close(fd);
    teller_t teller = { .folder = folder, .tell = tell, .arg = arg };
    remark_names(self, &teller);
    return self;
}

void
keyset_free(keyset_t **self_p)
{
    keyset_t *self = *self_p;
    *self_p = NULL;
    if (!self || --self->holders > 0)
        return;
    for (size_t i = 0; i < self->known_count; i++) {
        free(self->known[i].name);
        free(self->known[i].user);
    }
    free(self->known);
    free(self->slots);
    free(self);
}
