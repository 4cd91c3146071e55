// SPDX-License-Identifier: MPL-2.0
#include "admin/tokens.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

bool
tokens_unescape(const char *text, text_t *out)
{
    static const char letters[] = "n\nr\rt\t\\\\\"\"";
    text_bytes(out, "", 0);
    for (; *text; text++) {
        if (*text != '\\') {
            text_char(out, *text);
            continue;
        }
        text++;
        const char *pair = letters;
        while (*pair && *pair != *text)
            pair += 2;
        if (*text && *pair) {
            text_char(out, pair[1]);
        } else if (*text == 'x' && isxdigit((unsigned char)text[1]) && isxdigit((unsigned char)text[2])) {
            char digits[3] = { text[1], text[2], 0 };
            text_char(out, (char)strtol(digits, NULL, 16));
            text += 2;
        } else {
            return false;
        }
    }
    return true;
}

// Cut the next word out of *AT, in place. False: no more, or a REASON why it is none.
static bool
next_word(char **at, token_t *word, const char **reason)
{
    char *from = *at + strspn(*at, " \t");
    char *to = from;
    if (!*from)
        return false;
    *word = (token_t){ .text = from, .quoted = *from == '"' };
    if (!word->quoted) {
        to = from + strcspn(from, " \t");
        *at = *to ? to + 1 : to;
        *to = '\0';
        return true;
    }
    char *scan = from + 1;
    while (*scan && *scan != '"')
        scan += *scan == '\\' && scan[1] ? 2 : 1;
    if (!*scan || (scan[1] && !strchr(" \t", scan[1]))) {
        *reason = *scan ? "a blank must follow the closing quote" : "a closing quote is missing";
        return false;
    }
    *scan = '\0';
    text_t plain = { 0 };
    if (!tokens_unescape(from + 1, &plain) || strlen(plain.data) != plain.size)
        *reason = "in quotes a backslash is written \\\\";
    else
        memcpy(from, plain.data, plain.size + 1); // never longer than what it was written as
    text_free(&plain);
    *at = scan + 1;
    return !*reason;
}

size_t
tokens_split(char *line, size_t size, token_t words[TOKENS_MAX], const char **reason)
{
    size_t count = 0;
    *reason = memchr(line, '\0', size) ? "a NUL byte in the line" : NULL;
    while (!*reason && count < TOKENS_MAX && next_word(&line, &words[count], reason))
        count++;
    if (!*reason && count == TOKENS_MAX)
        *reason = "too many words";
    return count;
}

bool
token_is(const token_t *word, const char *text)
{
    return !word->quoted && strcmp(word->text, text) == 0;
}
