// SPDX-License-Identifier: MPL-2.0
// json.h - write JSON (RFC 8259) into a text_t: commas, quoting and nesting are
// kept here, so that no caller ever escapes by hand. Bytes that are not UTF-8
// are written as U+FFFD. document.h reads.

#ifndef ZB_JSON_H
#define ZB_JSON_H

#include "base/text.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    text_t *out;
    unsigned depth;      // at most 32
    uint32_t not_first;  // one bit a level: a comma is due
} json_t;

json_t json_on(text_t *out);

// One object, and the line that it is.
json_t json_document(text_t *out);
void json_document_end(json_t *self);

// KEY is NULL inside an array and at the top.
void json_object(json_t *self, const char *key);
void json_object_end(json_t *self);
void json_array(json_t *self, const char *key);
void json_array_end(json_t *self);
void json_string(json_t *self, const char *key, const char *value); // NULL is null
void json_bytes(json_t *self, const char *key, const void *value, size_t size);
void json_lines(json_t *self, const char *key, const char *text); // an array of its lines; empty ones are left out
void json_int(json_t *self, const char *key, int64_t value);
void json_uint(json_t *self, const char *key, uint64_t value);
void json_real(json_t *self, const char *key, double value);
void json_bool(json_t *self, const char *key, bool value);
void json_null(json_t *self, const char *key);

#endif
