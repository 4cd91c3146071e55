// SPDX-License-Identifier: MPL-2.0
// raw.h - all files of one configuration as sections of KEY = VALUE, includes
// read in place, overrides applied. What a key means is not known here.

#ifndef ZB_RAW_H
#define ZB_RAW_H

#include "base/diag.h"
#include "conf/conf.h"

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

// What is wrong is in DIAG.
void raw_read(raw_t *self, const conf_source_t *source, diag_t *diag);
void raw_free(raw_t *self);

#endif
