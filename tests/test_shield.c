// SPDX-License-Identifier: MPL-2.0
// What an I/O thread of libzmq hears of a connection that breaks off, and what it accepts.
#include "zmq/shield.h"

#include "test.h"

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS = 16 };

// --- a connection, one end of which is libzmq's -------------------------------

typedef struct {
    int epoll, listener, ours, theirs;
} wire_t;

static wire_t
knock(void)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof at;
    wire_t self = { .epoll = epoll_create1(0), .ours = -1 };
    self.listener = socket(AF_INET, SOCK_STREAM, 0);
    self.theirs = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(bind(self.listener, (struct sockaddr *)&at, size) == 0 && listen(self.listener, 1) == 0);
    CHECK(getsockname(self.listener, (struct sockaddr *)&at, &size) == 0);
    CHECK(connect(self.theirs, (struct sockaddr *)&at, size) == 0);
    return self;
}

static wire_t
wire(uint32_t events)
{
    wire_t self = knock();
    self.ours = accept4(self.listener, NULL, NULL, SOCK_NONBLOCK);
    CHECK(self.ours != -1);
    CHECK(epoll_ctl(self.epoll, EPOLL_CTL_ADD, self.ours, &(struct epoll_event){ events, { .fd = self.ours } }) == 0);
    return self;
}

static void
close_all(wire_t *self)
{
    epoll_ctl(self->epoll, EPOLL_CTL_DEL, self->ours, NULL);
    close(self->ours);
    close(self->theirs);
    close(self->listener);
    close(self->epoll);
}

static void
want(const wire_t *self, uint32_t events)
{
    CHECK(epoll_ctl(self->epoll, EPOLL_CTL_MOD, self->ours, &(struct epoll_event){ events, { .fd = self->ours } }) == 0);
}

static uint32_t
told(const wire_t *self)
{
    struct epoll_event events[EVENTS];
    uint32_t all = 0;
    int count = epoll_wait(self->epoll, events, EVENTS, 0);
    for (int i = 0; i < count; i++)
        all |= events[i].data.fd == self->ours ? events[i].events : 0;
    return all;
}

// What they have sent, and their end, which is RST, are in our end's kernel buffer.
static void
break_off(wire_t *self, const char *last)
{
    struct pollfd end = { .fd = self->ours };
    CHECK(write(self->theirs, last, strlen(last)) == (ssize_t)strlen(last));
    setsockopt(self->theirs, SOL_SOCKET, SO_LINGER, &(struct linger){ 1, 0 }, sizeof(struct linger));
    close(self->theirs);
    self->theirs = -1;
    CHECK(poll(&end, 1, ENOUGH_MS) == 1 && end.revents & POLLHUP);
}

// --- the end ------------------------------------------------------------------

static void
an_end_that_is_held_back_waits_to_be_read(void)
{
    wire_t self = wire(EPOLLIN);
    want(&self, 0);
    break_off(&self, "last words");
    CHECK(told(&self) == 0);
    CHECK(told(&self) == 0);
    want(&self, 0);
    CHECK(told(&self) == 0);
    want(&self, EPOLLIN);
    CHECK(told(&self) == EPOLLIN);
    close_all(&self);
}

static void
an_end_comes_behind_what_was_sent(void)
{
    wire_t self = wire(EPOLLIN);
    char bytes[32];
    break_off(&self, "");
    close_all(&self);
    self = wire(EPOLLIN);
    break_off(&self, "last words");
    CHECK(told(&self) == EPOLLIN);
    CHECK(recv(self.ours, bytes, sizeof bytes, 0) <= 10);
    CHECK(told(&self) & EPOLLIN && recv(self.ours, bytes, sizeof bytes, 0) <= 0);
    close_all(&self);
}

static void
a_connection_that_was_never_read_hears_of_its_end(void)
{
    wire_t self = wire(EPOLLOUT);
    break_off(&self, "");
    CHECK(told(&self) & (EPOLLHUP | EPOLLERR));
    close_all(&self);
}

static void
a_descriptor_that_was_closed_without_a_word_comes_again(void)
{
    wire_t self = wire(EPOLLIN), next = wire(EPOLLIN);
    want(&self, 0);
    break_off(&self, "");
    CHECK(told(&self) == 0);
    CHECK(dup2(next.ours, self.ours) == self.ours);
    CHECK(epoll_ctl(self.epoll, EPOLL_CTL_ADD, self.ours, &(struct epoll_event){ EPOLLOUT, { .fd = self.ours } }) == 0);
    CHECK(told(&self) == EPOLLOUT);
    close_all(&self);
    close_all(&next);
}

// --- accepting ----------------------------------------------------------------

static void
a_descriptor_of_the_reserve_is_for_no_client(void)
{
    wire_t self = knock();
    char byte;
    shield_limit(self.theirs);
    CHECK(accept4(self.listener, NULL, NULL, 0) == -1 && errno == ECONNABORTED);
    CHECK(recv(self.theirs, &byte, 1, 0) == 0);
    shield_limit(INT_MAX);
    close_all(&self);
}

static void *
io_thread(void *arg)
{
    (void)arg;
    RUN(an_end_that_is_held_back_waits_to_be_read);
    RUN(an_end_comes_behind_what_was_sent);
    RUN(a_connection_that_was_never_read_hears_of_its_end);
    RUN(a_descriptor_that_was_closed_without_a_word_comes_again);
    RUN(a_descriptor_of_the_reserve_is_for_no_client);
    return NULL;
}

static void
the_first_thread_hears_what_the_kernel_says(void)
{
    wire_t self = wire(EPOLLIN);
    want(&self, 0);
    break_off(&self, "");
    CHECK(told(&self) & EPOLLHUP);
    close_all(&self);
}

static void
the_first_thread_has_the_reserve(void)
{
    wire_t self = knock();
    shield_limit(self.theirs);
    self.ours = accept(self.listener, NULL, NULL);
    CHECK(self.ours > self.theirs);
    shield_limit(INT_MAX);
    close_all(&self);
}

int
main(void)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, io_thread, NULL) != 0)
        return EXIT_FAILURE;
    pthread_join(thread, NULL);
    RUN(the_first_thread_hears_what_the_kernel_says);
    RUN(the_first_thread_has_the_reserve);
    return test_done();
}
