// SPDX-License-Identifier: MPL-2.0
// peers.h - the connections of one socket: who comes and who has gone. For the watch only, and under its lock.

#ifndef ZB_PEERS_H
#define ZB_PEERS_H

#include "flow/capacity.h"
#include "flow/counters.h"

#include <sys/types.h>

// One connection. The inode tells whether a descriptor number is still the
// connection it was: libzmq may have closed it and the next one got its number.
typedef struct {
    uint64_t id;
    int fd;
    ino_t inode;
    bool outgoing;
    bool half_closed;
    bool cut;       // by us
    uint64_t bytes; // that had come in when it was last looked at
    int64_t since_wall_ns;
    char peer[128];
    bool is_ipc;
} peer_t;

typedef struct {
    char *route;
    side_t side;
    side_counters_t *counters;
    capacity_t *capacity; // of the process; NULL: nobody counts all sides together
    peer_t *at;
    size_t count, room;
    size_t counted;       // of the count, in the capacity
    size_t looked;        // the next one to look at
    bool half_closed;
    bool turned_away;     // newcomers are
    int64_t cut_until_ms; // those who come before are
    size_t limit;
    bool full;
    void (*on_full)(bool full, void *arg);
    void *arg;
} peers_t;

bool peer_is_still(const peer_t *peer);            // its descriptor is still the connection that it was
bool peer_half_close(peer_t *peer, bool busy_too); // false: something came in since the last call

void peers_add(peers_t *self, int fd, bool outgoing); // or cut, where nobody may come or not this one
void peers_remove(peers_t *self, int fd);
void peers_free(peers_t *self); // all of them go

// Once a round: who has gone without an event.
void peers_look_at_some(peers_t *self);

// Their number has changed, or how many there may be: tells the counter, and whoever waits for full and not full.
void peers_count(peers_t *self);

#endif
