// SPDX-License-Identifier: MPL-2.0
//
// poll(2) and read(2) for libzmq's mailboxes: ready.h says why. A mailbox
// is an eventfd(2) that one thread reads. libzmq asks with a poll that does not wait
// whether it is signalled, reads, runs the commands, and asks again.
//
// The first question is answered by what the thread was told when it woke up, the
// one after the read by the read: it has emptied the eventfd. That it is empty is
// said a few times only, so that a thread that never sleeps hears of new commands.
#include "flow/wakeup.h"
#include "interpose/ready.h"

#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

// glibc's declaration says that poll(2) only writes there.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"

static ready_t *
known(int fd)
{
    ready_t *ready = ready_find(fd);
    return ready && ready->listener == ready_thread() && ready->mailbox != MAILBOX_UNKNOWN ? ready : NULL;
}

void
wakeup_told(const struct pollfd *items, nfds_t count)
{
    for (nfds_t i = 0; i < count; i++) {
        ready_t *ready = ready_make(items[i].fd);
        if (!ready)
            continue;
        ready->slept_on = true;
        ready_note_mailbox(ready, !(items[i].revents & POLLIN)          ? MAILBOX_EMPTY
                                  : signal_is_served(items[i].fd) ? MAILBOX_KEPT
                                                                  : MAILBOX_SIGNALLED);
    }
}

static int
answer(struct pollfd *item, ready_t *ready)
{
    bool empty = ready->mailbox == MAILBOX_EMPTY;
    if (empty && --ready->answers == 0)
        ready->mailbox = MAILBOX_UNKNOWN;
    item->revents = empty ? 0 : POLLIN;
    return !empty;
}

int
poll(struct pollfd *items, nfds_t count, int timeout)
{
    bool asks_one = count == 1 && items->events == POLLIN;
    ready_t *ready = asks_one && timeout == 0 ? known(items->fd) : NULL;
    if (ready)
        return answer(items, ready);
    int rc = (int)syscall(SYS_poll, items, count, timeout);
    if (asks_one && rc == 1 && (ready = ready_make(items->fd)))
        ready_note_mailbox(ready, MAILBOX_SIGNALLED);
    return rc;
}

ssize_t
read(int fd, void *buffer, size_t size)
{
    ready_t *ready = size == READY_SIGNAL ? known(fd) : NULL;
    if (ready && ready->mailbox == MAILBOX_KEPT) {
        ready_note_mailbox(ready, MAILBOX_EMPTY);
        signal_is_read(fd);
        *(uint64_t *)buffer = 1;
        return READY_SIGNAL;
    }
    ssize_t got = (ssize_t)syscall(SYS_read, fd, buffer, size);
    if (ready)
        ready_note_mailbox(ready, got == READY_SIGNAL ? MAILBOX_EMPTY : MAILBOX_UNKNOWN);
    return got;
}
