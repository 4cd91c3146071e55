// SPDX-License-Identifier: MPL-2.0
// watch_internal.h - what the watch is made of. Only for the files that are the watch: watch and peers. Everybody else
// has watch.h.

#ifndef ZB_WATCH_INTERNAL_H
#define ZB_WATCH_INTERNAL_H

#include "zmq/watch.h"

#include "base/loop.h"

#include <pthread.h>
#include <stdatomic.h>
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

struct watch_side {
    watched_t watched; // first
    watch_t *watch;
    watch_side_t *next;
    void *monitor;      // our end of the PAIR
    int monitor_fd;
    char *route;
    side_t side;
    side_counters_t *counters;
    peer_t *peers;
    size_t count, room;
    size_t counted;     // of the count, in the capacity of the process
    size_t looked;      // the next one to look at
    bool half_closed;
    bool turned_away;   // newcomers are
    int64_t cut_until_ms; // those who come before are
    bool open_to_all;
    bool removed;       // its socket is closed
    bool over;          // the last event was read: the watch thread frees it after its round
    size_t limit;
    bool full;
    void (*on_full)(bool full, void *arg);
    void *arg;
};

struct watch {
    watched_t wake_watched; // first
    void *ctx;
    pthread_t thread;
    pthread_mutex_t lock; // over all sides and peers
    watch_side_t *sides;
    unsigned last_name;
    capacity_t *capacity; // of the process; NULL: nobody counts all sides together
    bool unasked; // nobody else counts logins
    loop_t loop;
    int wake;
    int64_t looked_ms;
    _Atomic bool stopping;
    _Atomic int64_t round_ms;
};

// What the side's monitor tells now, in whichever thread, under the lock.
void watch_read_events(watch_side_t *side);

#endif
