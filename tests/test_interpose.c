// SPDX-License-Identifier: MPL-2.0
// What an I/O thread hears of its descriptors, and when others hear from it: what the kernel
// would say, but for less asking.
#include "flow/wakeup.h"
#include "interpose/ready.h"

#include "test.h"

#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { BURST = 100 * 1024, EVENTS = 16 };

static unsigned char sent[BURST], got[BURST];

// --- a connection, one end of which is libzmq's -------------------------------

typedef struct {
    int epoll, ours, theirs;
} wire_t;

static wire_t
wire(uint32_t events)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof at;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    wire_t self = { .epoll = epoll_create1(0), .theirs = socket(AF_INET, SOCK_STREAM, 0) };
    CHECK(bind(listener, (struct sockaddr *)&at, size) == 0 && listen(listener, 1) == 0);
    CHECK(getsockname(listener, (struct sockaddr *)&at, &size) == 0);
    CHECK(connect(self.theirs, (struct sockaddr *)&at, size) == 0);
    self.ours = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    CHECK(self.ours != -1);
    close(listener);
    CHECK(epoll_ctl(self.epoll, EPOLL_CTL_ADD, self.ours, &(struct epoll_event){ events, { .fd = self.ours } }) == 0);
    return self;
}

static void
cut(wire_t *self)
{
    epoll_ctl(self->epoll, EPOLL_CTL_DEL, self->ours, NULL);
    close(self->ours);
    close(self->theirs);
    close(self->epoll);
}

static void
want(const wire_t *self, uint32_t events)
{
    CHECK(epoll_ctl(self->epoll, EPOLL_CTL_MOD, self->ours, &(struct epoll_event){ events, { .fd = self->ours } }) == 0);
}

// What is told of our end. Asking three times gets an answer of the kernel too.
static uint32_t
told(const wire_t *self)
{
    struct epoll_event events[EVENTS];
    uint32_t all = 0;
    for (int turn = 0; turn < 3; turn++) {
        int count = epoll_wait(self->epoll, events, EVENTS, 0);
        for (int i = 0; i < count; i++)
            all |= events[i].data.fd == self->ours ? events[i].events : 0;
    }
    return all;
}

// All that SIZE bytes of theirs are is in our end's kernel buffer.
static void
they_send(const wire_t *self, size_t size)
{
    int here = 0;
    for (size_t i = 0; i < size; i++)
        sent[i] = (unsigned char)(i * 31 >> 3);
    for (size_t done = 0; done < size;)
        done += (size_t)syscall(SYS_sendto, self->theirs, sent + done, size - done, 0, NULL, 0);
    while (ioctl(self->ours, FIONREAD, &here) == 0 && (size_t)here < size)
        sched_yield();
}

// As libzmq reads: a batch for each time that it is told to.
static size_t
read_batch(const wire_t *self, size_t at)
{
    CHECK(told(self) & EPOLLIN);
    ssize_t count = recv(self->ours, got + at, READY_BATCH, 0);
    CHECK(count > 0);
    return count > 0 ? (size_t)count : BURST;
}

static int
left_in_kernel(const wire_t *self)
{
    int here = -1;
    ioctl(self->ours, FIONREAD, &here);
    return here;
}

// --- reading ------------------------------------------------------------------

static void
a_burst_is_read_in_batches_and_received_at_once(void)
{
    wire_t self = wire(EPOLLIN);
    they_send(&self, BURST);
    size_t at = read_batch(&self, 0);
    CHECK(at == READY_BATCH && left_in_kernel(&self) == BURST - READY_BATCH);
    at += read_batch(&self, at);
    CHECK(at == 2 * READY_BATCH && left_in_kernel(&self) == 0);
    while (at < BURST)
        at += read_batch(&self, at);
    CHECK(memcmp(sent, got, BURST) == 0);
    CHECK(told(&self) == 0);
    cut(&self);
}

static void
an_end_waits_behind_what_was_received(void)
{
    wire_t self = wire(EPOLLIN);
    they_send(&self, BURST);
    size_t at = read_batch(&self, 0);
    at += read_batch(&self, at);
    setsockopt(self.theirs, SOL_SOCKET, SO_LINGER, &(struct linger){ 1, 0 }, sizeof(struct linger));
    close(self.theirs); // what comes is RST
    self.theirs = -1;
    want(&self, 0);
    CHECK(told(&self) == 0);
    want(&self, EPOLLIN);
    CHECK(told(&self) == EPOLLIN);
    while (at < BURST)
        at += read_batch(&self, at);
    CHECK(memcmp(sent, got, BURST) == 0);
    CHECK(told(&self) != 0 && recv(self.ours, got, READY_BATCH, 0) == -1);
    cut(&self);
}

// --- writing ------------------------------------------------------------------

static void
after_a_full_batch_there_is_room(void)
{
    wire_t self = wire(EPOLLIN | EPOLLOUT);
    CHECK(told(&self) == EPOLLOUT);
    CHECK(send(self.ours, sent, READY_BATCH, 0) == READY_BATCH);
    CHECK(told(&self) == EPOLLOUT);
    want(&self, EPOLLIN);
    CHECK(told(&self) == 0);
    cut(&self);
}

static void
after_the_last_message_nothing_is_told_until_it_is_asked_for(void)
{
    wire_t self = wire(EPOLLIN | EPOLLOUT);
    const unsigned char message[] = { 0, 3, 'a', 'b', 'c' }; // RFC 23
    for (int turn = 0; turn < 2; turn++) { // what the kernel was asked for before the first is told still
        want(&self, EPOLLIN);
        want(&self, EPOLLIN | EPOLLOUT);
        CHECK(told(&self) == EPOLLOUT);
        CHECK(send(self.ours, message, sizeof message, 0) == sizeof message);
    }
    CHECK(told(&self) == 0);
    cut(&self);
}

static void
who_was_cut_short_hears_of_room_when_there_is(void)
{
    wire_t self = wire(EPOLLIN | EPOLLOUT);
    while (send(self.ours, sent, READY_BATCH, 0) > 0) { }
    CHECK(told(&self) == 0);
    while (recv(self.theirs, got, BURST, MSG_DONTWAIT) > 0) { }
    struct epoll_event event = { 0 };
    CHECK(epoll_wait(self.epoll, &event, 1, ENOUGH_MS) == 1 && event.events == EPOLLOUT);
    cut(&self);
}

static void
the_rest_of_a_batch_is_not_the_last_message(void)
{
    wire_t self = wire(EPOLLIN | EPOLLOUT);
    while (send(self.ours, sent, READY_BATCH, 0) > 0) { }
    while (recv(self.theirs, got, BURST, MSG_DONTWAIT) > 0) { }
    struct epoll_event event = { 0 };
    CHECK(epoll_wait(self.epoll, &event, 1, ENOUGH_MS) == 1 && event.events == EPOLLOUT);
    const unsigned char rest[] = { 0, 3, 'a', 'b', 'c' }; // looks like a message, and may be of one
    CHECK(send(self.ours, rest, sizeof rest, 0) == sizeof rest);
    want(&self, EPOLLIN | EPOLLOUT);
    CHECK(told(&self) == EPOLLOUT);
    cut(&self);
}

// Once a socket has smaller batches, what would fill one of them may be any socket's.
static void
after_a_small_batch_that_is_full_there_is_room(void)
{
    wire_t self = wire(EPOLLIN | EPOLLOUT);
    const unsigned char messages[] = { 0, 3, 'a', 'b', 'c', 0, 3, 'd', 'e', 'f' };
    CHECK(send(self.ours, messages, sizeof messages, 0) == sizeof messages);
    want(&self, EPOLLIN);
    wakeup_batch(sizeof messages);
    for (size_t size = sizeof messages; size >= 5; size -= 5) {
        want(&self, EPOLLIN | EPOLLOUT);
        CHECK(send(self.ours, messages, size, 0) == (ssize_t)size);
        CHECK(told(&self) == (size == sizeof messages ? EPOLLOUT : 0));
        want(&self, EPOLLIN);
    }
    wakeup_batch(READY_BATCH); // of another socket
    want(&self, EPOLLIN | EPOLLOUT);
    CHECK(send(self.ours, messages, sizeof messages, 0) == sizeof messages);
    CHECK(told(&self) == EPOLLOUT);
    cut(&self);
}

// --- the end ------------------------------------------------------------------

static void
a_descriptor_that_was_closed_without_a_word_comes_again(void)
{
    wire_t self = wire(EPOLLIN | EPOLLOUT), next = wire(EPOLLIN);
    CHECK(send(self.ours, sent, READY_BATCH, 0) == READY_BATCH);
    CHECK(dup2(next.ours, self.ours) == self.ours);
    CHECK(epoll_ctl(self.epoll, EPOLL_CTL_ADD, self.ours, &(struct epoll_event){ EPOLLIN | EPOLLOUT, { .fd = self.ours } }) == 0);
    CHECK(send(self.ours, sent, READY_BATCH, 0) == READY_BATCH);
    CHECK(told(&self) == EPOLLOUT);
    want(&self, EPOLLIN);
    CHECK(told(&self) == 0);
    cut(&self);
    cut(&next);
}

// --- signals ------------------------------------------------------------------

static bool
is_signalled(int mailbox)
{
    struct pollfd item = { mailbox, POLLIN, 0 };
    return syscall(SYS_ppoll, &item, 1, &(struct timespec){ 0, 0 }, NULL, 0) == 1;
}

static void
signal_mailbox(int mailbox)
{
    CHECK(write(mailbox, &(uint64_t){ 1 }, sizeof(uint64_t)) == sizeof(uint64_t));
}

static bool
nothing(void *owner, void *what)
{
    (void)owner, (void)what;
    return true;
}

static void
nobody(void *sleeper)
{
    (void)sleeper;
}

typedef struct {
    turn_t *turn;
    int mailbox;
} route_t;

static route_t
awake_route(void)
{
    route_t self = { turn_new(&(turn_owner_t){ NULL, nothing, nobody, NULL }), eventfd(0, EFD_NONBLOCK) };
    wakeup_offer(self.mailbox, self.turn, NULL);
    return self;
}

static void
end_route(route_t *self)
{
    wakeup_offer(self->mailbox, NULL, NULL);
    turn_end(&self->turn);
    close(self->mailbox);
}

// A route that gets a burst, of which so many batches are read.
typedef struct {
    wire_t wire;
    route_t route;
    size_t at;
} burst_t;

static burst_t
burst_for_route(int batches)
{
    burst_t self = { .wire = wire(EPOLLIN), .route = awake_route() };
    they_send(&self.wire, BURST);
    while (batches-- > 0)
        self.at += read_batch(&self.wire, self.at);
    return self;
}

static void
end_burst(burst_t *self)
{
    end_route(&self->route);
    cut(&self->wire);
}

// The same, and libzmq has signalled the route in the middle of what was received ahead.
static burst_t
burst_with_signal_owed(void)
{
    burst_t self = burst_for_route(2);
    signal_mailbox(self.route.mailbox);
    CHECK(!is_signalled(self.route.mailbox));
    return self;
}

static void
a_route_is_signalled_at_once_where_nothing_is_read_ahead(void)
{
    burst_t burst = burst_for_route(1);
    signal_mailbox(burst.route.mailbox);
    CHECK(is_signalled(burst.route.mailbox));
    end_burst(&burst);
}

static void
it_is_signalled_when_all_that_was_read_ahead_is_read(void)
{
    burst_t burst = burst_with_signal_owed();
    while (burst.at < BURST)
        burst.at += read_batch(&burst.wire, burst.at);
    told(&burst.wire);
    CHECK(is_signalled(burst.route.mailbox));
    end_burst(&burst);
}

static void
it_is_signalled_when_its_queue_is_full_and_no_more_is_read(void)
{
    burst_t burst = burst_with_signal_owed();
    want(&burst.wire, 0);
    struct epoll_event event;
    CHECK(epoll_wait(burst.wire.epoll, &event, 1, 0) == 0); // without a time-out it would sleep now
    CHECK(is_signalled(burst.route.mailbox));
    end_burst(&burst);
}

static void
it_is_signalled_after_a_moment_however_much_is_left(void)
{
    burst_t burst = burst_with_signal_owed();
    nanosleep(&(struct timespec){ 0, 1000000 }, NULL);
    CHECK(told(&burst.wire) == EPOLLIN);
    CHECK(is_signalled(burst.route.mailbox));
    end_burst(&burst);
}

static void
a_stranger_is_signalled_at_once(void)
{
    burst_t burst = burst_for_route(2);
    int stranger = eventfd(0, EFD_NONBLOCK);
    signal_mailbox(stranger);
    CHECK(is_signalled(stranger));
    close(stranger);
    end_burst(&burst);
}

static void
a_thread_signals_itself_without_the_kernel(void)
{
    int epoll = epoll_create1(0), mailbox = eventfd(0, EFD_NONBLOCK);
    struct epoll_event event = { EPOLLIN, { .fd = mailbox } };
    struct pollfd item = { mailbox, POLLIN, 0 };
    uint64_t value = 0;
    CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, mailbox, &event) == 0);
    CHECK(epoll_wait(epoll, &event, 1, 0) == 0);
    signal_mailbox(mailbox);
    CHECK(!is_signalled(mailbox));
    CHECK(epoll_wait(epoll, &event, 1, ENOUGH_MS) == 1 && event.events == EPOLLIN && event.data.fd == mailbox);
    CHECK(poll(&item, 1, 0) == 1 && item.revents == POLLIN);
    CHECK(read(mailbox, &value, sizeof value) == sizeof value && value == 1);
    CHECK(poll(&item, 1, 0) == 0);
    CHECK(epoll_ctl(epoll, EPOLL_CTL_DEL, mailbox, NULL) == 0);
    close(mailbox);
    close(epoll);
}

// The first thread hears what the kernel says, so none of this is for it.
static void *
io_thread(void *arg)
{
    (void)arg;
    RUN(a_burst_is_read_in_batches_and_received_at_once);
    RUN(an_end_waits_behind_what_was_received);
    RUN(after_a_full_batch_there_is_room);
    RUN(after_the_last_message_nothing_is_told_until_it_is_asked_for);
    RUN(who_was_cut_short_hears_of_room_when_there_is);
    RUN(the_rest_of_a_batch_is_not_the_last_message);
    RUN(after_a_small_batch_that_is_full_there_is_room);
    RUN(a_descriptor_that_was_closed_without_a_word_comes_again);
    RUN(a_route_is_signalled_at_once_where_nothing_is_read_ahead);
    RUN(it_is_signalled_when_all_that_was_read_ahead_is_read);
    RUN(it_is_signalled_when_its_queue_is_full_and_no_more_is_read);
    RUN(it_is_signalled_after_a_moment_however_much_is_left);
    RUN(a_stranger_is_signalled_at_once);
    RUN(a_thread_signals_itself_without_the_kernel);
    return NULL;
}

int
main(void)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, io_thread, NULL) != 0)
        return EXIT_FAILURE;
    pthread_join(thread, NULL);
    return test_done();
}
