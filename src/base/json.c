// SPDX-License-Identifier: MPL-2.0
// json.c - see json.h.

#include "base/json.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEPTH_MAX = 32 };

json_t
json_on(text_t *out)
{
    text_bytes(out, "", 0);
    return (json_t){ .out = out };
}

json_t
json_document(text_t *out)
{
    json_t self = json_on(out);
    json_object(&self, NULL);
    return self;
}

void
json_document_end(json_t *self)
{
    json_object_end(self);
    text_char(self->out, '\n');
}

static void
quoted(text_t *out, const uint8_t *at, size_t size)
{
    static const char escapes[] = "\"\"\\\\\bb\ff\nn\rr\tt"; // pairs: byte, letter
    text_char(out, '"');
    while (size) {
        size_t length = text_utf8(at, size);
        const char *pair = NULL;
        uint32_t code;
        for (const char *p = escapes; *p && !pair; p += 2)
            if (length == 1 && (char)*at == *p)
                pair = p;
        if (!length)
            text_add(out, "\xef\xbf\xbd");
        else if (pair)
            text_add(out, "\\%c", pair[1]);
        else if (text_is_control(at, length, &code))
            text_add(out, "\\u%04" PRIx32, code);
        else
            text_bytes(out, at, length);
        at += length ? length : 1;
        size -= length ? length : 1;
    }
    text_char(out, '"');
}

// What stands before every value: the comma, if one is due, and the key.
static void
begin(json_t *self, const char *key)
{
    uint32_t bit = self->depth ? 1U << (self->depth - 1) : 0;
    if (self->not_first & bit)
        text_char(self->out, ',');
    self->not_first |= bit;
    if (key) {
        quoted(self->out, (const uint8_t *)key, strlen(key));
        text_char(self->out, ':');
    }
}

static void
open_level(json_t *self, const char *key, char bracket)
{
    begin(self, key);
    assert(self->depth < DEPTH_MAX);
    self->depth++;
    self->not_first &= ~(1U << (self->depth - 1));
    text_char(self->out, bracket);
}

static void
close_level(json_t *self, char bracket)
{
    assert(self->depth > 0);
    self->depth--;
    text_char(self->out, bracket);
}

void
json_object(json_t *self, const char *key)
{
    open_level(self, key, '{');
}

void
json_object_end(json_t *self)
{
    close_level(self, '}');
}

void
json_array(json_t *self, const char *key)
{
    open_level(self, key, '[');
}

void
json_array_end(json_t *self)
{
    close_level(self, ']');
}

void
json_string(json_t *self, const char *key, const char *value)
{
    if (value)
        json_bytes(self, key, value, strlen(value));
    else
        json_null(self, key);
}

void
json_bytes(json_t *self, const char *key, const void *value, size_t size)
{
    begin(self, key);
    quoted(self->out, value, size);
}

void
json_lines(json_t *self, const char *key, const char *text)
{
    json_array(self, key);
    while (*text) {
        size_t length = strcspn(text, "\n");
        if (length)
            json_bytes(self, NULL, text, length);
        text += length + (text[length] == '\n');
    }
    json_array_end(self);
}

void
json_int(json_t *self, const char *key, int64_t value)
{
    begin(self, key);
    text_add(self->out, "%" PRId64, value);
}

void
json_uint(json_t *self, const char *key, uint64_t value)
{
    begin(self, key);
    text_add(self->out, "%" PRIu64, value);
}

void
json_real(json_t *self, const char *key, double value)
{
    char text[40] = "null"; // JSON knows no infinity and no NaN
    // The shortest form that reads back as the same number.
    for (int digits = 6; isfinite(value) && digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (fabs(strtod(text, NULL) - value) <= 0)
            break;
    }
    char *comma = strchr(text, ','); // should somebody have set a locale
    if (comma)
        *comma = '.';
    begin(self, key);
    text_add(self->out, "%s", text);
}

void
json_bool(json_t *self, const char *key, bool value)
{
    begin(self, key);
    text_add(self->out, "%s", value ? "true" : "false");
}

void
json_null(json_t *self, const char *key)
{
    begin(self, key);
    text_add(self->out, "null");
}
