// SPDX-License-Identifier: MPL-2.0
//
// send(2) for libzmq's I/O threads: ready.h says why. A full batch is hardly ever
// the end of a burst, so the kernel may wait for what follows before it makes a
// segment of it. It is told when nothing does (epoll.c), and sends by itself when
// it has no more room.
#include "flow/wakeup.h"
#include "interpose/ready.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FLAG_MORE 1
#define FLAG_LONG 2

// The smallest out_batch_size of all sockets so far: less is no full batch of any.
static _Atomic size_t least_batch = READY_BATCH;

void
wakeup_batch(size_t bytes)
{
    size_t least = atomic_load(&least_batch);
    while (bytes < least && !atomic_compare_exchange_weak(&least_batch, &least, bytes)) { }
}

// libzmq fills its batch as long as there are messages; so less than one, that is not
// the rest of one, is the last for now, and for the next one it does not wait to be told
// of room. But what it sends in the handshake depends on others: then it does. Messages
// come after that: a byte of flags, of which that of a command is not set, and the length
// (RFC 23). The part of a greeting that begins with the version, 3, is too short for that.
static bool
is_message(const unsigned char *frame, size_t size)
{
    return size > 1 && (frame[0] <= FLAG_MORE ? size >= 2u + frame[1] : frame[0] <= (FLAG_MORE | FLAG_LONG) && size > 255);
}

ssize_t
send(int fd, const void *bytes, size_t size, int flags)
{
    ready_t *ready = ready_mine(fd);
    bool more = ready && size == READY_BATCH;
    bool last = ready && !ready->cut && size < atomic_load_explicit(&least_batch, memory_order_relaxed) && is_message(bytes, size);
    ssize_t sent = (ssize_t)syscall(SYS_sendto, fd, bytes, size, more ? flags | MSG_MORE : flags, NULL, 0);
    if (!ready)
        return sent;
    int error = errno;
    ready->stream |= sent > 0;
    ready->corked = more && sent > 0;
    ready->drained = last && sent == (ssize_t)size;
    if (!ready->drained)
        ready_make_due(ready);
    ready->cut = sent > 0 ? (size_t)sent < size : error == EAGAIN;
    if (ready->cut) {
        ready->blocked = true;
        ready_update(ready, fd);
    }
    errno = error;
    return sent;
}
