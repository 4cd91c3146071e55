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
    self->told = 0;
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
loop_drop(loop_t *self, const watched_t *watched)
{
    for (int i = 0; i < self->told; i++)
        if (self->events[i].data.ptr == watched)
            self->events[i].data.ptr = NULL;
}

void
loop_forget(loop_t *self, int fd, const watched_t *watched)
{
    control(self->epoll, EPOLL_CTL_DEL, fd, NULL);
    loop_drop(self, watched);
}

int
loop_wait(loop_t *self, int timeout_ms)
{
    long count = syscall(SYS_epoll_pwait, self->epoll, self->events, LOOP_EVENTS, timeout_ms, NULL, _NSIG / 8);
    return count > 0 ? (int)count : 0;
}

void
loop_tell(loop_t *self, int count)
{
    self->told = count;
    for (int i = 0; i < count; i++) {
        watched_t *watched = self->events[i].data.ptr;
        if (watched)
            watched->ready(watched, self->events[i].events);
    }
    self->told = 0;
}

void
loop_run(loop_t *self, int timeout_ms)
{
    loop_tell(self, loop_wait(self, timeout_ms));
}
