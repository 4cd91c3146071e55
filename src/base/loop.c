// SPDX-License-Identifier: MPL-2.0
#include "base/loop.h"

#include <signal.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

// The kernel is asked directly: the daemon has an epoll_ctl(2) and an epoll_wait(2)
// of its own for libzmq's threads, which look at none of our descriptors.
static int
control(int epoll, int what, int fd, struct epoll_event *event)
{
    return (int)syscall(SYS_epoll_ctl, epoll, what, fd, event);
}

int
loop_open(loop_t *self)
{
    self->epoll = epoll_create1(EPOLL_CLOEXEC);
    return self->epoll == -1 ? -1 : 0;
}

void
loop_close(loop_t *self)
{
    if (self->epoll != -1)
        close(self->epoll);
    self->epoll = -1;
}

int
loop_watch(const loop_t *self, int fd, uint32_t events, watched_t *watched)
{
    struct epoll_event event = { .events = events, .data.ptr = watched };
    return control(self->epoll, EPOLL_CTL_ADD, fd, &event);
}

int
loop_change(const loop_t *self, int fd, uint32_t events, watched_t *watched)
{
    struct epoll_event event = { .events = events, .data.ptr = watched };
    return control(self->epoll, EPOLL_CTL_MOD, fd, &event);
}

void
loop_forget(const loop_t *self, int fd)
{
    control(self->epoll, EPOLL_CTL_DEL, fd, NULL);
}

void
loop_run(const loop_t *self, int timeout_ms)
{
    struct epoll_event events[LOOP_EVENTS];
    long count = syscall(SYS_epoll_pwait, self->epoll, events, LOOP_EVENTS, timeout_ms, NULL, _NSIG / 8);
    for (long i = 0; i < count; i++) {
        watched_t *watched = events[i].data.ptr;
        watched->ready(watched, events[i].events);
    }
}
