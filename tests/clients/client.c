// SPDX-License-Identifier: MPL-2.0
// client.c - a plain libzmq client for tests/languages.py.
//
//   client push|pub|req|pull|sub|rep ENDPOINT COUNT
//
// Senders send COUNT messages of three frames ("", NUMBER, ""); receivers take
// COUNT of them, check them and exit 0.
// req asks COUNT times and checks the answers of rep, which answers with the
// number doubled. pub numbers from 0 again and again until it is told to stop
// (SIGTERM); sub wants COUNT numbers in a row.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zmq.h>

#define TIMEOUT_MS 20000

static const struct {
    const char *name;
    int type;
} kinds[] = { { "push", ZMQ_PUSH }, { "pub", ZMQ_PUB }, { "req", ZMQ_REQ }, { "pull", ZMQ_PULL }, { "sub", ZMQ_SUB }, { "rep", ZMQ_REP } };

static void
fail(const char *what)
{
    fprintf(stderr, "client: %s: %s\n", what, zmq_strerror(zmq_errno()));
    exit(1);
}

static int
kind_of(const char *name)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i].name, name) == 0)
            return kinds[i].type;
    fprintf(stderr, "usage: client push|pub|req|pull|sub|rep ENDPOINT COUNT\n");
    exit(2);
}

static void
send_number(void *socket, long number)
{
    char text[32];
    int size = snprintf(text, sizeof text, "%ld", number);
    if (zmq_send(socket, "", 0, ZMQ_SNDMORE) == -1 || zmq_send(socket, text, (size_t)size, ZMQ_SNDMORE) == -1
        || zmq_send(socket, "", 0, 0) == -1)
        fail("send");
}

static long
receive_number(void *socket)
{
    char frames[3][32];
    for (int i = 0; i < 3; i++) {
        int more, size = zmq_recv(socket, frames[i], sizeof frames[i] - 1, 0);
        size_t more_size = sizeof more;
        if (size == -1)
            fail("receive");
        zmq_getsockopt(socket, ZMQ_RCVMORE, &more, &more_size);
        if (size > 31 || more != (i < 2) || (i != 1 && size != 0)) {
            fprintf(stderr, "client: frame %d of %d bytes, more=%d\n", i, size, more);
            exit(1);
        }
        frames[i][size] = '\0';
    }
    return atol(frames[1]);
}

static void
expect(long got, long wanted)
{
    if (got == wanted)
        return;
    fprintf(stderr, "client: %ld came, and not %ld\n", got, wanted);
    exit(1);
}

static void
publish(void *socket, long count)
{
    for (long i = 0;; i = (i + 1) % count) {
        send_number(socket, i);
        nanosleep(&(struct timespec){ 0, 100000 }, NULL);
    }
}

static void
run(void *socket, int type, long count)
{
    if (type == ZMQ_PUB)
        publish(socket, count);
    long first = type == ZMQ_SUB ? receive_number(socket) : 0;
    for (long i = 0; i < count; i++) {
        if (type == ZMQ_PUSH || type == ZMQ_REQ)
            send_number(socket, i);
        if (type == ZMQ_REQ)
            expect(receive_number(socket), 2 * i);
        if (type == ZMQ_PULL)
            expect(receive_number(socket), i);
        if (type == ZMQ_SUB)
            expect(receive_number(socket), (first + 1 + i) % count);
        if (type == ZMQ_REP)
            send_number(socket, 2 * receive_number(socket));
    }
}

int
main(int argc, char **argv)
{
    if (argc != 4)
        kind_of("");
    int type = kind_of(argv[1]), timeout = TIMEOUT_MS;
    void *ctx = zmq_ctx_new(), *socket = zmq_socket(ctx, type);
    zmq_setsockopt(socket, ZMQ_RCVTIMEO, &timeout, sizeof timeout);
    zmq_setsockopt(socket, ZMQ_SNDTIMEO, &timeout, sizeof timeout);
    zmq_setsockopt(socket, ZMQ_LINGER, &timeout, sizeof timeout);
    if (type == ZMQ_SUB)
        zmq_setsockopt(socket, ZMQ_SUBSCRIBE, "", 0);
    if (zmq_connect(socket, argv[2]) == -1)
        fail(argv[2]);
    run(socket, type, atol(argv[3]));
    zmq_close(socket);
    zmq_ctx_term(ctx);
    return 0;
}
