// SPDX-License-Identifier: MPL-2.0
// sheet.c - see sheet.h.

#include "ctl/sheet.h"

#include "base/clock.h"
#include "base/mem.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { USUAL_WIDTH = 80, INDENT = 2 };

static size_t
terminal_width(void)
{
    struct winsize size;
    bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    return known ? size.ws_col : USUAL_WIDTH;
}

static bool
wants_colour(void)
{
    const char *term = getenv("TERM");
    return !text_given(getenv("NO_COLOR")) && !(term && strcmp(term, "dumb") == 0);
}

void
sheet_measure(sheet_t *self)
{
    self->width = self->for_people ? terminal_width() : USUAL_WIDTH;
}

sheet_t
sheet_new(void)
{
    sheet_t self = { .for_people = isatty(STDOUT_FILENO) };
    self.colour = self.for_people && wants_colour();
    sheet_measure(&self);
    text_bytes(&self.out, "", 0);
    return self;
}

void
sheet_free(sheet_t *self)
{
    text_free(&self->out);
}

bool
sheet_flush(sheet_t *self)
{
    bool written = fwrite(self->out.data, 1, self->out.size, stdout) == self->out.size && fflush(stdout) != EOF;
    text_clear(&self->out);
    if (!written && errno != EPIPE) // who has read enough says so by closing
        fprintf(stderr, "zbrokerctl: cannot write: %s\n", strerror(errno));
    return written;
}

const char *
sheet_paint(const sheet_t *self, tone_t tone)
{
    static const char *const paints[TONES] = { NULL, "\033[31m", "\033[33m", "\033[1m" };
    return self->colour ? paints[tone] : NULL;
}

tone_t
sheet_tone_of(const char *level)
{
    static const struct {
        const char *level;
        tone_t tone;
    } rows[] = { { "error", TONE_ERROR }, { "warning", TONE_WARNING } };
    for (size_t i = 0; i < COUNT(rows); i++)
        if (strcmp(level, rows[i].level) == 0)
            return rows[i].tone;
    return TONE_PLAIN;
}

static const char *
begin(const sheet_t *self, tone_t tone)
{
    const char *paint = sheet_paint(self, tone);
    return paint ? paint : "";
}

static const char *
end(const sheet_t *self, tone_t tone)
{
    return sheet_paint(self, tone) ? "\033[0m" : "";
}

void
sheet_add(sheet_t *self, tone_t tone, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    text_add(&self->out, "%s", begin(self, tone));
    text_vadd(&self->out, format, args);
    text_add(&self->out, "%s", end(self, tone));
    va_end(args);
}

void
sheet_text(sheet_t *self, tone_t tone, const char *text)
{
    text_add(&self->out, "%s", begin(self, tone));
    text_shown(&self->out, text, strlen(text));
    text_add(&self->out, "%s", end(self, tone));
}

void
sheet_prose(sheet_t *self, tone_t tone, const char *text)
{
    text_t shown = { 0 };
    text_shown(&shown, text, strlen(text));
    text_add(&self->out, "%*s%s", INDENT, "", begin(self, tone));
    table_fold(&self->out, shown.data, INDENT, self->width);
    text_add(&self->out, "%s\n", end(self, tone));
    text_free(&shown);
}

void
sheet_cell(const sheet_t *self, table_t *table, tone_t tone, const char *text)
{
    text_t shown = { 0 };
    text_shown(&shown, text, strlen(text));
    table_cell(table, "%s", shown.data);
    table_paint(table, sheet_paint(self, tone));
    text_free(&shown);
}

void
sheet_number(const sheet_t *self, table_t *table, unit_t unit, double value)
{
    text_t text = { 0 };
    if (value >= 0)
        units_put(&text, unit, value, self->for_people);
    table_cell(table, "%s", text.size ? text.data : "-");
    text_free(&text);
}

void
sheet_time(const sheet_t *self, text_t *out, const char *time)
{
    double age = self->for_people ? units_age(time, clock_wall_ns()) : -1;
    if (age >= 0)
        units_put(out, UNIT_AGE, age, true);
    else
        text_shown(out, time, strlen(time));
}
