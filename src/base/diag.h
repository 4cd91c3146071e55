// SPDX-License-Identifier: MPL-2.0
// diag.h - the list of what is wrong: collected, never acted upon, printed once.
//
// Whoever finds a problem adds it and goes on looking, so that one run shows
// all of them. A line reads FILE:LINE:COLUMN: error|warning: TEXT, as compilers
// write it.

#ifndef ZB_DIAG_H
#define ZB_DIAG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

// Where in a file something stands. LINE and COLUMN count from 1, COLUMN in
// bytes; 0 means "not a line of it". FILE is borrowed.
typedef struct {
    const char *file;
    int line;
    int column;
} place_t;

typedef enum { DIAG_ERROR, DIAG_WARNING } diag_level_t;

typedef struct diag diag_t;

diag_t *diag_new(void);

// Add one problem; the text is formatted and copied at once. The same text at
// the same place is kept only once.
void diag_error(diag_t *self, place_t place, const char *format, ...) __attribute__((format(printf, 3, 4)));
void diag_warning(diag_t *self, place_t place, const char *format, ...) __attribute__((format(printf, 3, 4)));

// Each problem of FROM, which is about a file that a line at PLACE names, as one of that line:
// "SUBJECT: FILE:LINE:COLUMN: TEXT".
void diag_adopt(diag_t *self, place_t place, const char *subject, diag_t *from);

// Problems that are added from now on: may their lines be quoted? At first they may. What is not understood may be a
// secret in a file that was named by mistake.
void diag_quote(diag_t *self, bool may);

// ERROR is the errno behind the problem just added. Was it anywhere a permission that is missing?
void diag_cause(diag_t *self, int error);
bool diag_denied(const diag_t *self);

size_t diag_errors(const diag_t *self);
size_t diag_warnings(const diag_t *self);

// FILE is read now: its problems come behind those of files that were read, or had one, before.
void diag_file(diag_t *self, const char *file);

// The I-th problem as its whole line without newline, NULL past the end.
// Order: by file, then lines ascend.
const char *diag_text(diag_t *self, size_t i, diag_level_t *level);

// The same, in parts. All of it is borrowed; FILE is "" where there is none.
typedef struct {
    const char *text;    // the whole line
    const char *message; // its end, behind "error: " or "warning: "
    diag_level_t level;
    place_t place;
    bool quotable;       // its line may be shown
} diag_item_t;
bool diag_at(diag_t *self, size_t i, diag_item_t *item);

void diag_print(diag_t *self, FILE *out);
void diag_destroy(diag_t **self_p);

#endif
