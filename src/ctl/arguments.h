// SPDX-License-Identifier: MPL-2.0
// arguments.h - the command line of zbrokerctl(8).

#ifndef ZB_CTL_ARGUMENTS_H
#define ZB_CTL_ARGUMENTS_H

#include "base/text.h"
#include "ctl/verbs.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct {
    const char *socket, *file; // borrowed from the command line
    bool json, wide, slow, changed;
    double every_s; // repeat the command; 0: once
    int timeout_ms; // to connect; 0: none
    int answer_ms;  // for an answer; -1: none
    char **words;   // the command, in full
    size_t word_count, word_room;
    const char *passed; // the file whose descriptor goes with it: one of the words; NULL: none
    const ctl_verb_t *verb; // that it is; NULL: none that is known
    size_t named;       // words that name it
} arguments_t;

// -V, -h and help are answered, wrong usage is told: all exit.
void arguments_parse(arguments_t *self, int argc, char **argv);
void arguments_free(arguments_t *self);

// COMMAND with the words behind the verb, as the daemon reads a line. NULL COMMAND: all words.
void arguments_line(const arguments_t *self, const char *command, text_t *line);

// Append WORD as the daemon reads it back: in quotes if it holds what would cut it.
void arguments_quote(text_t *line, const char *word);

bool arguments_is(const arguments_t *self, const char *verb);

#endif
