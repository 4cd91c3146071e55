// SPDX-License-Identifier: MPL-2.0
// keyset.h - the clients of a folder of certificates: whose is a public key? Read
// once and never changed; a later reading takes over what has not changed since.

#ifndef ZB_KEYSET_H
#define ZB_KEYSET_H

#include <stddef.h>
#include <stdint.h>

typedef struct keyset keyset_t;

// Read every certificate in FOLDER. NULL, with errno, if the folder cannot be read. What is wrong with
// a single certificate goes to DAMAGED (may be NULL), and it is left out. BEFORE (may be NULL) is an
// earlier reading of FOLDER: certificates that have not changed since are not read again, and if none has,
// BEFORE itself comes back, with one holder more.
keyset_t *keyset_load(const char *folder, keyset_t *before,
                      void (*damaged)(void *arg, const char *file, int line, const char *text), void *arg);

size_t keyset_left_out(const keyset_t *self); // certificates that something is wrong with
const char *keyset_find(const keyset_t *self, const uint8_t key[32]); // the user, NULL: unknown

// Walk the keys: I goes up to, not including, keyset_room. NULL: no key there.
size_t keyset_room(const keyset_t *self);
const uint8_t *keyset_at(const keyset_t *self, size_t i, const char **user);

void keyset_free(keyset_t **self_p); // once for each keyset_load, all in one thread

#endif
