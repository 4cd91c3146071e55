// SPDX-License-Identifier: MPL-2.0
// load.h - a configuration from its files: text in, typed routes out. Every key is
// known, every value in range, every default filled in, and what cannot work
// together is told. Each fault is reported once, at the line that has to change. No
// socket is opened here (see flow/route.h).

#ifndef ZB_CONF_LOAD_H
#define ZB_CONF_LOAD_H

#include "conf/conf.h"
#include "conf/raw.h"

// Read SOURCE and what it includes, apply the overrides, check everything. Every
// problem goes to DIAG. Returns NULL if there was an error; warnings do not fail.
conf_t *conf_read(const raw_source_t *source, diag_t *diag);

// The file that the user of a program names.
conf_t *conf_load(const char *file, char *const overrides[], size_t count, diag_t *diag);

// From memory: for tests and fuzzers.
conf_t *conf_load_text(const char *name, const char *text, size_t size, diag_t *diag);

#endif
