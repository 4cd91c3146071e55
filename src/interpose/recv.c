// SPDX-License-Identifier: MPL-2.0
#include "interpose/recv.h"

#include "base/mem.h"
#include "interpose/ready.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    AHEAD_BYTES = 120 * 1024, // beside the batch that libzmq asks for
    AHEAD_MOST = 64,          // connections of which that much may wait here, of all
    HANDSHAKE_BYTES = 512,    // a part of one is not larger
};

struct ahead {
    size_t at, end;
    char bytes[AHEAD_BYTES];
};

static _Atomic uint32_t *counts; // each has one writer: the I/O thread that reads there
static _Atomic bool *brought; // frames, likewise
static size_t count_limit;
static _Atomic int ahead_count;
static _Atomic(ahead_t *) spare;

void
recv_count(size_t limit)
{
    counts = xcalloc(limit, sizeof *counts);
    brought = xcalloc(limit, sizeof *brought);
    count_limit = limit;
}

uint64_t
recv_counted(int fd)
{
    return fd >= 0 && (size_t)fd < count_limit ? atomic_load_explicit(&counts[fd], memory_order_relaxed) : 0;
}

bool
recv_brought_frames(int fd)
{
    return fd >= 0 && (size_t)fd < count_limit && atomic_load_explicit(&brought[fd], memory_order_relaxed);
}

static void
count(int fd, ssize_t got)
{
    if ((size_t)fd >= count_limit || (got == -1 && (errno == EAGAIN || errno == EINTR)))
        return;
    atomic_store_explicit(&brought[fd], got > HANDSHAKE_BYTES, memory_order_relaxed);
    if (got <= 0)
        return;
    uint32_t before = atomic_load_explicit(&counts[fd], memory_order_relaxed);
    atomic_store_explicit(&counts[fd], before + (uint32_t)got, memory_order_relaxed);
}

// --- what is received ahead ----------------------------------------------------

// NULL: there are enough.
static ahead_t *
ahead_new(void)
{
    ahead_t *self = atomic_exchange(&spare, NULL);
    if (self)
        return self;
    if (atomic_fetch_add(&ahead_count, 1) < AHEAD_MOST && (self = malloc(sizeof *self)))
        return self;
    atomic_fetch_sub(&ahead_count, 1);
    return NULL;
}

// The last one is kept for the next connection.
static void
ahead_put_back(ahead_t *self)
{
    ahead_t *other = atomic_exchange(&spare, self);
    if (!other)
        return;
    free(other);
    atomic_fetch_sub(&ahead_count, 1);
}

void
ready_drop_ahead(ready_t *self)
{
    if (self->ahead)
        ahead_put_back(self->ahead);
    self->ahead = NULL;
}

static ssize_t
take(ready_t *ready, void *buffer, size_t size)
{
    ahead_t *ahead = ready->ahead;
    ready_note_burst();
    size_t left = ahead->end - ahead->at, taken = size < left ? size : left;
    memcpy(buffer, ahead->bytes + ahead->at, taken);
    ahead->at += taken;
    if (taken == left)
        ready_drop_ahead(ready);
    return (ssize_t)taken;
}

static void
note_full(ready_t *ready, bool full)
{
    ready->full = full;
    if (full)
        ready_note_burst();
}

static ssize_t
receive_ahead(ready_t *ready, ahead_t *ahead, int fd, void *buffer, size_t size, int flags)
{
    struct iovec parts[] = { { buffer, size }, { ahead->bytes, sizeof ahead->bytes } };
    struct msghdr message = { .msg_iov = parts, .msg_iovlen = 2 };
    ssize_t got = (ssize_t)syscall(SYS_recvmsg, fd, &message, flags);
    count(fd, got);
    note_full(ready, got >= (ssize_t)size);
    if (got <= (ssize_t)size) {
        ahead_put_back(ahead);
        return got;
    }
    ahead->at = 0;
    ahead->end = (size_t)got - size;
    ready->ahead = ahead;
    ready_update(ready, fd);
    return (ssize_t)size;
}

ssize_t
recv(int fd, void *buffer, size_t size, int flags)
{
    ready_t *ready = ready_mine(fd);
    if (ready && ready->ahead)
        return take(ready, buffer, size);
    // A message larger than a batch is received where it belongs.
    ahead_t *ahead = ready && ready->full && size == READY_BATCH ? ahead_new() : NULL;
    if (ahead)
        return receive_ahead(ready, ahead, fd, buffer, size, flags);
    ssize_t got = (ssize_t)syscall(SYS_recvfrom, fd, buffer, size, flags, NULL, NULL);
    count(fd, got);
    if (ready)
        note_full(ready, size == READY_BATCH && got == READY_BATCH);
    return got;
}
