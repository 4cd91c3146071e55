// SPDX-License-Identifier: MPL-2.0
// sheet.h - the output of a view: a terminal gets units and colour, a pipe gets
// digits.

#ifndef ZB_CTL_SHEET_H
#define ZB_CTL_SHEET_H

#include "admin/table.h"
#include "base/document.h"
#include "base/text.h"
#include "ctl/units.h"

#include <stdbool.h>

typedef enum { TONE_PLAIN, TONE_ERROR, TONE_WARNING, TONE_HEADING, TONES } tone_t;

typedef struct {
    text_t out;
    size_t width; // columns at most
    bool for_people;
    bool colour; // and NO_COLOR is not set
} sheet_t;

// As standard output is.
sheet_t sheet_new(void);
void sheet_measure(sheet_t *self); // again: a terminal can change its size
void sheet_free(sheet_t *self);

// Print OUT and empty it. False: standard output has no reader any more.
bool sheet_flush(sheet_t *self);

const char *sheet_paint(const sheet_t *self, tone_t tone); // an escape sequence; NULL: none
tone_t sheet_tone_of(const char *level);                   // "error", "warning", ...

// Append words of ours; a text from the daemon, made safe to show; such a text as an indented paragraph.
void sheet_add(sheet_t *self, tone_t tone, const char *format, ...) __attribute__((format(printf, 3, 4)));
void sheet_text(sheet_t *self, tone_t tone, const char *text);
void sheet_prose(sheet_t *self, tone_t tone, const char *text);

// Add a cell to TABLE: a text from the daemon, made safe to show; a number.
void sheet_cell(const sheet_t *self, table_t *table, tone_t tone, const char *text);
void sheet_number(const sheet_t *self, table_t *table, unit_t unit, double value); // below 0: not known

// TIME, as the daemon writes it, or its age.
void sheet_time(const sheet_t *self, text_t *out, const char *time);

#endif
