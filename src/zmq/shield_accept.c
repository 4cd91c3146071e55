// SPDX-License-Identifier: MPL-2.0
#include "zmq/shield.h"

#include "zmq/entrance.h"

#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define NO_ROOM_NAP_NS 10000000

static _Atomic int limit = INT_MAX;

void
shield_limit(int most)
{
    atomic_store(&limit, most);
}

bool
shield_spares_this_thread(void)
{
    static _Thread_local pid_t thread;
    if (!thread)
        thread = (pid_t)syscall(SYS_gettid);
    return thread == getpid();
}

// As accept4(2), but the peer is told even if ADDRESS is NULL.
static int
accept_peer(int listener, struct sockaddr_storage *peer, struct sockaddr *address, socklen_t *length, int flags)
{
    socklen_t size = sizeof *peer;
    int fd = (int)syscall(SYS_accept4, listener, peer, &size, flags);
    if (fd == -1 || !address)
        return fd;
    memcpy(address, peer, size < *length ? size : *length);
    *length = size;
    return fd;
}

// A close with something unread is a reset; with the end before it, the peer is told of an end.
static int
refuse(int fd, int error)
{
    shutdown(fd, SHUT_RDWR);
    close(fd);
    errno = error;
    return -1;
}

// The kernel gives the lowest number that is free, so the number tells how many
// are in use. ECONNABORTED and ENTRANCE_REFUSED are what libzmq takes from every kind of listener.
int
accept4(int listener, struct sockaddr *restrict address, socklen_t *restrict length, int flags)
{
    struct sockaddr_storage peer = { 0 };
    int fd = accept_peer(listener, &peer, address, length, flags);
    if (shield_spares_this_thread() || (fd == -1 && errno != EMFILE && errno != ENFILE))
        return fd;
    if (fd == -1) { // it stays readable: without a nap the I/O thread would spin
        nanosleep(&(struct timespec) { 0, NO_ROOM_NAP_NS }, NULL);
        errno = ECONNABORTED;
        return -1;
    }
    if (fd >= atomic_load_explicit(&limit, memory_order_relaxed))
        return refuse(fd, ECONNABORTED);
    return entrance_admits(listener, &peer) ? fd : refuse(fd, ENTRANCE_REFUSED);
}

int
accept(int listener, struct sockaddr *restrict address, socklen_t *restrict length)
{
    return accept4(listener, address, length, 0);
}
