// SPDX-License-Identifier: MPL-2.0
// commands.h - the table of control commands, and one line in, one answer out.
// Knows no socket: control.h brings the lines and carries the answers away.
//
// A line is words between blanks. A word in double quotes may hold blanks and
// the C escapes \" \\ \n \r \t \xNN, and is never a keyword. A last word `json`
// asks for JSON, unless it is the argument of `format` or `topic`.

#ifndef ZB_COMMANDS_H
#define ZB_COMMANDS_H

#include "admin/reply.h"

#define COMMAND_LINE_MAX 4096 // bytes, without the newline

// Run LINE. ANSWER gets lines that end in a newline, none of them blank. WHO is
// named in the log when the command changes something. DESCRIPTOR came with the
// line and is lent, -1: none did.
command_result_t commands_run(broker_t *broker, const char *line, size_t size, const control_peer_t *who,
                              int descriptor, text_t *answer, tap_request_t *tap, leaving_t *leaving);

// Walk the table, for completion, tests and the manual: false past the end.
typedef struct {
    const char *name, *arguments, *help;
} command_info_t;
bool command_at(unsigned i, command_info_t *info);

#endif
