// SPDX-License-Identifier: MPL-2.0
// users.h - the users of PLAIN: a file of lines NAME:HASH made by zbroker-keygen,
// HASH being libsodium's crypto_pwhash_str(3) ("$argon2id$..."). Blank lines and
// lines that start with # are skipped. Read-only once loaded.

#ifndef ZB_USERS_H
#define ZB_USERS_H

#include "base/diag.h"

#include <stdbool.h>
#include <stddef.h>

#define USER_NAME_MAX 255
#define USERS_FILE_MAX (16 * 1024 * 1024)

typedef struct users users_t;

// Every problem of the text goes to DIAG, at FILE. NULL if there was an error.
users_t *users_parse(const char *file, const char *text, size_t size, diag_t *diag);
users_t *users_load(const char *file, diag_t *diag);

// The hash of the user called NAME (SIZE bytes); NULL: there is none.
const char *users_hash(const users_t *self, const void *name, size_t size);
size_t users_count(const users_t *self);
const char *users_at(const users_t *self, size_t i, const char **hash); // sorted; NULL past the end
void users_free(users_t **self_p);

// May a user be called so? NULL, or what is wrong.
const char *users_name_fault(const char *name, size_t size);

// The line "NAME:HASH" for PASSWORD; the caller frees. NULL: not enough memory for the hash.
char *users_line(const char *name, const char *password);

#endif
