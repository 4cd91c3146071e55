// SPDX-License-Identifier: MPL-2.0
// connection.h - a connection to the control socket: it sends a command line and
// receives the lines of the answer.

#ifndef ZB_CTL_CONNECTION_H
#define ZB_CTL_CONNECTION_H

#include "base/document.h"
#include "base/text.h"
#include "ctl/exits.h"

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct {
    int fd;
    const char *path;     // borrowed
    int timeout_ms;       // for the next piece of an answer; -1: as long as it takes
    const sigset_t *mask; // while it waits; NULL: the usual one. A signal ends the wait
    text_t received;
    size_t used, searched; // of it: bytes of lines handed out, bytes searched for a newline
    text_t reason;         // of a failure; empty: there is nothing to say
} connection_t;

// TIMEOUT_MS bounds the connecting, too. On failure the reason is in SELF.
exit_t connection_open(connection_t *self, const char *path, int timeout_ms);
void connection_close(connection_t *self);

// Send LINE, without its newline, and with it DESCRIPTOR, which stays the caller's; -1: none. The answer shows whether
// the daemon got it.
void connection_send(connection_t *self, const char *line, int descriptor);

// The next line of the answer, which is valid until the next call.
typedef enum { NEXT_LINE, NEXT_END, NEXT_SIGNAL, NEXT_FAILED } next_t;
next_t connection_next(connection_t *self, const char **line, size_t *size, exit_t *failure);

// Ask in JSON. NULL: the reason is in SELF.
document_t *connection_ask(connection_t *self, const char *line, exit_t *failure);

// Is a line there that need not be waited for?
bool connection_has_line(const connection_t *self);

// Do nothing for SECONDS or until a signal, unless OTHER (-1: nothing) can be read before, or the daemon goes.
typedef enum { PAUSE_OVER, PAUSE_OTHER, PAUSE_LOST } pause_t;
pause_t connection_pause(connection_t *self, double seconds, int other);

#endif
