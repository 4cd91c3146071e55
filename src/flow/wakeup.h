// SPDX-License-Identifier: MPL-2.0
// wakeup.h - the descriptor that tells of news of a socket: messages, room, or
// merely commands that its owner has to run.
//
// That is the socket's ZMQ_FD. The thread-safe ones among the drafts (GATHER,
// SCATTER, CLIENT, CHANNEL) have none, and only a zmq_poller can get them one.
// The poller is a draft too, which the stock library lacks: it is looked up
// when the program runs, so that one program serves with both.

#ifndef ZB_WAKEUP_H
#define ZB_WAKEUP_H

#include "flow/turn.h"

#include <poll.h>
#include <stddef.h>

typedef struct {
    int fd;       // readable: there is news
    void *poller; // NULL: the descriptor is the socket's own
} wakeup_t;

// For a SOCKET that has no endpoints yet: 0, or -1 with errno (ENOTSUP: this
// library has no poller).
int wakeup_open(wakeup_t *self, void *socket);

// The news was heard: run the socket's commands and make the descriptor unreadable.
// Returns what the socket is ready for, ZMQ_POLLIN and ZMQ_POLLOUT.
int wakeup_heard(const wakeup_t *self, void *socket);

// What ppoll(2) has just told the calling thread of the sockets that it sleeps on,
// so that libzmq need not ask again (interpose/mailbox.c). NULL where that is not linked.
__attribute__((weak)) void wakeup_told(const struct pollfd *items, nfds_t count);

// Whoever would signal FD may serve WHAT of TURN's owner instead, while that is lent
// (interpose/signal.c). NULL: no more.
__attribute__((weak)) void wakeup_offer(int fd, turn_t *turn, void *what);

// There is a socket that writes BYTES at once, if it has them (interpose/send.c).
__attribute__((weak)) void wakeup_batch(size_t bytes);

// Before zmq_close.
void wakeup_close(wakeup_t *self);

#endif
