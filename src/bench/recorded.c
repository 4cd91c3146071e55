// SPDX-License-Identifier: MPL-2.0
// recorded.c - see recorded.h.

#include "bench/recorded.h"

#include "base/document.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    LINE_LIMIT = 256 * 1024 * 1024,
    NANOSECOND_DIGITS = 9,
    LAST_YEAR = 2200, // nanoseconds since 1970 fit 64 bits
};

// --- time --------------------------------------------------------------------------

// The digits of a second behind its point, as nanoseconds. NULL: they are none.
static const char *
read_fraction(const char *text, int64_t *ns)
{
    size_t digits = strspn(text, "0123456789");
    *ns = 0;
    for (size_t i = 0; i < NANOSECOND_DIGITS; i++)
        *ns = *ns * 10 + (i < digits ? text[i] - '0' : 0);
    return digits > 0 ? text + digits : NULL;
}

static bool
read_time(const char *text, int64_t *wall_ns)
{
    struct tm utc = { 0 };
    int64_t fraction_ns = 0;
    const char *end = strptime(text, "%Y-%m-%dT%H:%M:%S", &utc);
    if (end && *end == '.')
        end = read_fraction(end + 1, &fraction_ns);
    if (!end || strcmp(end, "Z") != 0 || utc.tm_year < 70 || utc.tm_year + 1900 > LAST_YEAR)
        return false;
    *wall_ns = (int64_t)timegm(&utc) * 1000000000 + fraction_ns;
    return true;
}

// --- frames ------------------------------------------------------------------------

static int
digit(char letter)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = letter ? strchr(digits, letter) : NULL;
    return at ? (int)(at - digits) : -1;
}

static bool
add_hex(recorded_t *self, const document_value_t *hex)
{
    if (!value_is(hex, VALUE_STRING) || hex->size % 2 != 0)
        return false;
    for (size_t i = 0; i < hex->size; i += 2) {
        int high = digit(hex->text[i]), low = digit(hex->text[i + 1]);
        if (high == -1 || low == -1)
            return false;
        text_char(&self->bytes, (char)(high << 4 | low));
    }
    return true;
}

static bool
add_frame(recorded_t *self, const document_value_t *frame)
{
    size_t at = self->bytes.size;
    if (value_is(frame, VALUE_STRING))
        text_bytes(&self->bytes, frame->text, frame->size);
    else if (!add_hex(self, value_member(frame, "hex")))
        return false;
    mem_grow(self->frames, self->count, self->room);
    self->frames[self->count++] = (recorded_frame_t){ at, self->bytes.size - at };
    return true;
}

// --- a line ------------------------------------------------------------------------

static bool
read_message(recorded_t *self, const document_value_t *root)
{
    text_clear(&self->bytes);
    self->count = 0;
    self->from_backend = strcmp(value_text(value_member(root, "side")), "backend") == 0;
    if (!read_time(value_text(value_member(root, "time")), &self->wall_ns))
        return false;
    for (const document_value_t *frame = value_first(value_member(root, "frames")); frame; frame = frame->next)
        if (!add_frame(self, frame))
            return false;
    return self->count > 0;
}

recorded_line_t
recorded_parse(recorded_t *self, const char *line, size_t size)
{
    document_t *document = document_read(line, size);
    recorded_line_t result = RECORDED_WRONG;
    if (document && value_is(value_member(document_root(document), "missed"), VALUE_NUMBER))
        result = RECORDED_COUNT;
    else if (document && read_message(self, document_root(document)))
        result = RECORDED_MESSAGE;
    document_free(&document);
    return result;
}

void
recorded_free(recorded_t *self)
{
    text_free(&self->bytes);
    free(self->frames);
    *self = (recorded_t){ 0 };
}

bool
recorded_next(recorded_lines_t *self, bool *too_long)
{
    int byte;
    text_clear(&self->line);
    *too_long = false;
    while ((byte = getc_unlocked(self->file)) != EOF && byte != '\n') {
        if (self->line.size == LINE_LIMIT) {
            *too_long = true;
            return false;
        }
        text_char(&self->line, (char)byte);
    }
    self->number++;
    return byte != EOF || self->line.size > 0;
}
