// SPDX-License-Identifier: MPL-2.0
// watch_parts.h - what the watch is made of. Only for the files that are the watch:
// watch, peers, halfclose and knocks. Everybody else has watch.h.

#ifndef ZB_WATCH_PARTS_H
#define ZB_WATCH_PARTS_H

#include "flow/watch.h"

#include <pthread.h>
#include <stdatomic.h>

#define HELLO_BYTES 512 // of a handshake, or a heartbeat

// One connection. The inode tells whether a descriptor number is still the
// connection it was: libzmq may have closed it and the next one got its number.
typedef struct {
    uint64_t id;
    int fd;
    ino_t inode;
    bool outgoing;
    bool half_closed;
    uint32_t noted;        // bytes that had come in at the last round
    bool sends;            // more came in since
    bool looked_at;        // by the drain
    uint32_t bytes;        // that had come in when it was looked at
    unsigned still;        // looks since the last one of them
    int64_t moved_ms;
    bool rest_known;
    uint32_t rest;         // the least that came in and was no message yet…
    uint32_t rest_at;      // …when so much had come in
    unsigned misses;
    int64_t since_wall_ns;
    char peer[128];
    bool is_ipc;
    char *user;
} peer_t;

// A login whose connection's event is not there yet: with several I/O threads it
// may be late. Who left before its login was answered stays until it is overwritten.
typedef struct {
    ino_t inode;
    char *user; // NULL: to be cut
} expected_t;

#define EXPECTED 64

struct watch_side {
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
    bool nameless;      // somebody was let in of whom we do not know which one it is
    bool half_closed;
    bool turned_away;   // newcomers are
    bool open_to_all;
    bool removed;       // its socket is closed
    bool over;          // the last event was read: the watch thread frees it after its round
    int64_t frame_limit; // bytes; 0: none
    int64_t named_ms;   // when somebody was last named for a frame
    size_t limit;
    bool full;
    void (*on_full)(bool full, void *arg);
    void *arg;
};

// A listening descriptor behind which nobody listens yet.
typedef struct door {
    struct door *next;
    int fd;
    void (*knock)(void *arg);
    void *arg;
} door_t;

struct watch {
    void *ctx;
    pthread_t thread;
    pthread_mutex_t lock; // over all sides and peers
    watch_side_t *sides;
    unsigned last_name;
    expected_t expected[EXPECTED];
    unsigned last_expected;
    capacity_t *capacity; // of the process; NULL: nobody counts all sides together
    bool unasked; // nobody else counts logins
    int epoll, wake;
    int doors_epoll;
    door_t *doors;
    int64_t looked_ms;
    uint64_t (*counted)(int fd);
    bool (*brought)(int fd);
    _Atomic bool stopping;
    _Atomic int64_t round_ms;
};

// What the side's monitor tells now, in whichever thread, under the lock.
void watch_read_events(watch_side_t *side);

#endif
