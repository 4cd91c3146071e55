// SPDX-License-Identifier: MPL-2.0
//
// write(2) for libzmq's mailboxes: ready.h says why. An I/O thread that signals its own
// mailbox is told of that by its next epoll_wait, without the kernel. And one that
// signals a route's socket, while the route sleeps, serves the route itself (turn.h)
// before it waits for more; only where that cannot be is the signal sent after all.
//
// While a burst is being read that was received ahead (recv.c), libzmq signals after
// each 8 KiB. A route that is woken by the first finds a few messages, and sleeps again
// before the next. So these signals wait until all is read, or a moment is over. That is
// safe: a socket whose signal has not come cannot be closed, for what the signal tells of
// is for it to do first.
#include "base/clock.h"
#include "flow/wakeup.h"
#include "interpose/ready.h"

#include <sys/syscall.h>
#include <unistd.h>

#define LATE_NS INT64_C(100000)

enum { KEPT_MOST = 16 }; // of each kind

typedef struct {
    int fd;
    ready_t *ready;
} kept_t;

static _Thread_local struct {
    kept_t at[KEPT_MOST];
    size_t count;
    int served; // whose route has the turn, until the signal is read; -1: none
} mine = { .served = -1 };

static _Thread_local struct {
    int fd[KEPT_MOST];
    size_t count;
    int64_t until_ns;
} late;

void
wakeup_offer(int fd, turn_t *turn, void *what)
{
    ready_t *ready = ready_make(fd);
    if (!ready)
        return;
    atomic_store_explicit(&ready->what, what, memory_order_relaxed);
    atomic_store_explicit(&ready->turn, turn, memory_order_release);
}

static ssize_t
signal_now(int fd)
{
    return (ssize_t)syscall(SYS_write, fd, &(uint64_t){ 1 }, (size_t)READY_SIGNAL);
}

bool
signal_is_served(int fd)
{
    return mine.served == fd;
}

void
signal_is_read(int fd)
{
    if (mine.served == fd)
        mine.served = -1;
}

static bool
keep_own(ready_t *own)
{
    ready_note_mailbox(own, MAILBOX_KEPT);
    ready_make_due(own);
    return true;
}

// Only the first is timed: those that come later wait less.
static bool
keep_for_later(int fd)
{
    if (late.count == KEPT_MOST || !ready_reads_ahead())
        return false;
    if (late.count == 0)
        late.until_ns = clock_mono_ns() + LATE_NS;
    late.fd[late.count++] = fd;
    return true;
}

static bool
keep(int fd)
{
    ready_t *ready = ready_find(fd);
    if (!ready)
        return false;
    if (ready_is_mine(ready))
        return keep_own(ready);
    turn_t *turn = atomic_load_explicit(&ready->turn, memory_order_acquire);
    if (!turn)
        return false;
    if (keep_for_later(fd))
        return true;
    if (!turn_is_lent(turn) || !ready_has_time() || mine.count == KEPT_MOST)
        return false;
    mine.at[mine.count++] = (kept_t){ fd, ready };
    return true;
}

static void
settle_late(void)
{
    if (late.count == 0 || (ready_reads_ahead() && clock_mono_ns() < late.until_ns))
        return;
    while (late.count > 0)
        signal_now(late.fd[--late.count]);
}

void
signal_settle(void)
{
    settle_late();
    while (mine.count > 0) {
        kept_t last = mine.at[--mine.count];
        turn_t *turn = atomic_load_explicit(&last.ready->turn, memory_order_acquire);
        mine.served = last.fd;
        if (turn)
            turn_serve(turn, atomic_load_explicit(&last.ready->what, memory_order_relaxed));
        if (mine.served == last.fd)
            signal_now(last.fd);
        mine.served = -1;
    }
}

ssize_t
write(int fd, const void *bytes, size_t size)
{
    if (size == READY_SIGNAL && keep(fd))
        return READY_SIGNAL;
    return (ssize_t)syscall(SYS_write, fd, bytes, size);
}
