// SPDX-License-Identifier: MPL-2.0
// verbs.h - all that zbrokerctl can be told: the daemon's commands and its own.
// Known without a daemon.

#ifndef ZB_CTL_VERBS_H
#define ZB_CTL_VERBS_H

#include "base/text.h"

#include <stdbool.h>
#include <stddef.h>

#define RECORD_ARGUMENTS "ROUTE FILE [topic PREFIX] [count N] [for TIME]"

typedef enum {
    ANSWERS, // at once
    WAITS,   // for what it has begun
    STREAMS, // until it is ended
} manner_t;

typedef struct {
    const char *name; // of one word or two
    const char *arguments;
    manner_t manner;
    const char *help;
} ctl_verb_t;

// The verb that WORDS begin with, and how many of them name it; NULL: none. The daemon may know it all the same.
const ctl_verb_t *verbs_find(const char *const *words, size_t count, size_t *used);

// Can `show' be left out before WORD?
bool verbs_is_shown(const char *word);

// The list, or what begins with WORDS. False: nothing does.
bool verbs_help(const char *const *words, size_t count, text_t *out);

#endif
