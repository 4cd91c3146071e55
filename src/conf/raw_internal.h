// SPDX-License-Identifier: MPL-2.0
// raw_internal.h - what reading the files of a configuration is made of. Only for its files.

#ifndef ZB_RAW_INTERNAL_H
#define ZB_RAW_INTERNAL_H

#include "conf/ini.h"
#include "conf/raw.h"

#define RAW_NO_SECTION ((size_t)-1)

// raw_section.c: a copy of TEXT that is kept for good.
const char *raw_intern(const char *text);

// Each is an index, or RAW_NO_SECTION. raw_open_section: where the keys of SECTION go; if nowhere, the reason is in DIAG.
size_t raw_add_section(raw_t *raw, raw_kind_t kind, const char *name, place_t place);
size_t raw_find_section(const raw_t *raw, const char *name);
size_t raw_open_section(raw_t *raw, const ini_section_t *section, diag_t *diag);

void raw_add_item(raw_t *raw, size_t section, raw_item_t item); // it takes its strings over

// raw.c: the folder of FILE, absolute; the caller frees it.
char *raw_folder_of(const char *file);

// raw_override.c: what the command line says in place of the files.
void raw_override(raw_t *raw, const raw_source_t *source, diag_t *diag);

#endif
