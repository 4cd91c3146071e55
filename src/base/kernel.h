// SPDX-License-Identifier: MPL-2.0
// kernel.h - receiving and sending on our own connections: the kernel is asked directly.
// recv(2) and send(2) of the C library are points of cancellation, which costs more
// than all that is done with a small message, and the daemon has its own of the same
// name for libzmq's threads. None of these waits.

#ifndef ZB_KERNEL_H
#define ZB_KERNEL_H

#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

// As recvfrom(2), sendto(2) and sendmsg(2): -1 with errno; EAGAIN where they would wait.
static inline ssize_t
kernel_recv(int fd, void *buffer, size_t size)
{
    return syscall(SYS_recvfrom, fd, buffer, size, MSG_DONTWAIT, NULL, NULL);
}

static inline ssize_t
kernel_send(int fd, const void *bytes, size_t size)
{
    return syscall(SYS_sendto, fd, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL, NULL, 0);
}

static inline ssize_t
kernel_sendmsg(int fd, const struct msghdr *message)
{
    return syscall(SYS_sendmsg, fd, message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

#endif
