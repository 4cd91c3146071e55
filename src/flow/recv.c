// SPDX-License-Identifier: MPL-2.0
#include "flow/recv.h"

#include "base/mem.h"

#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static _Atomic uint32_t *counts; // each has one writer: the I/O thread that reads there
static size_t count_limit;

void
recv_count(size_t limit)
{
    counts = xcalloc(limit, sizeof *counts);
    count_limit = limit;
}

uint64_t
recv_counted(int fd)
{
    return fd >= 0 && (size_t) fd < count_limit ? atomic_load_explicit(&counts[fd], memory_order_relaxed) : 0;
}

ssize_t
recv(int fd, void *buffer, size_t size, int flags)
{
    ssize_t got = (ssize_t) syscall(SYS_recvfrom, fd, buffer, size, flags, NULL, NULL);
    if (got > 0 && (size_t) fd < count_limit) {
        uint32_t before = atomic_load_explicit(&counts[fd], memory_order_relaxed);
        atomic_store_explicit(&counts[fd], before + (uint32_t) got, memory_order_relaxed);
    }
    return got;
}
