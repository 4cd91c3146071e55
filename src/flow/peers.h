// SPDX-License-Identifier: MPL-2.0
// peers.h - the list of a side's connections: who comes, who he is, and who has
// gone. For the watch only, and under its lock.

#ifndef ZB_PEERS_H
#define ZB_PEERS_H

#include "flow/watch_parts.h"

bool peer_is_still(const peer_t *peer);            // its descriptor is still the connection that it was
uint32_t peer_bytes(const watch_t *self, int fd);  // that have come in; it wraps around

void peers_add(watch_side_t *side, int fd, bool outgoing); // or cut, where nobody may come or not this one
void peers_remove(watch_side_t *side, int fd);
const peer_t *peers_at(const watch_side_t *side, int fd); // NULL: none
peer_t *peers_find(watch_side_t *side, ino_t inode);       // NULL: not there

// Once a round: who has gone without an event, and who sends.
void peers_look_at_some(watch_side_t *side);

// Their number has changed, or how many there may be: tells the counter, and whoever waits for full and not full.
void peers_count(watch_side_t *side);

// Whoever comes with this connection is USER.
void peers_expect(watch_t *self, ino_t inode, const char *user);

#endif
