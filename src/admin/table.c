// SPDX-License-Identifier: MPL-2.0
// table.c - see table.h.

#include "admin/table.h"
#include "base/mem.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

table_t
table_on(const column_t *columns, size_t count)
{
    return (table_t){ .columns = columns, .column_count = count };
}

void
table_cell(table_t *self, const char *format, ...)
{
    text_t text = { 0 };
    va_list args;
    va_start(args, format);
    text_vadd(&text, format, args);
    va_end(args);
    if (!text.size)
        text_char(&text, '-');
    mem_grow(self->cells, self->cell_count, self->room);
    self->cells[self->cell_count++] = text_take(&text);
}

// How many columns of a terminal TEXT takes: UTF-8 characters, not bytes.
static size_t
width_of(const char *text)
{
    size_t width = 0;
    for (; *text; text++)
        width += (*text & 0xc0) != 0x80;
    return width;
}

static void
put(const table_t *self, size_t column, const char *cell, size_t width, text_t *out)
{
    size_t own = width_of(cell);
    size_t blanks = own < width ? width - own : 0;
    if (column)
        text_add(out, "  ");
    if (self->columns[column].right)
        text_add(out, "%*s%s", (int)blanks, "", cell);
    else if (column + 1 < self->column_count)
        text_add(out, "%s%*s", cell, (int)blanks, "");
    else
        text_add(out, "%s\n", cell);
    if (self->columns[column].right && column + 1 == self->column_count)
        text_char(out, '\n');
}

void
table_print(const table_t *self, text_t *out)
{
    size_t *widths = xcalloc(self->column_count, sizeof *widths);
    for (size_t i = 0; i < self->column_count; i++)
        widths[i] = width_of(self->columns[i].heading);
    for (size_t i = 0; i < self->cell_count; i++) {
        size_t width = width_of(self->cells[i]);
        if (width > widths[i % self->column_count])
            widths[i % self->column_count] = width;
    }
    for (size_t i = 0; i < self->column_count; i++)
        put(self, i, self->columns[i].heading, widths[i], out);
    for (size_t i = 0; i < self->cell_count; i++)
        put(self, i % self->column_count, self->cells[i], widths[i % self->column_count], out);
    free(widths);
}

void
table_free(table_t *self)
{
    for (size_t i = 0; i < self->cell_count; i++)
        free(self->cells[i]);
    free(self->cells);
    *self = (table_t){ 0 };
}
