// SPDX-License-Identifier: MPL-2.0
// loop.h - one thread waits for many descriptors: epoll(7). Whoever wants to hear
// of one embeds a watched_t; what is told is told to that.

#ifndef ZB_LOOP_H
#define ZB_LOOP_H

#include <stdint.h>
#include <sys/epoll.h>

typedef struct watched watched_t;

struct watched {
    void (*ready)(watched_t *self, uint32_t events); // EPOLLIN, …
};

enum { LOOP_EVENTS = 256 }; // told at once

typedef struct {
    int epoll; // -1: not open
    int told;  // so many of EVENTS are told now
    struct epoll_event events[LOOP_EVENTS];
} loop_t;

int loop_open(loop_t *self); // 0, or -1 with errno
void loop_close(loop_t *self);

// 0, or -1 with errno. WATCHED stays where it is until it is forgotten, or until FD was closed and WATCHED dropped.
int loop_watch(const loop_t *self, int fd, uint32_t events, watched_t *watched);
int loop_change(const loop_t *self, int fd, uint32_t events, watched_t *watched);

// FD is not watched any more, and nothing is told to WATCHED, not even what loop_tell has in hand.
void loop_forget(loop_t *self, int fd, const watched_t *watched);

// The same where FD is closed already.
void loop_drop(loop_t *self, const watched_t *watched);

// Wait at most TIMEOUT_MS (-1: for ever). How many events there are to be told.
int loop_wait(loop_t *self, int timeout_ms);

// Tell the COUNT events of the last wait. Between the two the clock can be read, for those that are told.
void loop_tell(loop_t *self, int count);

// Both.
void loop_run(loop_t *self, int timeout_ms);

#endif
