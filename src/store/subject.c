// SPDX-License-Identifier: MPL-2.0
#include "store/subject.h"

#include <sodium.h>
#include <string.h>

enum { HASH_BYTES = 32 };

static const char hex[] = "0123456789ABCDEF";

static bool
stays(uint8_t byte)
{
    return byte > ' ' && byte < 0x7f && !strchr("%~*>", byte);
}

static void
add_byte(text_t *self, uint8_t byte)
{
    if (stays(byte)) {
        text_char(self, (char)byte);
        return;
    }
    text_char(self, '%');
    text_char(self, hex[byte >> 4]);
    text_char(self, hex[byte & 15]);
}

static void
add_level(text_t *self, const uint8_t *bytes, size_t size)
{
    if (size == 0)
        text_char(self, '%');
    for (size_t i = 0; i < size; i++)
        add_byte(self, bytes[i]);
}

static void
add_hash(text_t *self, const void *topic, size_t size)
{
    uint8_t hash[HASH_BYTES];
    char digits[2 * HASH_BYTES + 1];
    crypto_generichash(hash, sizeof hash, topic, size, NULL, 0);
    text_add(self, "~%s", sodium_bin2hex(digits, sizeof digits, hash, sizeof hash));
}

void
subject_of(text_t *self, const char *prefix, const void *topic, size_t size)
{
    const uint8_t *at = topic, *end = at + size, *dot;
    text_add(self, "%s.", prefix);
    size_t before = self->size;
    if (size <= SUBJECT_TOPIC_MAX) {
        for (; at < end && (dot = memchr(at, '.', (size_t)(end - at))); at = dot + 1) {
            add_level(self, at, (size_t)(dot - at));
            text_char(self, '.');
        }
        add_level(self, at, (size_t)(end - at));
        if (self->size - before <= SUBJECT_TOPIC_MAX)
            return;
        self->size = before;
    }
    add_hash(self, topic, size);
}

// --- and back ------------------------------------------------------------------------

static int
digit(char byte)
{
    const char *at = byte ? strchr(hex, byte) : NULL;
    return at ? (int)(at - hex) : -1;
}

// %XX, of which % was read. False: it is not what add_byte writes.
static bool
read_byte(text_t *topic, const char *at)
{
    int high = digit(at[0]), low = high == -1 ? -1 : digit(at[1]);
    if (low == -1 || stays((uint8_t)(high << 4 | low)))
        return false;
    text_char(topic, (char)(high << 4 | low));
    return true;
}

static bool
read_level(text_t *topic, const char *at, size_t size)
{
    if (size == 1 && *at == '%')
        return true;
    for (const char *end = at + size; at < end; at++)
        if (*at == '%') {
            if (end - at < 3 || !read_byte(topic, at + 1))
                return false;
            at += 2;
        } else if (stays((uint8_t)*at))
            text_char(topic, *at);
        else
            return false;
    return size > 0;
}

bool
subject_topic(text_t *topic, const char *prefix, const char *subject)
{
    size_t length = strlen(prefix);
    if (strncmp(subject, prefix, length) != 0 || subject[length] != '.')
        return false;
    const char *at = subject + length + 1;
    if (strlen(at) > SUBJECT_TOPIC_MAX)
        return false;
    text_add(topic, "%s", "");
    for (size_t size; size = strcspn(at, "."), read_level(topic, at, size); at += size + 1) {
        if (!at[size])
            return true;
        text_char(topic, '.');
    }
    return false;
}

bool
subject_is_prefix(const char *text)
{
    for (size_t size;; text += size + 1) {
        size = strcspn(text, ".");
        if (size == 0)
            return false;
        for (size_t i = 0; i < size; i++)
            if (!stays((uint8_t)text[i]))
                return false;
        if (!text[size])
            return true;
    }
}
