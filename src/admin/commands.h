// SPDX-License-Identifier: MPL-2.0
// commands.h - the table of control commands, and one line in, one answer out.
// Knows no socket: control.h brings the lines and carries the answers away.
//
// A line is words between blanks. A word in double quotes may hold blanks and
// the C escapes \" \\ \n \r \t \xNN, and is never a keyword. A last word `json`
// asks for JSON, unless it is the argument of `format` or `topic`.

#ifndef ZB_COMMANDS_H
#define ZB_COMMANDS_H

#include "admin/tapformat.h"
#include "base/text.h"
#include "broker/broker.h"

#include <stdbool.h>

#define COMMAND_LINE_MAX 4096 // bytes, without the newline

typedef enum {
    COMMAND_DONE,   // ANSWER is whole
    COMMAND_FAILED, // likewise; it says `error: ` or {"error": ...}
    COMMAND_TAP,    // TAP says what to stream
    COMMAND_WAITS,  // the answer comes when it is done, in JSON where TAP says so
    COMMAND_LEAVE,  // LEAVING says which route has to be gone first; then command_left makes the answer
} command_result_t;

// A route that is being disabled, and what it has lost so far.
typedef struct {
    char route[ROUTE_NAME_MAX + 1]; // "": none
    bool json;
    route_leftover_t left;
} leaving_t;

// Who asks: at the other end of the control socket.
typedef struct {
    unsigned uid, gid;
    int pid;
} control_peer_t;

// Run LINE. ANSWER gets lines that end in a newline, none of them blank. WHO is
// named in the log when the command changes something. DESCRIPTOR came with the
// line and is lent, -1: none did.
command_result_t commands_run(broker_t *broker, const char *line, size_t size, const control_peer_t *who,
                              int descriptor, text_t *answer, tap_request_t *tap, leaving_t *leaving);

// LEAVING's route has gone. ANSWER gets lines, as of commands_run.
void command_left(const leaving_t *leaving, text_t *answer);

// Walk the table, for completion, tests and the manual: false past the end.
typedef struct {
    const char *name, *arguments, *help;
} command_info_t;
bool command_at(unsigned i, command_info_t *info);

#endif
