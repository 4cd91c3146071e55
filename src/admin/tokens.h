// SPDX-License-Identifier: MPL-2.0
// tokens.h - one line of the control socket, cut into words. The rules stand in
// commands.h.

#ifndef ZB_TOKENS_H
#define ZB_TOKENS_H

#include "base/text.h"

#include <stdbool.h>
#include <stddef.h>

enum { TOKENS_MAX = 16 };

typedef struct {
    char *text;
    bool quoted;
} token_t;

// Cut LINE, SIZE bytes and a NUL, in place: the words point into it. Returns how
// many. *REASON is set if it is no proper line, and a literal.
size_t tokens_split(char *line, size_t size, token_t words[TOKENS_MAX], const char **reason);

bool token_is(const token_t *word, const char *text); // unquoted

// \xNN, \n, \r, \t, \\, \" and what they stand for. False: a backslash that starts none of these.
bool tokens_unescape(const char *text, text_t *out);

#endif
