// SPDX-License-Identifier: MPL-2.0
// text.c - see text.h.

#include "base/text.h"
#include "base/mem.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Room for SIZE more bytes and the terminator.
static void
reserve(text_t *self, size_t size)
{
    size_t wanted = self->size + size + 1;
    if (wanted > self->room) {
        self->room = wanted < 64 ? 64 : wanted + wanted / 2;
        self->data = xrealloc(self->data, self->room, 1);
    }
}

void
text_bytes(text_t *self, const void *bytes, size_t size)
{
    reserve(self, size);
    if (size)
        memcpy(self->data + self->size, bytes, size);
    self->size += size;
    self->data[self->size] = '\0';
}

void
text_char(text_t *self, char byte)
{
    text_bytes(self, &byte, 1);
}

void
text_vadd(text_t *self, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    reserve(self, 128);
    int size = vsnprintf(self->data + self->size, self->room - self->size, format, args);
    if (size > 0 && (size_t)size >= self->room - self->size) {
        reserve(self, (size_t)size);
        vsnprintf(self->data + self->size, self->room - self->size, format, again);
    }
    va_end(again);
    if (size > 0)
        self->size += (size_t)size;
    self->data[self->size] = '\0';
}

void
text_add(text_t *self, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    text_vadd(self, format, args);
    va_end(args);
}

void
text_clear(text_t *self)
{
    reserve(self, 0);
    self->size = 0;
    self->data[0] = '\0';
}

// The leading bytes of RFC 3629's table: what may follow keeps overlong forms,
// surrogates and code points past U+10FFFF out.
static const struct {
    uint8_t first, last, length, second_first, second_last;
} sequences[] = {
    { 0x00, 0x7f, 1, 0x00, 0x00 }, { 0xc2, 0xdf, 2, 0x80, 0xbf }, { 0xe0, 0xe0, 3, 0xa0, 0xbf },
    { 0xe1, 0xec, 3, 0x80, 0xbf }, { 0xed, 0xed, 3, 0x80, 0x9f }, { 0xee, 0xef, 3, 0x80, 0xbf },
    { 0xf0, 0xf0, 4, 0x90, 0xbf }, { 0xf1, 0xf3, 4, 0x80, 0xbf }, { 0xf4, 0xf4, 4, 0x80, 0x8f },
};

size_t
text_utf8(const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    for (size_t i = 0; size && i < sizeof sequences / sizeof *sequences; i++) {
        if (at[0] < sequences[i].first || at[0] > sequences[i].last)
            continue;
        size_t length = sequences[i].length;
        if (length > size)
            return 0;
        if (length > 1 && (at[1] < sequences[i].second_first || at[1] > sequences[i].second_last))
            return 0;
        for (size_t j = 2; j < length; j++)
            if ((at[j] & 0xc0) != 0x80)
                return 0;
        return length;
    }
    return 0;
}

// Characters that change how the text around them is shown.
static const struct {
    uint32_t first, last;
} controls[] = {
    { 0x0000, 0x001f }, // C0
    { 0x007f, 0x009f }, // DEL and C1, of which terminals understand some
    { 0x061c, 0x061c }, // turns the direction of what is beside it
    { 0x200e, 0x200f }, // likewise
    { 0x2028, 0x2029 }, // end a line for some programs
    { 0x202a, 0x202e }, // turn the direction of writing
    { 0x2066, 0x2069 }, // likewise
    { 0xfeff, 0xfeff }, // a byte order mark, invisible
};

// The character of LENGTH bytes at AT, as text_utf8 has found it.
static uint32_t
code_point(const uint8_t *at, size_t length)
{
    static const uint8_t lead_bits[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 };
    uint32_t code = at[0] & lead_bits[length];
    for (size_t i = 1; i < length; i++)
        code = code << 6 | (at[i] & 0x3f);
    return code;
}

bool
text_is_control(const void *bytes, size_t length, uint32_t *code)
{
    *code = code_point(bytes, length);
    for (size_t i = 0; i < sizeof controls / sizeof *controls; i++)
        if (*code >= controls[i].first && *code <= controls[i].last)
            return true;
    return false;
}

void
text_shown(text_t *self, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    uint32_t code;
    for (text_bytes(self, "", 0); size;) {
        size_t plain = 0;
        while (plain < size && at[plain] >= 0x20 && at[plain] < 0x7f)
            plain++;
        if (plain) {
            text_bytes(self, at, plain);
            at += plain;
            size -= plain;
            continue;
        }
        size_t length = text_utf8(at, size);
        if (length && !text_is_control(at, length, &code)) {
            text_bytes(self, at, length);
        } else {
            length = length ? length : 1;
            for (size_t i = 0; i < length; i++)
                if (at[i] == '\n' || at[i] == '\r' || at[i] == '\t')
                    text_add(self, "\\%c", at[i] == '\n' ? 'n' : at[i] == '\r' ? 'r' : 't');
                else
                    text_add(self, "\\x%02x", at[i]);
        }
        at += length;
        size -= length;
    }
}

void
text_escaped(text_t *self, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    text_bytes(self, "", 0);
    for (size_t i = 0; i < size; i++)
        if (at[i] < 0x20 || at[i] >= 0x7f || at[i] == '\\' || at[i] == '"')
            text_add(self, "\\x%02x", at[i]);
        else
            text_char(self, (char)at[i]);
}

const char *
text_plural(uint64_t count)
{
    return count == 1 ? "" : "s";
}

bool
text_given(const char *text)
{
    return text && *text;
}

char *
text_take(text_t *self)
{
    reserve(self, 0);
    char *data = self->data;
    data[self->size] = '\0';
    *self = (text_t){ 0 };
    return data;
}

void
text_free(text_t *self)
{
    free(self->data);
    *self = (text_t){ 0 };
}
