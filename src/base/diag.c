// SPDX-License-Identifier: MPL-2.0
// diag.c - see diag.h. A hash over the whole line finds what is there already,
// so that a file of 100,000 bad lines is not a quadratic one.

#include "base/diag.h"
#include "base/mem.h"
#include "base/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    char *text;
    size_t message; // where in TEXT it starts
    diag_level_t level;
    size_t file; // index into files: the order in which they were first named
    int line;
    int column;
    size_t order; // as added
    bool quotable;
} problem_line_t;

struct diag {
    problem_line_t *entries;
    size_t count;
    size_t room;
    char **files;
    size_t file_count;
    size_t file_room;
    char **seen; // open addressing, a power of two, at most half full; borrows the texts
    size_t seen_room;
    size_t totals[2]; // by level
    bool sorted;
    bool secretive; // no line is quoted
    bool denied;
};

diag_t *
diag_new(void)
{
    return xcalloc(1, sizeof(diag_t));
}

// Where TEXT is in the table, or the empty slot where it belongs. FNV-1a.
static char **
seen_slot(const diag_t *self, const char *text)
{
    uint64_t hash = 14695981039346656037U;
    for (const char *at = text; *at; at++)
        hash = (hash ^ (uint8_t)*at) * 1099511628211U;
    size_t i = (size_t)hash & (self->seen_room - 1);
    while (self->seen[i] && strcmp(self->seen[i], text) != 0)
        i = (i + 1) & (self->seen_room - 1);
    return &self->seen[i];
}

static void
seen_grow(diag_t *self)
{
    if (self->count * 2 < self->seen_room)
        return;
    free(self->seen);
    self->seen_room = self->seen_room ? self->seen_room * 2 : 64;
    self->seen = xcalloc(self->seen_room, sizeof *self->seen);
    for (size_t i = 0; i < self->count; i++)
        *seen_slot(self, self->entries[i].text) = self->entries[i].text;
}

static size_t
file_index(diag_t *self, const char *file)
{
    const char *name = file ? file : "";
    // The last one first: problems come file by file.
    for (size_t i = self->file_count; i-- > 0;)
        if (strcmp(self->files[i], name) == 0)
            return i;
    mem_grow(self->files, self->file_count, self->file_room);
    self->files[self->file_count] = xstrdup(name);
    return self->file_count++;
}

// "FILE:LINE:COLUMN: ", as much of it as there is.
static void
add_place(text_t *text, place_t place)
{
    if (!place.file)
        return;
    text_add(text, "%s:", place.file);
    if (place.line > 0)
        text_add(text, "%d:", place.line);
    if (place.line > 0 && place.column > 0)
        text_add(text, "%d:", place.column);
    text_char(text, ' ');
}

static char *
whole_line(place_t place, diag_level_t level, size_t *message, const char *format, va_list args)
{
    text_t raw = { 0 }, line = { 0 };
    add_place(&raw, place);
    text_add(&raw, "%s: ", level == DIAG_ERROR ? "error" : "warning");
    text_shown(&line, raw.data, raw.size);
    *message = line.size;
    text_clear(&raw);
    text_vadd(&raw, format, args);
    text_shown(&line, raw.data, raw.size);
    text_free(&raw);
    return text_take(&line);
}

static void
add(diag_t *self, diag_level_t level, place_t place, const char *format, va_list args)
{
    size_t message;
    char *text = whole_line(place, level, &message, format, args);
    seen_grow(self);
    char **slot = seen_slot(self, text);
    if (*slot) {
        free(text);
        return;
    }
    *slot = text;
    mem_grow(self->entries, self->count, self->room);
    self->entries[self->count] = (problem_line_t){
        .text = text,
        .message = message,
        .level = level,
        .file = file_index(self, place.file),
        .line = place.line,
        .column = place.column,
        .order = self->count,
        .quotable = !self->secretive,
    };
    self->count++;
    self->totals[level]++;
    self->sorted = false;
}

void
diag_error(diag_t *self, place_t place, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    add(self, DIAG_ERROR, place, format, args);
    va_end(args);
}

void
diag_warning(diag_t *self, place_t place, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    add(self, DIAG_WARNING, place, format, args);
    va_end(args);
}

void
diag_file(diag_t *self, const char *file)
{
    file_index(self, file);
}

void
diag_quote(diag_t *self, bool may)
{
    self->secretive = !may;
}

void
diag_adopt(diag_t *self, place_t place, const char *subject, diag_t *from)
{
    diag_item_t item;
    for (size_t i = 0; diag_at(from, i, &item); i++) {
        text_t text = { 0 };
        add_place(&text, item.place);
        text_add(&text, "%s", item.message);
        (item.level == DIAG_ERROR ? diag_error : diag_warning)(self, place, "%s: %s", subject, text.data);
        text_free(&text);
    }
}

void
diag_cause(diag_t *self, int error)
{
    self->denied |= error == EACCES || error == EPERM;
}

bool
diag_denied(const diag_t *self)
{
    return self->denied;
}

size_t
diag_errors(const diag_t *self)
{
    return self->totals[DIAG_ERROR];
}

size_t
diag_warnings(const diag_t *self)
{
    return self->totals[DIAG_WARNING];
}

static int
compare(const void *left, const void *right)
{
    const problem_line_t *a = left, *b = right;
    if (a->file != b->file)
        return a->file < b->file ? -1 : 1;
    if (a->line != b->line)
        return a->line < b->line ? -1 : 1;
    if (a->column != b->column)
        return a->column < b->column ? -1 : 1;
    return a->order < b->order ? -1 : 1;
}

const char *
diag_text(diag_t *self, size_t i, diag_level_t *level)
{
    if (i >= self->count)
        return NULL;
    if (!self->sorted)
        qsort(self->entries, self->count, sizeof *self->entries, compare);
    self->sorted = true;
    if (level)
        *level = self->entries[i].level;
    return self->entries[i].text;
}

bool
diag_at(diag_t *self, size_t i, diag_item_t *item)
{
    if (!diag_text(self, i, NULL))
        return false;
    const problem_line_t *entry = &self->entries[i];
    *item = (diag_item_t){ entry->text, entry->text + entry->message, entry->level,
                           { self->files[entry->file], entry->line, entry->column }, entry->quotable };
    return true;
}

void
diag_print(diag_t *self, FILE *out)
{
    const char *text;
    for (size_t i = 0; (text = diag_text(self, i, NULL)); i++)
        fprintf(out, "%s\n", text);
}

void
diag_destroy(diag_t **self_p)
{
    diag_t *self = *self_p;
    if (!self)
        return;
    for (size_t i = 0; i < self->count; i++)
        free(self->entries[i].text);
    for (size_t i = 0; i < self->file_count; i++)
        free(self->files[i]);
    free(self->entries);
    free(self->files);
    free(self->seen);
    free(self);
    *self_p = NULL;
}
