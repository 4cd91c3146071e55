// SPDX-License-Identifier: MPL-2.0
// peers.h - the list of a side's connections: who comes and who has gone. For the watch only, and under its lock.

#ifndef ZB_PEERS_H
#define ZB_PEERS_H

#include "zmq/watch_internal.h"

bool peer_is_still(const peer_t *peer);            // its descriptor is still the connection that it was
bool peer_half_close(peer_t *peer, bool busy_too); // false: something came in since the last call

void peers_add(watch_side_t *side, int fd, bool outgoing); // or cut, where nobody may come or not this one
void peers_remove(watch_side_t *side, int fd);

// Once a round: who has gone without an event.
void peers_look_at_some(watch_side_t *side);

// Their number has changed, or how many there may be: tells the counter, and whoever waits for full and not full.
void peers_count(watch_side_t *side);

#endif
