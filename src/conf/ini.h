// SPDX-License-Identifier: MPL-2.0
// ini.h - the text of one INI file as sections and entries, each with its line
// and column. inih is the parser; our reader stands in front of it, because
// stock inih cuts lines at 199 bytes and names at 49, swallows an indented key
// into the one before, hides empty sections and numbers no lines the same way
// in every release.
//
// The reader looks at each physical line first, refuses what contract and inih
// would understand differently, and hands inih a line that every release of it
// reads alike: the key as it stands, and in place of the value, which may have
// 4,096 bytes, its number in our table.

#ifndef ZB_INI_H
#define ZB_INI_H

#include "base/diag.h"

#include <stdbool.h>
#include <stddef.h>

#define INI_LINE_MAX 4096 // bytes of a line without its end
#define INI_NAME_MAX 49   // inih's own limit for sections and keys

typedef struct {
    char *name;    // blanks around it cut, runs of them one
    place_t place; // of the name
    bool damaged;  // a line of it could not be read
} ini_section_t;

typedef struct {
    size_t section; // index into sections
    char *key;
    char *value; // never NULL, blanks around it and a " ;" comment cut
    place_t key_place, value_place;
    bool seen; // inih has delivered it
} ini_entry_t;

typedef struct {
    ini_section_t *sections;
    size_t section_count, section_room;
    ini_entry_t *entries;
    size_t entry_count, entry_room;
} ini_t;

// Read TEXT of SIZE bytes, called FILE in every place; FILE is borrowed for as
// long as any place lives. What is wrong is in DIAG and left out of the result.
// DIAG quotes no line that is not understood: FILE may be no configuration at
// all, but one that holds a secret and was named by mistake or by malice.
void ini_read(ini_t *self, const char *file, const char *text, size_t size, diag_t *diag);
void ini_free(ini_t *self);

// Cut blanks around TEXT and a " ;" comment at its end, in place; OFFSET is how
// many bytes went at the front. Also for values that come from elsewhere.
char *ini_trim(char *text, size_t *offset);

// For the end of a complaint about VALUE: "; a comment after a value begins with …" if it looks as if there were one
// behind '#', which is part of a value; likewise of quotes; else "".
const char *ini_value_hint(const char *value);

// Does VALUE begin and end with the same quote, as in other INI files? Here both are part of it.
bool ini_is_quoted(const char *value);

#endif
