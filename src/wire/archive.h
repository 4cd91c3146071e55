// SPDX-License-Identifier: MPL-2.0
// archive.h - what a forwarder remembers, on disk too: each message that it publishes is
// put into a store, and is done when the forwarder has forgotten it. At a start the store
// is read, and the forwarder remembers what it had.
//
// Publishing waits for no disk: what the store has no room for is only in memory.

#ifndef ZB_WIRE_ARCHIVE_H
#define ZB_WIRE_ARCHIVE_H

#include "wire/internal.h"

// By the route's configuration, if it has a store and remembers. 0, or -1 with DIAG.
int archive_open(wire_t *self, diag_t *diag);
void archive_begin(wire_t *self); // in the route's thread, before anybody can connect
void archive_configure(wire_t *self);
void archive_put(archive_t *self, const piece_t *piece); // it was published, and is remembered
bool archive_has_any(const wire_t *self);                // it remembers what its store had
void archive_write(wire_t *self);                        // all that is remembered now, and nothing else
void archive_close(wire_t *self, int64_t wait_ms);

#endif
