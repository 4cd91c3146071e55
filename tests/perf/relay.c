// SPDX-License-Identifier: MPL-2.0
// relay - the least that anything between two peers can cost: it accepts one
// connection on each side and copies bytes both ways. ZeroMQ peers shake hands through
// it, so zbroker-bench measures it as any broker:
//
//     zbroker-bench pushpull --against "relay {to} {from}" ...
//
// tcp on loopback only, and one client a side.

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ROOM = 65536 };

// What comes from one side and was not written to the other yet.
typedef struct {
    int from, to;
    size_t start, end;
    char data[ROOM];
} way_t;

static void
fail(const char *what)
{
    fprintf(stderr, "relay: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int
listen_at(const char *endpoint)
{
    const char *colon = strrchr(endpoint, ':');
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                   .sin_port = htons((uint16_t)atoi(colon ? colon + 1 : "")) };
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) == -1 || listen(fd, 1) == -1)
        fail(endpoint);
    return fd;
}

static int
accept_one(int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK), on = 1;
    if (fd == -1)
        fail("accept");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

// True: go on; false: this connection has ended.
static int
goes_on(ssize_t moved)
{
    return moved > 0 || (moved == -1 && (errno == EAGAIN || errno == EINTR));
}

static int
take(way_t *self)
{
    ssize_t got = self->end == 0 ? recv(self->from, self->data, ROOM, 0) : 1;
    if (self->end == 0 && got > 0)
        self->end = (size_t)got;
    return goes_on(got);
}

static int
give(way_t *self)
{
    ssize_t sent = self->end > 0 ? send(self->to, self->data + self->start, self->end - self->start, MSG_NOSIGNAL) : 1;
    if (self->end > 0 && sent > 0)
        self->start += (size_t)sent;
    if (self->start == self->end)
        self->start = self->end = 0;
    return goes_on(sent);
}

static void
relay(int one, int other)
{
    static way_t ways[2];
    ways[0].from = ways[1].to = one;
    ways[1].from = ways[0].to = other;
    ways[0].start = ways[0].end = ways[1].start = ways[1].end = 0;
    for (;;) {
        struct pollfd polled[2];
        for (int i = 0; i < 2; i++) {
            int events = (ways[i].end == 0 ? POLLIN : 0) | (ways[!i].end > 0 ? POLLOUT : 0);
            polled[i] = (struct pollfd){ .fd = ways[i].from, .events = (short)events };
        }
        if (poll(polled, 2, -1) == -1 && errno != EINTR)
            fail("poll");
        for (int i = 0; i < 2; i++)
            if ((polled[i].revents && !take(&ways[i])) || !give(&ways[i]))
                return;
    }
}

int
main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: relay tcp://127.0.0.1:PORT tcp://127.0.0.1:PORT\n");
        return 2;
    }
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    int to = listen_at(argv[1]), from = listen_at(argv[2]);
    for (;;) {
        int one = accept_one(to), other = accept_one(from);
        relay(one, other);
        close(one);
        close(other);
    }
}
