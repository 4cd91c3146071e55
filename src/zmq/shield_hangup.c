// SPDX-License-Identifier: MPL-2.0
//
// epoll_ctl(2) and epoll_wait(2) for libzmq's I/O threads: shield.h says why.
//
// libzmq up to 4.3.5 aborts when a peer breaks off while its messages are held
// back (a full route, a paused one) and it then has to write to that peer: a
// heartbeat of ours that is due, or the answer to a PING that it finds in what
// the peer had sent. The reason is epoll(7), which tells EPOLLERR and EPOLLHUP
// also of a connection that nobody wants to read now: libzmq takes that for an
// event, and leaves a connection behind that it later asserts not to have
// (_io_error). So the end of a connection is told as what can be read, and waits,
// like everything else there, until libzmq wants to read again; what had arrived
// before is read too. A connection of which nothing else is to be told is taken
// out of the kernel's set, or epoll_wait would return for ever. A connection in
// its handshake to elsewhere only waits for writing; it hears of errors as ever.
//
// Each descriptor belongs to one thread at a time, so nothing here is locked. Once it
// is closed, its number may become another thread's: the first thread writes `known'
// last, and the second thread reads it first, so that their entries do not mix.

#include "zmq/shield.h"

#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BROKEN ((uint32_t)(EPOLLERR | EPOLLHUP))
#define TAG (UINT64_C(0x5a42) << 48) // no pointer has such upper bits
#define TAG_BITS (UINT64_C(0xffff) << 48)

enum { CHUNK = 1024, CHUNKS = 4096 }; // descriptors beyond CHUNK * CHUNKS go the kernel's way

// A descriptor in an epoll set.
typedef struct {
    epoll_data_t data; // libzmq's; the kernel has a tag and the descriptor instead
    uint32_t wanted;
    int epoll;
    _Atomic bool known;
    bool reads;  // it was wanted for reading once: its end is there to be read
    bool parked; // not in the kernel's set
} polled_t;

static _Atomic(polled_t *) chunks[CHUNKS];

static int
kernel_ctl(int epoll, int what, int fd, struct epoll_event *event)
{
    return (int)syscall(SYS_epoll_ctl, epoll, what, fd, event);
}

// NULL: never seen, or far beyond what the table holds.
static polled_t *
find(int fd)
{
    unsigned number = (unsigned)fd;
    polled_t *chunk =
        number < CHUNK * CHUNKS ? atomic_load_explicit(&chunks[number / CHUNK], memory_order_acquire) : NULL;
    return chunk ? &chunk[number % CHUNK] : NULL;
}

static polled_t *
make(int fd)
{
    unsigned number = (unsigned)fd;
    if (number >= CHUNK * CHUNKS || find(fd))
        return find(fd);
    polled_t *chunk = calloc(CHUNK, sizeof *chunk), *none = NULL;
    if (chunk && !atomic_compare_exchange_strong(&chunks[number / CHUNK], &none, chunk))
        free(chunk); // another thread was faster
    return find(fd);
}

// --- epoll_ctl ------------------------------------------------------------------

static void
want(polled_t *entry, const struct epoll_event *event)
{
    entry->data = event->data;
    entry->wanted = event->events;
    entry->reads |= (event->events & EPOLLIN) != 0;
}

static int
tell_kernel(const polled_t *entry, int what, int fd)
{
    struct epoll_event event = { .events = entry->wanted, .data.u64 = TAG | (unsigned)fd };
    return kernel_ctl(entry->epoll, what, fd, &event);
}

static int
add(polled_t *entry, int epoll, int fd, const struct epoll_event *event)
{
    (void)atomic_load_explicit(&entry->known, memory_order_acquire);
    *entry = (polled_t){ .epoll = epoll };
    want(entry, event);
    int rc = tell_kernel(entry, EPOLL_CTL_ADD, fd);
    entry->known = rc == 0;
    return rc;
}

static int
change(polled_t *entry, int fd, const struct epoll_event *event)
{
    want(entry, event);
    if (entry->parked && !entry->wanted)
        return 0;
    int what = entry->parked ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
    entry->parked = false;
    return tell_kernel(entry, what, fd);
}

static int
leave(polled_t *entry, int fd)
{
    int rc = entry->parked ? 0 : kernel_ctl(entry->epoll, EPOLL_CTL_DEL, fd, NULL);
    atomic_store_explicit(&entry->known, false, memory_order_release);
    return rc;
}

int
epoll_ctl(int epoll, int what, int fd, struct epoll_event *event)
{
    if (shield_spares_this_thread())
        return kernel_ctl(epoll, what, fd, event);
    polled_t *entry = what == EPOLL_CTL_ADD ? make(fd) : find(fd);
    if (entry && what == EPOLL_CTL_ADD)
        return add(entry, epoll, fd, event);
    if (!entry || !entry->known || entry->epoll != epoll)
        return kernel_ctl(epoll, what, fd, event);
    return what == EPOLL_CTL_MOD ? change(entry, fd, event) : leave(entry, fd);
}

// --- epoll_wait -----------------------------------------------------------------

static bool
is_held_back(const polled_t *entry)
{
    return entry->reads && !(entry->wanted & EPOLLIN);
}

// What libzmq is told of what the kernel says. With something to read, the end is
// left out too: libzmq would read twice, and the second time, when the first has
// filled its queue, is the fault.
static uint32_t
told(const polled_t *entry, uint32_t events)
{
    return is_held_back(entry) || (events & EPOLLIN) ? events & ~BROKEN : events;
}

static void
park(polled_t *entry, int fd)
{
    entry->parked = kernel_ctl(entry->epoll, EPOLL_CTL_DEL, fd, NULL) == 0;
}

// False: there is nothing to tell.
static bool
translate(struct epoll_event *event)
{
    if ((event->data.u64 & TAG_BITS) != TAG)
        return true;
    int fd = (int)(uint32_t)event->data.u64;
    polled_t *entry = find(fd);
    *event = (struct epoll_event){ .events = told(entry, event->events), .data = entry->data };
    if (!event->events)
        park(entry, fd);
    return event->events != 0;
}

// May return 0 before the time is over: libzmq looks at its timers and waits again.
int
epoll_wait(int epoll, struct epoll_event *events, int most, int timeout)
{
    int count = (int)syscall(SYS_epoll_pwait, epoll, events, most, timeout, NULL, (size_t)(_NSIG / 8)), kept = 0;
    for (int i = 0; i < count; i++)
        if (translate(&events[i]))
            events[kept++] = events[i];
    return count < 0 ? count : kept;
}
