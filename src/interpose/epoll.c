// SPDX-License-Identifier: MPL-2.0
//
// epoll_ctl(2) and epoll_wait(2) for libzmq's I/O threads: ready.h says why.
//
// What libzmq hears is what the kernel would have told it, with two exceptions.
//
// Room to write is told of a connection whose last send went through, without
// asking; a send that is cut short has the kernel tell when there is room again.
// So a burst that ends needs no epoll_ctl. Where the last send was all that there
// was, it is not told at all: libzmq would find nothing to write. What was
// received ahead can be read.
// While there is such news the kernel is asked every third time only: a message that
// comes alone needs two such turns.
//
// libzmq up to 4.3.5 aborts when a peer breaks off while its messages are held
// back (a full route, a paused one) and it then has to write to that peer: a
// heartbeat of ours that is due, or the answer to a PING that it finds in what
// the peer had sent. Any peer can do that. The reason is epoll(7), which tells
// EPOLLERR and EPOLLHUP also of a connection that nobody wants to read now:
// libzmq takes that for an event, and leaves a connection behind that it later
// asserts not to have (_io_error). So the end of a connection is told as what can
// be read, and waits, like everything else there, until libzmq wants to read
// again; what had arrived before is read too. A connection of which nothing else
// is to be told is taken out of the kernel's set, or epoll_wait would return for
// ever. A connection in its handshake to elsewhere only waits for writing; it
// hears of errors as ever.
//
// The first thread, which serves HTTP and control, hears what the kernel says.

#include "interpose/ready.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BROKEN ((uint32_t)(EPOLLERR | EPOLLHUP))
#define TAG (UINT64_C(0x5a42) << 48) // no pointer has such upper bits
#define TAG_BITS (UINT64_C(0xffff) << 48)

enum { SIGSET_BYTES = _NSIG / 8, FEW_EVENTS = 16, SKIPPED_MOST = 2 };

static _Thread_local struct {
    ready_t *due;   // what can be told without the kernel, or could a moment ago
    int skipped;    // so many times the kernel was not asked
    uint32_t waits; // calls of epoll_wait
    uint32_t burst; // the last one after which a batch was full
    int told;       // events of the last one
} mine;

static int
kernel_ctl(int epoll, int what, int fd, struct epoll_event *event)
{
    return (int)syscall(SYS_epoll_ctl, epoll, what, fd, event);
}

// --- what can be told without the kernel -------------------------------------

static uint32_t
told_by_us(const ready_t *ready)
{
    uint32_t events = 0;
    if (ready->stream && !ready->drained && !(ready->asked & EPOLLOUT))
        events |= ready->wanted & EPOLLOUT;
    if (ready->ahead || ready->mailbox == MAILBOX_KEPT)
        events |= ready->wanted & EPOLLIN;
    return events;
}

void
ready_make_due(ready_t *ready)
{
    if (ready->due)
        return;
    ready->due = true;
    ready->due_before = NULL;
    ready->due_next = mine.due;
    if (mine.due)
        mine.due->due_before = ready;
    mine.due = ready;
}

static void
end_due(ready_t *ready)
{
    if (!ready->due)
        return;
    ready->due = false;
    if (ready->due_next)
        ready->due_next->due_before = ready->due_before;
    if (ready->due_before)
        ready->due_before->due_next = ready->due_next;
    else
        mine.due = ready->due_next;
}

bool
ready_reads_ahead(void)
{
    for (const ready_t *ready = mine.due; ready; ready = ready->due_next)
        if (ready->ahead && ready->wanted & EPOLLIN)
            return true;
    return false;
}

// --- what the kernel is to tell -----------------------------------------------

static uint32_t
left_to_kernel(const ready_t *ready)
{
    return ready->stream && !ready->blocked ? ready->wanted & ~(uint32_t)EPOLLOUT : ready->wanted;
}

static int
tell_kernel(ready_t *ready, int what, int fd)
{
    struct epoll_event event = { .events = ready->asked, .data.u64 = TAG | (unsigned)fd };
    return kernel_ctl(ready->epoll, what, fd, &event);
}

int
ready_update(ready_t *self, int fd)
{
    uint32_t before = self->asked;
    self->asked = left_to_kernel(self);
    if (told_by_us(self))
        ready_make_due(self);
    if (self->parked ? !self->asked : self->asked == before)
        return 0;
    int what = self->parked ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
    self->parked = false;
    return tell_kernel(self, what, fd);
}

static void
want(ready_t *ready, const struct epoll_event *event)
{
    if (event->events & ~ready->wanted & EPOLLOUT)
        ready->drained = false;
    ready->data = event->data;
    ready->wanted = event->events;
    ready->reads |= (event->events & EPOLLIN) != 0;
}

// What is known of the connection that had this descriptor: close(2) is enough to take it out of the kernel's set.
static void
forget(ready_t *ready)
{
    if (ready->thread == ready_thread())
        end_due(ready);
    ready_drop_ahead(ready);
    ready->known = false;
}

static int
add(ready_t *ready, int epoll, int fd, const struct epoll_event *event)
{
    forget(ready);
    *ready = (ready_t) { .epoll = epoll, .known = true, .thread = ready_is_first_thread() ? NULL : ready_thread() };
    want(ready, event);
    ready->asked = ready->wanted;
    int rc = tell_kernel(ready, EPOLL_CTL_ADD, fd);
    ready->known = rc == 0;
    return rc;
}

// The burst is over, and its last part waits in the kernel for more.
static void
uncork(ready_t *ready, int fd)
{
    if (ready->corked)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int) { 1 }, sizeof(int));
    ready->corked = false;
}

static int
change(ready_t *ready, int fd, const struct epoll_event *event)
{
    want(ready, event);
    if (!(ready->wanted & EPOLLOUT))
        uncork(ready, fd);
    return ready_update(ready, fd);
}

static int
leave(ready_t *ready, int fd)
{
    forget(ready);
    return ready->parked ? 0 : kernel_ctl(ready->epoll, EPOLL_CTL_DEL, fd, NULL);
}

int
epoll_ctl(int epoll, int what, int fd, struct epoll_event *event)
{
    ready_t *ready = what == EPOLL_CTL_ADD ? ready_make(fd) : ready_find(fd);
    if (ready && what == EPOLL_CTL_ADD)
        return add(ready, epoll, fd, event);
    if (!ready || !ready->known || ready->epoll != epoll)
        return kernel_ctl(epoll, what, fd, event);
    return what == EPOLL_CTL_MOD ? change(ready, fd, event) : leave(ready, fd);
}

// --- waiting -------------------------------------------------------------------

static bool
is_held_back(const ready_t *ready)
{
    return ready->reads && !(ready->wanted & EPOLLIN);
}

// What its owner is told of what the kernel says. With something to read, the
// end is left out too: libzmq would read twice, and the second time, when the
// first has filled its queue, is the fault.
static uint32_t
told(const ready_t *ready, uint32_t events)
{
    if (ready_is_first_thread())
        return events;
    return is_held_back(ready) || ready->ahead || (events & EPOLLIN) ? events & ~BROKEN : events;
}

static void
park(ready_t *ready, int fd)
{
    if (is_held_back(ready))
        ready->parked = kernel_ctl(ready->epoll, EPOLL_CTL_DEL, fd, NULL) == 0;
}

static void
remember(ready_t *ready, uint32_t events)
{
    if (events & EPOLLOUT)
        ready->blocked = false;
    if (events & EPOLLIN)
        ready_note_mailbox(ready, MAILBOX_SIGNALLED);
}

// A thread's own mailbox was added before there was the thread.
static void
adopt(ready_t *ready)
{
    if (!ready->thread && !ready_is_first_thread())
        ready->thread = ready_thread();
}

// Returns how many of the COUNT events of the kernel are to be told.
static int
translate(struct epoll_event *events, int count)
{
    int kept = 0;
    for (int i = 0; i < count; i++) {
        struct epoll_event event = events[i];
        if ((event.data.u64 & TAG_BITS) == TAG) {
            int fd = (int)(uint32_t)event.data.u64;
            ready_t *ready = ready_find(fd);
            adopt(ready);
            remember(ready, event.events);
            event = (struct epoll_event) { .events = told(ready, event.events), .data = ready->data };
            if (!event.events) {
                park(ready, fd);
                continue;
            }
            ready->wait = mine.waits;
            ready->place = kept;
        }
        events[kept++] = event;
    }
    return kept;
}

static bool
any_due(int epoll)
{
    bool any = false;
    for (ready_t *ready = mine.due, *next; ready; ready = next) {
        next = ready->due_next;
        ready->telling = told_by_us(ready);
        if (!ready->telling)
            end_due(ready);
        else
            any |= ready->epoll == epoll;
    }
    return any;
}

// Returns how many events there are with those that are due.
static int
add_due(int epoll, struct epoll_event *events, int count, int most)
{
    for (ready_t *ready = mine.due; ready; ready = ready->due_next) {
        if (ready->epoll != epoll)
            continue;
        if (ready->wait == mine.waits)
            events[ready->place].events |= ready->telling;
        else if (count < most)
            events[count++] = (struct epoll_event) { .events = ready->telling, .data = ready->data };
    }
    return count;
}

// May return 0 before the time is over: libzmq looks at its timers and waits again.
int
epoll_wait(int epoll, struct epoll_event *events, int most, int timeout)
{
    signal_settle();
    bool any = any_due(epoll);
    int count = 0;
    mine.waits++;
    mine.skipped = any && mine.skipped < SKIPPED_MOST ? mine.skipped + 1 : 0;
    if (!mine.skipped) {
        count = (int)syscall(SYS_epoll_pwait, epoll, events, most, any ? 0 : timeout, NULL, (size_t)SIGSET_BYTES);
        if (count < 0 && !any)
            return count;
        count = translate(events, count);
    }
    return mine.told = any ? add_due(epoll, events, count, most) : count;
}

bool
ready_has_time(void)
{
    return mine.told > 0 && mine.told <= FEW_EVENTS && mine.burst != mine.waits && !ready_is_first_thread();
}

void
ready_note_burst(void)
{
    mine.burst = mine.waits;
}
