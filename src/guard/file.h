// SPDX-License-Identifier: MPL-2.0
// file.h - a file of the guard's, whole and bounded.

#ifndef ZB_FILE_H
#define ZB_FILE_H

#include "base/diag.h"

#include <stddef.h>

// The bytes of FILE with a NUL behind, at most MAX; NULL with the reason in DIAG.
// The caller frees.
char *file_read(const char *file, size_t max, size_t *size, diag_t *diag);

// A warning in DIAG if FILE, which holds what only we should know, can be read by
// everybody or written by others than its owner.
void file_warn_mode(const char *file, diag_t *diag);

#endif
