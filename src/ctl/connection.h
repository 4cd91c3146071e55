// SPDX-License-Identifier: MPL-2.0
// connection.h - to the control socket: lines go there, lines of answers come.

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
    const sigset_t *mask; // while it waits; NULL: as always. A signal that comes then is told
    text_t received;
    size_t used, searched; // of it: lines that were given away, bytes without a newline
    text_t reason;         // why something failed; empty: nobody needs to be told
} connection_t;

// TIMEOUT_MS also bounds the connecting. On failure the reason is in SELF.
exit_t connection_open(connection_t *self, const char *path, int timeout_ms);
void connection_close(connection_t *self);

// A LINE without its newline. What happens to it shows when the answer is read.
void connection_send(connection_t *self, const char *line);

// The next line of the answer, which is valid until the next call.
typedef enum { NEXT_LINE, NEXT_END, NEXT_SIGNAL, NEXT_FAILED } next_t;
next_t connection_next(connection_t *self, const char **line, size_t *size, exit_t *failure);

// Ask in JSON. NULL: the reason is in SELF.
document_t *connection_ask(connection_t *self, const char *line, exit_t *failure);

// Is a line there that need not be waited for?
bool connection_has_line(const connection_t *self);

// Do nothing for a while, unless OTHER (-1: nothing) can be read before, or the daemon goes.
typedef enum { PAUSE_OVER, PAUSE_OTHER, PAUSE_LOST } pause_t;
pause_t connection_pause(connection_t *self, double seconds, int other);

#endif
