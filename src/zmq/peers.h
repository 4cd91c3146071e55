// SPDX-License-Identifier: MPL-2.0
// peers.h - the connections of one socket: who comes and who has gone. For the watch only, and under its lock.

#ifndef ZB_PEERS_H
#define ZB_PEERS_H

#include "flow/capacity.h"
#include "flow/counters.h"

#include <sys/types.h>

// One connection. libzmq may close it at any time, and the next one gets its number: the inode tells whether the number
// is still the connection it was, and what is done to a connection is done to a duplicate, which stays what it is.
typedef struct {
    uint64_t id;
    int fd; // libzmq's: a name, never to be acted upon
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
    size_t newcomers;     // of the count, the last ones: not met yet
    size_t looked;        // the next one to look at
    bool half_closed;
    bool turned_away;     // newcomers are
    int64_t cut_until_ms; // those who come before are
    size_t limit;
    bool full;
    void (*on_full)(bool full, void *arg);
    void *arg;
} peers_t;

int peer_pin(const peer_t *peer); // a duplicate of its descriptor, the caller's; -1: libzmq has closed it
void peer_unpin(int pinned);      // which may be -1
bool peer_half_close(peer_t *peer, bool busy_too); // false: something came in since the last call
bool peer_cut(peer_t *peer);      // false: it was cut before, or has gone

void peers_add(peers_t *self, int fd, bool outgoing);
void peers_remove(peers_t *self, int fd);

// Every event so far was read: whoever was added since the last call, and has not gone, is cut or half-closed where
// nobody may come.
void peers_meet(peers_t *self);
void peers_free(peers_t *self); // all of them go

// Once a round: who has gone without an event.
void peers_look_at_some(peers_t *self);

// Their number has changed, or how many there may be: tells the counter, and whoever waits for full and not full.
void peers_count(peers_t *self);

#endif
