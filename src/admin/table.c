// SPDX-License-Identifier: MPL-2.0
#include "admin/table.h"
#include "base/mem.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GAP 2

table_t
table_on(const column_t *columns, size_t count)
{
    return (table_t){ .columns = columns, .column_count = count };
}

static void
add_cell(table_t *self, char *text)
{
    mem_grow(self->cells, self->cell_count, self->room);
    self->cells[self->cell_count++] = (cell_t){ .text = text };
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
    add_cell(self, text.size ? text_take(&text) : xstrdup(size > 0 ? brief : "-"));
}

void
table_blank(table_t *self)
{
    add_cell(self, xstrdup(""));
}

void
table_paint(table_t *self, const char *paint)
{
    self->cells[self->cell_count - 1].paint = paint;
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

// --- how wide the columns are --------------------------------------------------------------

// The longest of the heading and the cells of COLUMN that are shorter than BELOW.
static size_t
longest(const table_t *self, size_t column, size_t below)
{
    size_t width = width_of(self->columns[column].heading);
    for (size_t i = column; i < self->cell_count; i += self->column_count) {
        size_t own = width_of(self->cells[i].text);
        if (own > width && own < below)
            width = own;
    }
    return width;
}

// Where a line ends that has everything in its column. Prose is as narrow as its heading if it must.
static size_t
line_width(const table_t *self, const size_t *widths)
{
    size_t sum = GAP * (self->column_count - 1);
    for (size_t i = 0; i < self->column_count; i++)
        sum += self->columns[i].flags & COLUMN_FOLDS ? width_of(self->columns[i].heading) : widths[i];
    return sum;
}

// The widest column gives way first, by its longest cells. False: none can.
static bool
give_way(const table_t *self, size_t *widths)
{
    size_t widest = self->column_count;
    for (size_t i = 0; i < self->column_count; i++)
        if (self->columns[i].flags & COLUMN_GIVES_WAY && widths[i] > width_of(self->columns[i].heading) &&
            (widest == self->column_count || widths[i] > widths[widest]))
            widest = i;
    if (widest == self->column_count)
        return false;
    widths[widest] = longest(self, widest, widths[widest]);
    return true;
}

static void
find_widths(const table_t *self, size_t *widths)
{
    for (size_t i = 0; i < self->column_count; i++)
        widths[i] = longest(self, i, SIZE_MAX);
    while (self->limit && line_width(self, widths) > self->limit && give_way(self, widths))
        ;
}

// --- one row after the other ---------------------------------------------------------------

typedef struct {
    const table_t *table;
    const size_t *widths;
    text_t *out;
    size_t at;    // how far the line has come
    size_t start; // of the column that is printed
} printer_t;

static void
break_line(printer_t *self)
{
    text_char(self->out, '\n');
    self->at = 0;
}

// Where a cell of that WIDTH begins: in its column, or further left if the line would be too long.
static size_t
place(const printer_t *self, size_t column, size_t width)
{
    size_t start = self->start, limit = self->table->limit;
    if (self->table->columns[column].flags & COLUMN_RIGHT && width < self->widths[column])
        start += self->widths[column] - width;
    if (limit && start + width > limit)
        start = width < limit ? limit - width : 0;
    return start;
}

static void
put_cell(printer_t *self, size_t column, const char *text, const char *paint)
{
    bool folds = self->table->limit && self->table->columns[column].flags & COLUMN_FOLDS;
    size_t width = width_of(text), start = folds ? self->start : place(self, column, width);
    if (!width)
        return;
    if (self->at && self->at + GAP > start)
        break_line(self);
    put_blanks(self->out, start - self->at);
    if (paint)
        text_add(self->out, "%s", paint);
    if (folds)
        table_fold(self->out, text, start, self->table->limit);
    else
        text_bytes(self->out, text, strlen(text));
    if (paint)
        text_add(self->out, "\033[0m");
    self->at = start + width;
}

static void
put_row(printer_t *self, const cell_t *cells)
{
    self->at = self->start = 0;
    for (size_t i = 0; i < self->table->column_count; i++) {
        put_cell(self, i, cells ? cells[i].text : self->table->columns[i].heading, cells ? cells[i].paint : NULL);
        self->start += self->widths[i] + GAP;
    }
    break_line(self);
}

void
table_print(const table_t *self, text_t *out)
{
    size_t *widths = xcalloc(self->column_count, sizeof *widths);
    find_widths(self, widths);
    printer_t printer = { .table = self, .widths = widths, .out = out };
    put_row(&printer, NULL);
    for (size_t i = 0; i + self->column_count <= self->cell_count; i += self->column_count)
        put_row(&printer, self->cells + i);
    free(widths);
}

void
table_free(table_t *self)
{
    for (size_t i = 0; i < self->cell_count; i++)
        free(self->cells[i].text);
    free(self->cells);
    *self = (table_t){ 0 };
}

// --- prose -----------------------------------------------------------------------------------

void
table_fold(text_t *out, const char *text, size_t indent, size_t limit)
{
    size_t at = indent;
    for (bool first = true; *text; first = false) {
        size_t size = strcspn(text, " ");
        char *word = xstrndup(text, size);
        size_t width = width_of(word);
        if (!first && at + 1 + width > limit) {
            text_char(out, '\n');
            put_blanks(out, indent);
            at = indent;
        } else if (!first) {
            text_char(out, ' ');
            at++;
        }
        text_bytes(out, word, size);
        at += width;
        text += size + (text[size] == ' ');
        free(word);
    }
}
