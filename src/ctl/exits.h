// SPDX-License-Identifier: MPL-2.0
// exits.h - how zbrokerctl ends.

#ifndef ZB_CTL_EXITS_H
#define ZB_CTL_EXITS_H

typedef enum {
    EXIT_OK,
    EXIT_FAILED,    // the command did
    EXIT_USAGE,     // wrong options
    EXIT_NO_DAEMON, // nobody listens, or it went away
    EXIT_NO_ANSWER, // it may not be asked, or does not answer
} exit_t;

#endif
