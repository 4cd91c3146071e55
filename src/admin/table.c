// SPDX-License-Identifier: MPL-2.0
// table.c - see table.h.

#include "admin/table.h"
#include "base/mem.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

table_t
table_on(const column_t *columns, size_t count)
{
    return (table_t){ .columns = columns, .column_count = count };
}

// Thousands of clients are tens of thousands of cells: most are made without a detour.
void
table_cell(table_t *self, const char *format, ...)
{
    char brief[128];
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int size = vsnprintf(brief, sizeof brief, format, args);
    text_t text = { 0 };
    if (size >= (int)sizeof brief)
        text_vadd(&text, format, again);
    va_end(again);
    va_end(args);
    mem_grow(self->cells, self->cell_count, self->room);
    self->cells[self->cell_count++] = text.size ? text_take(&text) : xstrdup(size > 0 ? brief : "-");
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
put_blanks(text_t *out, size_t count)
{
    static const char blanks[] = "                                ";
    for (; count > sizeof blanks - 1; count -= sizeof blanks - 1)
        text_bytes(out, blanks, sizeof blanks - 1);
    text_bytes(out, blanks, count);
}

static void
put(const table_t *self, size_t column, const char *cell, size_t width, text_t *out)
{
    size_t own = width_of(cell), blanks = own < width ? width - own : 0;
    bool last = column + 1 == self->column_count;
    if (column)
        put_blanks(out, 2);
    if (self->columns[column].right)
        put_blanks(out, blanks);
    text_bytes(out, cell, strlen(cell));
    if (!self->columns[column].right && !last)
        put_blanks(out, blanks);
    if (last)
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
