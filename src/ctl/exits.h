// SPDX-License-Identifier: MPL-2.0
// exits.h - how zbrokerctl ends.

#ifndef ZB_CTL_EXITS_H
#define ZB_CTL_EXITS_H

typedef enum {
    EXIT_OK,
    EXIT_FAILED,    // the command did
    EXIT_USAGE,     // wrong options
    EXIT_NO_DAEMON, // nothing listens, or the daemon closed the connection
    EXIT_NO_ANSWER, // no permission, or the daemon does not answer
} exit_t;

#endif
