// SPDX-License-Identifier: MPL-2.0
#include "guard/keyset.h"

#include "base/mem.h"
#include "guard/cert.h"
#include "guard/users.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

// What was read of a certificate. A folder may hold a hundred thousand, and a
// reload after one has changed need not read all the others.
typedef struct {
    char *name; // in its folder
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec written, changed;
    bool settled; // another change would have shown in CHANGED: it was not that fresh when it was read
    uint8_t key[CERT_KEY_SIZE];
    char *user; // NULL: damaged
} known_t;

typedef struct {
    uint8_t key[32];
    const char *user; // of the known one; NULL: a free slot
} client_key_t;

struct keyset {
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
    size_t i = (size_t) hash & (self->room - 1);
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

static bool
same_time(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

// Is the file what it was when OLD was read?
static bool
is_unchanged(const known_t *now, const known_t *old)
{
    return old->settled && old->user && now->device == old->device && now->inode == old->inode && now->size == old->size
           && same_time(now->written, old->written) && same_time(now->changed, old->changed);
}

// Before the file is read: what is written to it later shows the next time.
static void
note_state(known_t *self, int folder)
{
    enum { SETTLED_S = 2 }; // more than the grain of any file system's clock
    struct stat st;
    if (fstatat(folder, self->name, &st, 0) == -1)
        return; // reading it will say so
    self->device = st.st_dev;
    self->inode = st.st_ino;
    self->size = st.st_size;
    self->written = st.st_mtim;
    self->changed = st.st_ctim;
    self->settled = st.st_ctim.tv_sec + SETTLED_S < time(NULL);
}

static void
read_certificate(known_t *self, const char *path, cert_fault_t *fault)
{
    cert_t cert;
    char user[CERT_NAME_MAX + 1];
    if (cert_load_public(&cert, path, fault) == -1)
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
    *known = (known_t) { .name = xstrdup(name) };
    note_state(known, folder);
    if (old && is_unchanged(known, old)) {
        memcpy(known->key, old->key, sizeof known->key);
        known->user = xstrdup(old->user);
    } else
        read_certificate(known, path, fault);
    const char *other = known->user ? add(self, known->key, known->user) : NULL;
    if (other)
        snprintf(fault->text, sizeof fault->text, "has the same key as %.100s, who came first", other);
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

keyset_t *
keyset_load(const char *folder, const keyset_t *before,
            void (*damaged)(void *arg, const char *file, int line, const char *text), void *arg)
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
    keyset_t *self = xcalloc(1, sizeof *self);
    size_t at = 0;
    for (int i = 0; i < count; i++) {
        cert_fault_t fault = {0};
        const char *name = names[i]->d_name;
        char *path = xasprintf("%s/%s", folder, name);
        add_certificate(self, path, name, fd, known_before(before, &at, name), &fault);
        if (*fault.text && damaged)
            damaged(arg, path, fault.line, fault.text);
        free(path);
        free(names[i]);
    }
    free(names);
    close(fd);
    return self;
}

void
keyset_free(keyset_t **self_p)
{
    keyset_t *self = *self_p;
    if (!self)
        return;
    for (size_t i = 0; i < self->known_count; i++) {
        free(self->known[i].name);
        free(self->known[i].user);
    }
    free(self->known);
    free(self->slots);
    free(self);
    *self_p = NULL;
}
