// SPDX-License-Identifier: MPL-2.0
// document.h - reads JSON (RFC 8259) into a tree of values. The text may come
// from anywhere: its depth is bounded, and a text that is no JSON is refused as a
// whole.

#ifndef ZB_DOCUMENT_H
#define ZB_DOCUMENT_H

#include <stdbool.h>
#include <stddef.h>

typedef struct document document_t;

typedef enum { VALUE_NULL, VALUE_BOOL, VALUE_NUMBER, VALUE_STRING, VALUE_ARRAY, VALUE_OBJECT } value_kind_t;

// One value; belongs to its document. The elements of an array, or the members of an object, are a list.
typedef struct value {
    value_kind_t kind;
    const char *key;  // in an object, else NULL
    const char *text; // of a string: unescaped; of a number: as it was written
    size_t size;      // of the string in TEXT, which may hold U+0000
    double number;    // of a number; of a bool 0 or 1
    const struct value *first, *next;
} document_value_t;

// NULL: TEXT is no JSON document.
document_t *document_read(const char *text, size_t size);
const document_value_t *document_root(const document_t *self);
void document_free(document_t **self_p);

// What follows takes a SELF of NULL for a value that is not there.
const document_value_t *value_member(const document_value_t *self,
                                     const char *key); // NULL: it is no object, or has none
const document_value_t *value_at(const document_value_t *self,
                                 const char *path);                // "rates.in_1s": through several objects
const document_value_t *value_first(const document_value_t *self); // of an array; NULL: it is none, or empty
const char *value_text(const document_value_t *self);              // "" where it is no string
bool value_is(const document_value_t *self, value_kind_t kind);
bool value_true(const document_value_t *self);

#endif
