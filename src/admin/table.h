// SPDX-License-Identifier: MPL-2.0
// table.h - text in aligned columns: a header line first, two blanks between
// columns, numbers to the right. An empty cell is printed as "-", so that a
// script can count on the columns.
//
// With a limit, columns that give way get narrower until the lines fit. A cell
// that is then too long for its column keeps its whole text, and the row goes on
// in the next line: what is cut off cannot be searched for or copied.

#ifndef ZB_TABLE_H
#define ZB_TABLE_H

#include "base/text.h"

#include <stddef.h>
#include <stdint.h>

enum {
    COLUMN_RIGHT = 1,     // aligned to the right
    COLUMN_GIVES_WAY = 2, // may be narrower than its longest cell
    COLUMN_FOLDS = 4,     // the last one: prose, that goes on below itself
};

typedef struct {
    const char *heading;
    int flags;
} column_t;

typedef struct {
    char *text;
    const char *paint; // NULL, or an escape sequence that colours it
} cell_t;

typedef struct {
    const column_t *columns;
    size_t column_count;
    size_t limit;  // columns of the screen; 0: any
    cell_t *cells; // row by row
    size_t cell_count, room;
} table_t;

// COLUMNS is borrowed.
table_t table_on(const column_t *columns, size_t count);
void table_cell(table_t *self, const char *format, ...) __attribute__((format(printf, 2, 3)));
void table_blank(table_t *self);                    // a cell with nothing in it
void table_paint(table_t *self, const char *paint); // colours the last cell; borrowed
void table_print(const table_t *self, text_t *out);
void table_free(table_t *self);

// TEXT, broken at its blanks so that no line is longer than LIMIT; all but the first are indented. The first begins
// at column INDENT too.
void table_fold(text_t *out, const char *text, size_t indent, size_t limit);

#endif
