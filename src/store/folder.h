// SPDX-License-Identifier: MPL-2.0
// folder.h - the folder of a store: ours alone, locked, with files by number.
//
// A file's name is NUMBER-FIRST-SALT.mdb: its number, the sequence that the first
// message in it has or will have, and the salt of its batches. It ends in .done when all
// its messages are done and their bytes were given up, in .bad when something in it was
// damaged and it is not needed any more.
//
// The lock is of the process: in it a folder goes from one store to the next of the
// same owner.

#ifndef ZB_STORE_FOLDER_H
#define ZB_STORE_FOLDER_H

#include "base/diag.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct folder folder_t;

// Make it if it is missing, look whether it is ours alone, and lock it. NULL, with DIAG.
folder_t *folder_open(const char *path, const char *owner, diag_t *diag, place_t place);

// Would folder_open work? 0, or -1 with DIAG. A folder that is missing is not made.
int folder_try(const char *path, const char *owner, diag_t *diag, place_t place);

// Wait until the store before has left it, if there was one. False: *GIVEN_UP became true meanwhile; folder_wake lets it look.
bool folder_enter(folder_t *self, const _Atomic bool *given_up);
void folder_wake(void);
void folder_leave(folder_t **self_p); // also without having entered

int folder_fd(const folder_t *self);

// --- its files ---------------------------------------------------------------------

enum { FOLDER_NAME = 48 };

typedef struct {
    uint32_t number;
    uint64_t first, salt;
    bool is_done; // it ends in .done: only what it says of ids counts
} file_name_t;

void folder_name(const file_name_t *file, char name[FOLDER_NAME]);
bool folder_read_name(const char *name, file_name_t *file); // false: it is none

file_name_t *folder_list(const folder_t *self, size_t *count); // by number; the caller frees it. NULL: errno

int folder_make_file(const folder_t *self, const file_name_t *file);                  // empty. 0, or -1 with errno
int folder_open_file(const folder_t *self, const file_name_t *file, int how, uint64_t *bytes); // O_RDONLY or O_RDWR. -1: errno
int folder_end_file(const folder_t *self, file_name_t *file); // it ends in .done from now on, also after a crash. -1: errno
int folder_remove_file(const folder_t *self, const file_name_t *file, bool keep);     // KEEP: as .bad

// Bytes that others than root may still write to its file system; UINT64_MAX: it does not say.
uint64_t folder_room(const folder_t *self);

#endif
