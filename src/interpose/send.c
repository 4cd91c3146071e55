// SPDX-License-Identifier: MPL-2.0
//
// send(2) for libzmq's I/O threads: ready.h says why. A full batch is hardly ever
// the end of a burst, so the kernel may wait for what follows before it makes a
// segment of it. It is told when nothing does (epoll.c), and sends by itself when
// it has no more room.
#include "interpose/ready.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

ssize_t
send(int fd, const void *bytes, size_t size, int flags)
{
    ready_t *ready = ready_mine(fd);
    bool more = ready && size == READY_BATCH;
    ssize_t sent = (ssize_t)syscall(SYS_sendto, fd, bytes, size, more ? flags | MSG_MORE : flags, NULL, 0);
    if (!ready)
        return sent;
    int error = errno;
    ready->stream |= sent > 0;
    ready->corked = more && sent > 0;
    if (sent > 0 ? (size_t)sent < size : error == EAGAIN) {
        ready->blocked = true;
        ready_update(ready, fd);
    }
    errno = error;
    return sent;
}
