// SPDX-License-Identifier: MPL-2.0
// keyset.h - the clients of a folder of certificates: whose is a public key? Read
// once and never changed; a later reading takes over what has not changed since.

#ifndef ZB_KEYSET_H
#define ZB_KEYSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct keyset keyset_t;

// Read every certificate in FOLDER. NULL, with errno, if the folder cannot be read. TELL hears of each
// certificate that is LEFT_OUT and why, and of those whose user is not the one that their file's name
// says, or is that of another certificate too: who hands in a certificate chooses the name in it.
// BEFORE (may be NULL) is an earlier reading of FOLDER: certificates that have not changed since are
// not read again, and if none has, BEFORE itself comes back, with one holder more.
typedef void keyset_tell_fn(void *arg, bool left_out, const char *file, int line, const char *text);
keyset_t *keyset_load(const char *folder, keyset_t *before, keyset_tell_fn *tell, void *arg);

size_t keyset_left_out(const keyset_t *self); // certificates that something is wrong with
const char *keyset_find(const keyset_t *self, const uint8_t key[32]); // the user, NULL: unknown

// Walk the keys: I goes up to, not including, keyset_room. NULL: no key there.
size_t keyset_room(const keyset_t *self);
const uint8_t *keyset_at(const keyset_t *self, size_t i, const char **user);

void keyset_free(keyset_t **self_p); // once for each keyset_load, all in one thread

#endif
