// SPDX-License-Identifier: MPL-2.0
// zbroker-upgrade.h - from one program to the next: the whole process written down
// and taken over. What of it belongs to the routes is in broker/takeover.h.

#ifndef ZB_ZBROKER_UPGRADE_H
#define ZB_ZBROKER_UPGRADE_H

#include "zbroker-internal.h"

// BEFORE is what the program before has left, empty: there was none. Before there is a thread. Borrows it until
// upgrade_done.
void upgrade_inherit(daemon_t *self, const record_t *before);

// Everything runs: the log and who has asked for the upgrade hear of it.
void upgrade_done(daemon_t *self);

// Run the program that was tried. Returns only if that fails: then everything goes on as it was.
void upgrade_leave(daemon_t *self);

#endif
