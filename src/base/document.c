// SPDX-License-Identifier: MPL-2.0
// document.c - see document.h.

#include "base/document.h"

#include "base/mem.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { DEPTH_MAX = 32, BLOCK = 256 };

// Values live in blocks, so that a document of thousands is freed at once.
typedef struct block {
    struct block *next;
    document_value_t values[BLOCK];
} block_t;

struct document {
    char *text; // a copy: strings are unescaped in place and end where their quote was
    block_t *blocks;
    size_t used; // of the first block
    document_value_t *root;
};

typedef struct {
    document_t *document;
    char *at;
    unsigned depth;
} reader_t;

static document_value_t *read_value(reader_t *self);

static document_value_t *
new_value(reader_t *self, value_kind_t kind)
{
    document_t *document = self->document;
    if (!document->blocks || document->used == BLOCK) {
        block_t *block = xcalloc(1, sizeof *block);
        block->next = document->blocks;
        document->blocks = block;
        document->used = 0;
    }
    document_value_t *value = &document->blocks->values[document->used++];
    value->kind = kind;
    return value;
}

static void
skip_blanks(reader_t *self)
{
    self->at += strspn(self->at, " \t\r\n");
}

// Is WORD next? Then go behind it.
static bool
take(reader_t *self, const char *word)
{
    size_t size = strlen(word);
    if (strncmp(self->at, word, size) != 0)
        return false;
    self->at += size;
    return true;
}

// --- strings -------------------------------------------------------------------------

// The four digits of \uXXXX; -1: they are none.
static long
read_unit(const char *at)
{
    char four[5] = { 0 };
    if (strspn(at, "0123456789abcdefABCDEF") < 4)
        return -1;
    memcpy(four, at, 4);
    return strtol(four, NULL, 16);
}

static char *
put_utf8(char *out, unsigned long code)
{
    static const struct {
        unsigned long limit;
        unsigned char lead;
        int more;
    } forms[] = { { 0x80, 0, 0 }, { 0x800, 0xc0, 1 }, { 0x10000, 0xe0, 2 }, { 0x110000, 0xf0, 3 } };
    size_t form = 0;
    while (code >= forms[form].limit)
        form++;
    *out++ = (char)(forms[form].lead | (code >> (6 * forms[form].more)));
    for (int i = forms[form].more - 1; i >= 0; i--)
        *out++ = (char)(0x80 | ((code >> (6 * i)) & 0x3f));
    return out;
}

// \uXXXX, or two of them that are one character, from FROM to *OUT. NULL: it is none. Never longer than it was written.
static char *
unescape_unicode(char *from, char **out)
{
    long code = read_unit(from), low = 0;
    if (code == -1)
        return NULL;
    from += 4;
    if (code >= 0xd800 && code < 0xdc00 && from[0] == '\\' && from[1] == 'u' && (low = read_unit(from + 2)) >= 0xdc00 &&
        low < 0xe000) {
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        from += 6;
    } else if (code >= 0xd800 && code < 0xe000) {
        code = 0xfffd; // half of one
    }
    *out = put_utf8(*out, (unsigned long)code);
    return from;
}

static char *
unescape(char *from, char **out)
{
    static const char letters[] = "\"\"\\\\//b\bf\fn\nr\rt\t"; // pairs: letter, byte
    if (*from == 'u')
        return unescape_unicode(from + 1, out);
    for (const char *pair = letters; *pair; pair += 2)
        if (*pair == *from) {
            *(*out)++ = pair[1];
            return from + 1;
        }
    return NULL;
}

// From behind the opening quote to behind the closing one. NULL: it is no string.
static const char *
read_text(reader_t *self, size_t *size)
{
    char *begin = self->at, *from = begin, *out = begin;
    while (*from != '"') {
        if ((unsigned char)*from < 0x20)
            return NULL;
        if (*from != '\\')
            *out++ = *from++;
        else if (!(from = unescape(from + 1, &out)))
            return NULL;
    }
    *out = '\0';
    *size = (size_t)(out - begin);
    self->at = from + 1;
    return begin;
}

static document_value_t *
read_string(reader_t *self)
{
    document_value_t *value = new_value(self, VALUE_STRING);
    return (value->text = read_text(self, &value->size)) ? value : NULL;
}

// --- numbers and words -----------------------------------------------------------------

static size_t
digits(const char *at)
{
    return strspn(at, "0123456789");
}

// How long the number at AT is; 0: it is none.
static size_t
number_size(const char *at)
{
    const char *end = at + (*at == '-');
    size_t whole = digits(end);
    if (!whole || (*end == '0' && whole > 1))
        return 0;
    end += whole;
    if (*end == '.') {
        size_t fraction = digits(end + 1);
        if (!fraction)
            return 0;
        end += 1 + fraction;
    }
    if (*end == 'e' || *end == 'E') {
        end += 1 + (end[1] == '+' || end[1] == '-');
        size_t exponent = digits(end);
        if (!exponent)
            return 0;
        end += exponent;
    }
    return (size_t)(end - at);
}

static document_value_t *
read_number(reader_t *self)
{
    size_t size = number_size(self->at);
    if (!size)
        return NULL;
    document_value_t *value = new_value(self, VALUE_NUMBER);
    value->number = strtod(self->at, NULL);
    value->text = self->at;
    self->at += size;
    return value;
}

static document_value_t *
read_word(reader_t *self)
{
    static const struct {
        const char *word;
        value_kind_t kind;
        double number;
    } words[] = { { "null", VALUE_NULL, 0 }, { "true", VALUE_BOOL, 1 }, { "false", VALUE_BOOL, 0 } };
    for (size_t i = 0; i < COUNT(words); i++)
        if (take(self, words[i].word)) {
            document_value_t *value = new_value(self, words[i].kind);
            value->number = words[i].number;
            return value;
        }
    return read_number(self);
}

// --- arrays and objects ----------------------------------------------------------------

static document_value_t *
read_member(reader_t *self)
{
    size_t size;
    const char *key = take(self, "\"") ? read_text(self, &size) : NULL;
    skip_blanks(self);
    if (!key || !take(self, ":"))
        return NULL;
    document_value_t *value = read_value(self);
    if (value)
        value->key = key;
    return value;
}

// From behind the opening bracket to behind the closing one.
static document_value_t *
read_list(reader_t *self, value_kind_t kind, const char *end, document_value_t *(*read_one)(reader_t *self))
{
    document_value_t *list = new_value(self, kind);
    const document_value_t **link = &list->first;
    skip_blanks(self);
    if (take(self, end))
        return list;
    do {
        skip_blanks(self);
        document_value_t *value = read_one(self);
        if (!value)
            return NULL;
        *link = value;
        link = &value->next;
        skip_blanks(self);
    } while (take(self, ","));
    return take(self, end) ? list : NULL;
}

static document_value_t *
read_value(reader_t *self)
{
    document_value_t *value;
    skip_blanks(self);
    if (self->depth == DEPTH_MAX)
        return NULL;
    self->depth++;
    if (take(self, "{"))
        value = read_list(self, VALUE_OBJECT, "}", read_member);
    else if (take(self, "["))
        value = read_list(self, VALUE_ARRAY, "]", read_value);
    else if (take(self, "\""))
        value = read_string(self);
    else
        value = read_word(self);
    self->depth--;
    return value;
}

// --- the whole ---------------------------------------------------------------------------

// The text of a number ends where the number does: its neighbours are read by now.
static void
end_numbers(const document_t *self)
{
    size_t used = self->used;
    for (block_t *block = self->blocks; block; block = block->next, used = BLOCK)
        for (size_t i = 0; i < used; i++)
            if (block->values[i].kind == VALUE_NUMBER) {
                char *text = self->text + (block->values[i].text - self->text);
                text[number_size(text)] = '\0';
            }
}

document_t *
document_read(const char *text, size_t size)
{
    document_t *self = xcalloc(1, sizeof *self);
    self->text = xcalloc(size + 1, 1);
    if (size)
        memcpy(self->text, text, size);
    reader_t reader = { .document = self, .at = self->text };
    self->root = read_value(&reader);
    skip_blanks(&reader);
    if (!self->root || reader.at != self->text + size)
        document_free(&self);
    else
        end_numbers(self);
    return self;
}

const document_value_t *
document_root(const document_t *self)
{
    return self->root;
}

void
document_free(document_t **self_p)
{
    document_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    while (self->blocks) {
        block_t *block = self->blocks;
        self->blocks = block->next;
        free(block);
    }
    free(self->text);
    free(self);
}

// --- values ----------------------------------------------------------------------------------

// The member whose name is the first SIZE bytes of KEY.
static const document_value_t *
find(const document_value_t *self, const char *key, size_t size)
{
    for (const document_value_t *member = value_is(self, VALUE_OBJECT) ? self->first : NULL; member;
         member = member->next)
        if (strncmp(member->key, key, size) == 0 && !member->key[size])
            return member;
    return NULL;
}

const document_value_t *
value_member(const document_value_t *self, const char *key)
{
    return find(self, key, strlen(key));
}

const document_value_t *
value_at(const document_value_t *self, const char *path)
{
    for (size_t size; self && *path; path += size + (path[size] == '.')) {
        size = strcspn(path, ".");
        self = find(self, path, size);
    }
    return self;
}

const document_value_t *
value_first(const document_value_t *self)
{
    return value_is(self, VALUE_ARRAY) ? self->first : NULL;
}

const char *
value_text(const document_value_t *self)
{
    return value_is(self, VALUE_STRING) ? self->text : "";
}

bool
value_is(const document_value_t *self, value_kind_t kind)
{
    return self && self->kind == kind;
}

bool
value_true(const document_value_t *self)
{
    return value_is(self, VALUE_BOOL) && self->number > 0;
}
