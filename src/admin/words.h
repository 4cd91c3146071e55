// SPDX-License-Identifier: MPL-2.0
// words.h - one line of the control socket, cut into words. The rules stand in
// commands.h.

#ifndef ZB_WORDS_H
#define ZB_WORDS_H

#include "base/text.h"

#include <stdbool.h>
#include <stddef.h>

enum { WORDS_MAX = 16 };

typedef struct {
    char *text;
    bool quoted;
} word_t;

// Cut LINE, SIZE bytes and a NUL, in place: the words point into it. Returns how
// many. *REASON is set if it is no proper line, and a literal.
size_t words_split(char *line, size_t size, word_t words[WORDS_MAX], const char **reason);

bool word_is(const word_t *word, const char *text); // unquoted

// \xNN, \n, \r, \t, \\, \" and what they stand for. False: a backslash that starts none of these.
bool words_unescape(const char *text, text_t *out);

#endif
