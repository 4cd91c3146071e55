// SPDX-License-Identifier: MPL-2.0
// zbroker-options.h - the command line of zbroker(8).

#ifndef ZB_ZBROKER_OPTIONS_H
#define ZB_ZBROKER_OPTIONS_H

#include <stddef.h>
#include <sysexits.h>

// The last two as systemd shows them by name, and sysexits.h knows them.
enum { EXIT_OK, EXIT_CONF, EXIT_USAGE, EXIT_UNAVAILABLE = EX_UNAVAILABLE, EXIT_DENIED = EX_NOPERM };

typedef enum { MODE_RUN, MODE_TEST, MODE_DUMP } run_mode_t;

typedef struct {
    const char *file; // borrowed from the command line
    const char *user; // of -u, borrowed; NULL: not given
    run_mode_t mode;
    char **overrides; // -o, and -l as one of them
    size_t override_count, override_room;
} options_t;

// Of the command line, into SELF, which holds the defaults. -V and -h are answered, wrong usage is told: both exit.
void options_parse(options_t *self, int argc, char **argv);
void options_free(options_t *self);

#endif
