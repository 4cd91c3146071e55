// SPDX-License-Identifier: MPL-2.0
// excerpt.c - see excerpt.h. Problems of one file come line by line, so it is read once.
#include "base/excerpt.h"

#include "base/text.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SHOWN_MAX = 200 }; // bytes of a line

typedef struct {
    const char *name; // NULL: none yet
    FILE *stream;     // NULL: it cannot be read
    char *line;
    size_t room;
    int number; // of LINE, from 1
} shown_file_t;

static void
close_source(shown_file_t *self)
{
    if (self->stream)
        fclose(self->stream);
    free(self->line);
    *self = (shown_file_t){ 0 };
}

static void
open_source(shown_file_t *self, const char *name)
{
    struct stat status;
    close_source(self);
    self->name = name;
    int fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd == -1)
        return;
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode))
        self->stream = fdopen(fd, "r");
    if (!self->stream)
        close(fd);
}

// The line at PLACE without its end, NULL: there is none.
static const char *
read_source(shown_file_t *self, place_t place)
{
    if (!self->name || strcmp(self->name, place.file) != 0)
        open_source(self, place.file);
    while (self->stream && self->number < place.line) {
        if (getline(&self->line, &self->room, self->stream) == -1)
            return NULL;
        self->number++;
    }
    if (!self->stream || self->number != place.line)
        return NULL;
    self->line[strcspn(self->line, "\r\n")] = '\0';
    return self->line;
}

// How many columns of a terminal BYTES take, about: one for each character.
static int
width(const char *bytes, size_t size)
{
    text_t shown = { 0 };
    int columns = 0;
    text_shown(&shown, bytes, size);
    for (size_t i = 0; i < shown.size; i++)
        columns += ((unsigned char)shown.data[i] & 0xc0) != 0x80;
    text_free(&shown);
    return columns;
}

// A value that the problem is not about may be a password.
static void
print_excerpt(const char *line, place_t place, FILE *out)
{
    size_t size = strlen(line), before = (size_t)place.column - 1, key = strcspn(line, "=");
    if (size > SHOWN_MAX || before > size)
        return;
    bool of_key = before < key && key < size;
    text_t shown = { 0 };
    text_shown(&shown, line, of_key ? key + 1 : size);
    fprintf(out, "%5d | %s%s\n", place.line, shown.data ? shown.data : "", of_key ? " ..." : "");
    fprintf(out, "%5s | %*s^\n", "", width(line, before), "");
    text_free(&shown);
}

static void
print_count(size_t count, const char *what, FILE *out)
{
    fprintf(out, "%zu %s%s", count, what, text_plural(count));
}

void
excerpt_print(diag_t *diag, FILE *out)
{
    shown_file_t source = { 0 };
    diag_item_t item;
    for (size_t i = 0; diag_at(diag, i, &item); i++) {
        fprintf(out, "%s\n", item.text);
        bool wanted = item.quotable && item.place.line > 0 && item.place.column > 0;
        const char *line = wanted ? read_source(&source, item.place) : NULL;
        if (line)
            print_excerpt(line, item.place, out);
    }
    close_source(&source);
    size_t errors = diag_errors(diag), warnings = diag_warnings(diag);
    if (errors)
        print_count(errors, "error", out);
    if (warnings) {
        fputs(errors ? ", " : "", out);
        print_count(warnings, "warning", out);
    }
    fputs(errors + warnings ? "\n" : "", out);
}
