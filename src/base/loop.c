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
loop_drop(const loop_t *self, const watched_t *watched)
{
    for (struct epoll_event *event = self->told; event < self->told_end; event++)
        if (event->data.ptr == watched)
            event->data.ptr = NULL;
}

void
loop_forget(const loop_t *self, int fd, const watched_t *watched)
{
    control(self->epoll, EPOLL_CTL_DEL, fd, NULL);
    loop_drop(self, watched);
}

void
loop_run(loop_t *self, int timeout_ms)
{
    struct epoll_event events[LOOP_EVENTS];
    long count = syscall(SYS_epoll_pwait, self->epoll, events, LOOP_EVENTS, timeout_ms, NULL, _NSIG / 8);
    struct epoll_event *end = events + (count > 0 ? count : 0);
    self->told = events;
    self->told_end = end;
    for (const struct epoll_event *event = events; event < end; event++) {
        watched_t *watched = event->data.ptr;
        if (watched)
            watched->ready(watched, event->events);
    }
    self->told = self->told_end = NULL;
}
