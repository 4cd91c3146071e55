// SPDX-License-Identifier: MPL-2.0
#include "guard/users.h"

#include "base/mem.h"
#include "guard/file.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    char *name; // NAME\0HASH in one piece
    const char *hash;
    int line;
} user_t;

struct users {
    user_t *at;
    size_t count, room;
};

const char *
users_name_fault(const char *name, size_t size)
{
    if (size == 0)
        return "a name is missing";
    if (size > USER_NAME_MAX)
        return "a name is longer than 255 bytes";
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)name[i] < ' ' || name[i] == 0x7f || name[i] == ':')
            return "a name holds a colon or a control character";
    return NULL;
}

// Only what crypto_pwhash_str_verify can check within the memory and time that
// libsodium itself would ask for: a hash with m=4 GiB must not come in. WEAK: it
// costs less than libsodium's least, so that a stolen file is soon guessed through.
static bool
hash_is_sound(const char *hash, bool *weak)
{
    if (strlen(hash) >= crypto_pwhash_STRBYTES)
        return false;
    if (strncmp(hash, "$argon2id$", 10) != 0 && strncmp(hash, "$argon2i$", 9) != 0)
        return false;
    const char *cost = strstr(hash, "$m=");
    unsigned memory = 0, passes = 0, lanes = 0;
    char after = '\0';
    if (!cost || sscanf(cost, "$m=%9u,t=%9u,p=%9u%c", &memory, &passes, &lanes, &after) != 4 || after != '$')
        return false;
    if (memory < 8 || memory > 1048576 || passes < 1 || passes > 16 || lanes != 1)
        return false;
    *weak = memory < crypto_pwhash_MEMLIMIT_INTERACTIVE / 1024 || passes < crypto_pwhash_OPSLIMIT_INTERACTIVE;
    const char *salt = strchr(cost + 1, '$');
    const char *sum = salt ? strchr(salt + 1, '$') : NULL;
    return sum && strlen(sum + 1) >= 22 && strchr(sum + 1, '$') == NULL;
}

static void
take_line(users_t *self, place_t place, const char *line, size_t size, diag_t *diag)
{
    const char *colon = memchr(line, ':', size);
    const char *fault = users_name_fault(line, colon ? (size_t)(colon - line) : size);
    if (!colon || fault) {
        diag_error(diag, place, "%s", colon ? fault : "not NAME:HASH, as zbroker-keygen(1) writes it");
        return;
    }
    char *name = xstrndup(line, size);
    name[colon - line] = '\0';
    const char *hash = name + (colon - line) + 1;
    bool weak;
    place.column = (int)(colon - line) + 2;
    if (!hash_is_sound(hash, &weak)) {
        diag_error(diag, place, "not a password hash: make one with zbroker-keygen password");
        free(name);
        return;
    }
    if (weak)
        diag_warning(diag, place, "user %s: a hash that is quickly guessed through: make it anew with zbroker-keygen password", name);
    mem_grow(self->at, self->count, self->room);
    self->at[self->count++] = (user_t){ .name = name, .hash = hash, .line = place.line };
}

static int
compare(const void *a, const void *b)
{
    const user_t *left = a, *right = b;
    int order = strcmp(left->name, right->name);
    return order ? order : left->line - right->line;
}

static void
check_doubles(const users_t *self, const char *file, diag_t *diag)
{
    for (size_t i = 1; i < self->count; i++)
        if (strcmp(self->at[i - 1].name, self->at[i].name) == 0)
            diag_error(diag, (place_t){ file, self->at[i].line, 1 }, "user %s is there twice, first in line %d",
                       self->at[i].name, self->at[i - 1].line);
}

users_t *
users_parse(const char *file, const char *text, size_t size, diag_t *diag)
{
    users_t *self = xcalloc(1, sizeof *self);
    size_t errors = diag_errors(diag);
    for (int number = 1; size > 0; number++) {
        const char *end = memchr(text, '\n', size);
        size_t length = end ? (size_t)(end - text) : size;
        size_t used = length > 0 && text[length - 1] == '\r' ? length - 1 : length;
        place_t place = { file, number, 1 };
        if (memchr(text, '\0', used))
            diag_error(diag, place, "a NUL byte");
        else if (used > 1024)
            diag_error(diag, place, "line too long");
        else if (used > 0 && *text != '#')
            take_line(self, place, text, used, diag);
        text += length + (end != NULL);
        size -= length + (end != NULL);
    }
    if (self->count > 1)
        qsort(self->at, self->count, sizeof *self->at, compare);
    check_doubles(self, file, diag);
    if (diag_errors(diag) > errors)
        users_free(&self);
    return self;
}

users_t *
users_load(const char *file, diag_t *diag)
{
    size_t size;
    char *text = file_read(file, TRUST_HASHES, USERS_FILE_MAX, &size, diag);
    users_t *self = text ? users_parse(file, text, size, diag) : NULL;
    if (text)
        sodium_memzero(text, size);
    free(text);
    return self;
}

const char *
users_hash(const users_t *self, const void *name, size_t size)
{
    size_t low = 0, high = self->count;
    if (size > USER_NAME_MAX || memchr(name, '\0', size))
        return NULL;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strncmp(name, self->at[middle].name, size);
        if (order == 0 && self->at[middle].name[size] == '\0')
            return self->at[middle].hash;
        if (order > 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

size_t
users_count(const users_t *self)
{
    return self->count;
}

const char *
users_at(const users_t *self, size_t i, const char **hash)
{
    if (i >= self->count)
        return NULL;
    *hash = self->at[i].hash;
    return self->at[i].name;
}

char *
users_line(const char *name, const char *password)
{
    char hash[crypto_pwhash_STRBYTES];
    if (crypto_pwhash_str(hash, password, strlen(password), crypto_pwhash_OPSLIMIT_INTERACTIVE,
                          crypto_pwhash_MEMLIMIT_INTERACTIVE) == -1)
        return NULL;
    return xasprintf("%s:%s", name, hash);
}

void
users_free(users_t **self_p)
{
    users_t *self = *self_p;
    if (!self)
        return;
    for (size_t i = 0; i < self->count; i++)
        free(self->at[i].name);
    free(self->at);
    free(self);
    *self_p = NULL;
}
