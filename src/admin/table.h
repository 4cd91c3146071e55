// SPDX-License-Identifier: MPL-2.0
// table.h - text in aligned columns: a header line first, two blanks between
// columns, numbers to the right. An empty cell is printed as "-", so that a
// script can count on the columns.

#ifndef ZB_TABLE_H
#define ZB_TABLE_H

#include "base/text.h"

#include <stddef.h>
#include <stdint.h>

typedef struct {
    const char *heading;
    int right; // aligned to the right
} column_t;

typedef struct {
    const column_t *columns;
    size_t column_count;
    char **cells; // row by row
    size_t cell_count, room;
} table_t;

// COLUMNS is borrowed.
table_t table_on(const column_t *columns, size_t count);
void table_cell(table_t *self, const char *format, ...) __attribute__((format(printf, 2, 3)));
void table_print(const table_t *self, text_t *out);
void table_free(table_t *self);

#endif
