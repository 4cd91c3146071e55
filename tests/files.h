// SPDX-License-Identifier: MPL-2.0
// files.h - for tests that read files: they write them first.

#ifndef ZB_FILES_H
#define ZB_FILES_H

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

// Write TEXT to FOLDER/NAME. Returns the path, which is the caller's.
static inline char *
write_file(const char *folder, const char *name, mode_t mode, const char *text)
{
    char *path = xasprintf("%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    if (!file || fputs(text, file) == EOF || fclose(file) != 0 || chmod(path, mode) != 0)
        abort();
    return path;
}

#endif
