// SPDX-License-Identifier: MPL-2.0
// file.h - a file of the guard's, whole and bounded, and in good hands (base/trust.h).

#ifndef ZB_FILE_H
#define ZB_FILE_H

#include "base/diag.h"
#include "base/trust.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <time.h>

// The bytes of FILE with a NUL behind, at most MAX; NULL with the reason in DIAG.
// The caller frees.
char *file_read(const char *file, trust_kind_t kind, size_t max, size_t *size, diag_t *diag);

// Is FILE, or a folder, to be trusted? 0, or -1 with the reason in DIAG, where a warning may be too.
int file_check(const char *file, trust_kind_t kind, diag_t *diag);

// What a file is at a moment, so that one that has not changed need not be read again.
typedef struct {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec written, changed;
    bool settled; // another change would show in CHANGED: it was not that fresh
} file_state_t;

// The state of NAME in FOLDER (or AT_FDCWD). Ask before the file is read: what is
// written to it later then shows the next time.
file_state_t file_state(int folder, const char *name);

// Is a file that is NOW what it was BEFORE?
bool file_is_unchanged(const file_state_t *now, const file_state_t *before);

#endif
