// SPDX-License-Identifier: MPL-2.0
// sheet.h - what answers are drawn on: a terminal, which gets units and colour,
// or a pipe, which gets digits.

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
void sheet_measure(sheet_t *self); // again: a terminal may be drawn wider
void sheet_free(sheet_t *self);

// Print it and begin again. False: nobody reads it any more.
bool sheet_flush(sheet_t *self);

const char *sheet_paint(const sheet_t *self, tone_t tone); // an escape sequence; NULL: none
tone_t sheet_tone_of(const char *level);                   // "error", "warning", ...

// Words of ours; those of others, made safe to show; likewise as a paragraph, indented.
void sheet_add(sheet_t *self, tone_t tone, const char *format, ...) __attribute__((format(printf, 3, 4)));
void sheet_text(sheet_t *self, tone_t tone, const char *text);
void sheet_prose(sheet_t *self, tone_t tone, const char *text);

// Cells of a TABLE: a text of others; a number.
void sheet_cell(const sheet_t *self, table_t *table, tone_t tone, const char *text);
void sheet_number(const sheet_t *self, table_t *table, unit_t unit, double value); // below 0: not known

// When something was, as the daemon says it.
void sheet_time(const sheet_t *self, text_t *out, const char *time);

#endif
