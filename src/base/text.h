// SPDX-License-Identifier: MPL-2.0
// text.h - a string that grows while it is written. Always terminated.

#ifndef ZB_TEXT_H
#define ZB_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    char *data; // never NULL after the first call, owned
    size_t size;
    size_t room;
} text_t;

void text_add(text_t *self, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_vadd(text_t *self, const char *format, va_list args) __attribute__((format(printf, 2, 0)));
void text_bytes(text_t *self, const void *bytes, size_t size);
void text_char(text_t *self, char byte);
void text_clear(text_t *self); // empty, memory kept

// BYTES made safe to show: control characters (C1 and those for bidirectional
// text too) and bytes that are not UTF-8 become \n, \t, \x1b ..., everything
// else stays as it is.
void text_shown(text_t *self, const void *bytes, size_t size);

// BYTES as a string of C that can be told from any other: what is not ASCII, and \ and ", become \xNN.
void text_escaped(text_t *self, const void *bytes, size_t size);

// The length, 1 to 4, of the UTF-8 character (RFC 3629) that BYTES start with;
// 0 if they start with none.
size_t text_utf8(const void *bytes, size_t size);

// Would the character of LENGTH bytes, as text_utf8 has found it, change how
// others are shown? CODE is its code point.
bool text_is_control(const void *bytes, size_t length, uint32_t *code);

// What follows the noun of COUNT things: "s", or nothing after one.
const char *text_plural(uint64_t count);

// Is there anything in TEXT, which may be NULL?
bool text_given(const char *text);

// The string is the caller's to free; SELF is empty after.
char *text_take(text_t *self);
void text_free(text_t *self);

#endif
