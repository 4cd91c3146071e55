// SPDX-License-Identifier: MPL-2.0
// archive.h - what a forwarder keeps, on disk too: a log in a store, of the messages that
// it remembers or keeps for subscribers that are away, in the order in which they were
// published, and of notes among them. At a start it is read, and what it says happens
// again, so that the forwarder keeps what it did.
//
// What is needed of the log is at its end. Where something old lies before much that is
// not needed any more it is written once more, a piece at a time.
//
// What goes there is archivelog.h.

#ifndef ZB_WIRE_ARCHIVE_H
#define ZB_WIRE_ARCHIVE_H

#include "wire/internal.h"

// By the route's configuration, if it has a store and keeps something. 0, or -1 with DIAG.
int archive_open(wire_t *self, diag_t *diag);
void archive_begin(wire_t *self);         // in the route's thread, before anybody can connect
bool archive_is_read(const wire_t *self); // else nobody may come yet: accept_at_all is called when it is
void archive_configure(wire_t *self);
bool archive_has_any(const wire_t *self);              // the route keeps what its store had
void archive_write(wire_t *self);                      // all that it keeps, and nothing else is there
uint64_t archive_close(wire_t *self, int64_t wait_ms); // the sequence up to which all is on the disk

#endif
