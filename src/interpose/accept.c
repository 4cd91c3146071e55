// SPDX-License-Identifier: MPL-2.0
#include "interpose/accept.h"

#include "interpose/ready.h"

#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define NO_ROOM_NAP_NS 10000000

static _Atomic int limit = INT_MAX;

void
accept_limit(int most)
{
    atomic_store(&limit, most);
}

// The kernel gives the lowest number that is free, so the number tells how many
// are in use. ECONNABORTED is what libzmq takes from every kind of listener.
int
accept4(int listener, struct sockaddr *restrict address, socklen_t *restrict length, int flags)
{
    int fd = (int)syscall(SYS_accept4, listener, address, length, flags);
    if (fd == -1 && errno != EMFILE && errno != ENFILE)
        return -1;
    if (fd != -1 && fd < atomic_load_explicit(&limit, memory_order_relaxed))
        return fd;
    if (ready_is_first_thread())
        return fd;
    if (fd == -1) // it stays readable: without a nap the I/O thread would spin
        nanosleep(&(struct timespec) { 0, NO_ROOM_NAP_NS }, NULL);
    else
        close(fd);
    errno = ECONNABORTED;
    return -1;
}

int
accept(int listener, struct sockaddr *restrict address, socklen_t *restrict length)
{
    return accept4(listener, address, length, 0);
}
