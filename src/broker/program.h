// SPDX-License-Identifier: MPL-2.0
// program.h - the file of this program, and another one in its place: looked at, tried
// with the configuration, and run by exec in this process, with a state to go on from.
//
// The path is that of the start. The file is opened once: what was tried is what runs.
// Only root and our own user may have a hand in it. The state goes through a sealed
// memfd(2), which nobody else sees and which is read once.

#ifndef ZB_PROGRAM_H
#define ZB_PROGRAM_H

#include "base/record.h"
#include "base/text.h"

#include <stdbool.h>

// First thing in main: which file this is, and with what it was started. Borrows ARGV.
void program_remember(char **argv);

// What the program before has left: true, and its state is in STATE, to be forgotten. Before there is a thread.
bool program_inherit(record_t *state);

// Is the file at the path a zbroker that can take over, and takes our configuration? 0, and it is open; or -1 with the
// reason, lines. *TAKES_ALL: it knows the format of our state, and of that of routes.
int program_try(bool *takes_all, text_t *error);

// What it looks for in what -V prints.
#define PROGRAM_FORMATS "upgrade: state %d, routes %d"

// Run it, with STATE and the COUNT descriptors at FDS: it keeps those and no others. Returns only when that fails: -1
// with the reason, and all is as it was.
int program_run(const record_t *state, const int *fds, size_t count, text_t *error);
void program_close(void); // it is not wanted any more

#endif
