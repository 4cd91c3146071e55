// SPDX-License-Identifier: MPL-2.0
// raw.h - all files of one configuration as sections of KEY = VALUE, includes
// read in place, overrides applied. What a key means is not known here.

#ifndef ZB_RAW_H
#define ZB_RAW_H

#include "base/diag.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct {
    char *key, *value;
    place_t key_place, value_place;
    const char *folder; // of the file, absolute: what relative paths start from
    size_t order;       // of reading, over all files
    bool override;
} raw_item_t;

typedef enum { RAW_PROCESS, RAW_DEFAULTS, RAW_ROUTE } raw_kind_t;

typedef struct {
    raw_kind_t kind;
    char *name; // "zbroker", "defaults", "route prices"
    place_t place;
    raw_item_t *items;
    size_t count, room;
    bool damaged; // a line of it could not be read
} raw_section_t;

typedef struct {
    raw_section_t *sections; // the first two are always [zbroker] and [defaults]
    size_t count, room;
    size_t items;  // over all sections
    bool readable; // the main file could be read
} raw_t;

// Where a configuration comes from.
typedef struct {
    const char *file;            // "-": standard input
    const char *text;            // of SIZE bytes, what it holds; NULL: read it
    size_t size;
    int descriptor;              // a regular file, open: FILE is only its name; -1: open FILE
    const char *includes_beside; // no include may leave the folder of this file; NULL: anywhere
    char *const *overrides;      // -o SECTION.KEY=VALUE
    size_t override_count;
} raw_source_t;

// What is wrong is in DIAG.
void raw_read(raw_t *self, const raw_source_t *source, diag_t *diag);
void raw_free(raw_t *self);

// How many names of files are known. They are kept for good, for places live
// longer than what was read; of a file that was only looked at, forget those past
// COUNT when its conf_t and diag_t are gone.
size_t raw_names(void);
void raw_names_forget(size_t count);

#endif
