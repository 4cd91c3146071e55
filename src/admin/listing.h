// SPDX-License-Identifier: MPL-2.0
// listing.h - a list for people and for programs: one walk over what there is writes
// the rows of a table, or objects in an array of JSON.
//
// The values of a row come in the order of the fields; the last one ends the row.

#ifndef ZB_LISTING_H
#define ZB_LISTING_H

#include "admin/table.h"
#include "base/json.h"

typedef struct {
    const char *key;     // in JSON; NULL: only the table has it
    const char *heading; // of its column; NULL: only JSON has it
    int flags;           // of its column, or:
} listing_field_t;

enum {
    LISTING_SIGNED = 64, // a negative number is one in JSON
    LISTING_FIELDS_MAX = 24,
};

typedef struct {
    const listing_field_t *fields;
    size_t count, at;
    const char *row_key; // of the object that a row is in JSON; NULL in an array
    json_t *json;        // NULL: it is a table
    json_t document;
    table_t table;
    column_t columns[LISTING_FIELDS_MAX];
    text_t *out;
    int64_t more; // that are left out, as the answer says; -1: it does not
} listing_t;

// The whole of an answer: a table, or a document with the array NAME. SELF stays where it is.
void listing_open(listing_t *self, text_t *out, bool json, const char *name, const listing_field_t *fields, size_t count);
void listing_close(listing_t *self);

// Objects, where JSON expects values.
listing_t listing_into(json_t *json, const listing_field_t *fields, size_t count);

void listing_text(listing_t *self, const char *text);   // NULL: null, or nothing; shown safe for a terminal
void listing_quoted(listing_t *self, const char *text); // in quotes, in the table
void listing_number(listing_t *self, int64_t number);   // negative: it is not known, null or nothing
void listing_seconds(listing_t *self, double seconds, int digits, const char *unit); // likewise; the table has DIGITS, and UNIT
void listing_time(listing_t *self, int64_t wall_ns);    // 0: there is none

#endif
