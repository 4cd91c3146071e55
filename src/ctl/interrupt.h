// SPDX-License-Identifier: MPL-2.0
// interrupt.h - SIGINT and SIGTERM. They end zbrokerctl at once, unless one of
// these says otherwise.

#ifndef ZB_CTL_INTERRUPT_H
#define ZB_CTL_INTERRUPT_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

// They are the normal end: call LAST (NULL: nothing), which must be fit for a signal handler, and exit with 0.
void interrupt_ends(void (*last)(void));

// Count the first one, and exit with 0 at the second. They come only while MASK is in force, so that none is missed
// between a look and a wait, or while they are let.
void interrupt_count(sigset_t *mask);
void interrupt_let(bool come);
void interrupt_after(int64_t ms); // as if one came then
bool interrupt_counted(void);

#endif
