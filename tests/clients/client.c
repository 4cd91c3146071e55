// SPDX-License-Identifier: MPL-2.0
// client.c - a plain libzmq client for tests/languages.py.
//
//   client KIND ENDPOINT COUNT
//
// push sends COUNT messages of three frames ("", NUMBER, ""); pull takes them, checks
// them and exits 0. req, dealer (a REQ by hand) and pair ask COUNT times and check the
// answers of rep and mirror (the other PAIR), which answer with the number doubled.
// pub numbers from 0 again and again until it is told to stop (SIGTERM); sub wants
// COUNT numbers in a row.
//
// CLIENT_USER and CLIENT_PASSWORD are for PLAIN, CLIENT_SERVER_KEY, CLIENT_PUBLIC_KEY and
// CLIENT_SECRET_KEY for CURVE; CLIENT_HEARTBEAT is in ms, as is CLIENT_PAUSE
// between an answer and the next request; CLIENT_ID is a routing id.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zmq.h>

#define TIMEOUT_MS 120000

static void
fail(const char *what)
{
    fprintf(stderr, "client: %s: %s\n", what, zmq_strerror(zmq_errno()));
    exit(1);
}

// --- messages ------------------------------------------------------------------------

static void
send_frame(void *socket, const char *text, int more)
{
    if (zmq_send(socket, text, strlen(text), more ? ZMQ_SNDMORE : 0) == -1)
        fail("send");
}

static void
send_number(void *socket, long number)
{
    char text[32];
    snprintf(text, sizeof text, "%ld", number);
    send_frame(socket, "", 1);
    send_frame(socket, text, 1);
    send_frame(socket, "", 0);
}

static void
receive_frame(void *socket, char *text, size_t capacity, int wants_more)
{
    int more, size = zmq_recv(socket, text, capacity - 1, 0);
    size_t more_size = sizeof more;
    if (size == -1)
        fail("receive");
    zmq_getsockopt(socket, ZMQ_RCVMORE, &more, &more_size);
    if ((size_t)size >= capacity || more != wants_more) {
        fprintf(stderr, "client: a frame of %d bytes, more=%d\n", size, more);
        exit(1);
    }
    text[size] = '\0';
}

static long
receive_number(void *socket)
{
    char first[2], number[32], last[2];
    receive_frame(socket, first, sizeof first, 1);
    receive_frame(socket, number, sizeof number, 1);
    receive_frame(socket, last, sizeof last, 0);
    if (*first || *last) {
        fprintf(stderr, "client: a frame that is not empty\n");
        exit(1);
    }
    return atol(number);
}

static void
expect(long got, long wanted)
{
    if (got == wanted)
        return;
    fprintf(stderr, "client: %ld came, and not %ld\n", got, wanted);
    exit(1);
}

// --- what they do --------------------------------------------------------------------

static void
produce(void *socket, long count)
{
    for (long i = 0; i < count; i++)
        send_number(socket, i);
}

static void
consume(void *socket, long count)
{
    for (long i = 0; i < count; i++)
        expect(receive_number(socket), i);
}

static void
publish(void *socket, long count)
{
    for (long i = 0;; i = (i + 1) % count) {
        send_number(socket, i);
        nanosleep(&(struct timespec){ 0, 1000000 }, NULL);
    }
}

static void
follow(void *socket, long count)
{
    long first = receive_number(socket);
    for (long i = 0; i < count; i++)
        expect(receive_number(socket), (first + 1 + i) % count);
}

static void
pause_between(void)
{
    long ms = atol(getenv("CLIENT_PAUSE") ? getenv("CLIENT_PAUSE") : "0");
    nanosleep(&(struct timespec){ 0, ms * 1000000 }, NULL);
}

static void
ask(void *socket, long count)
{
    for (long i = 0; i < count; i++, pause_between()) {
        send_number(socket, i);
        expect(receive_number(socket), 2 * i);
    }
}

static void
ask_by_hand(void *socket, long count)
{
    for (long i = 0; i < count; i++, pause_between()) {
        char delimiter[2];
        send_frame(socket, "", 1);
        send_number(socket, i);
        receive_frame(socket, delimiter, sizeof delimiter, 1);
        expect(receive_number(socket), 2 * i);
    }
}

static void
answer(void *socket, long count)
{
    for (long i = 0; i < count; i++)
        send_number(socket, 2 * receive_number(socket));
}

static const struct kind {
    const char *name;
    int type;
    void (*run)(void *socket, long count);
} kinds[] = {
    { "push", ZMQ_PUSH, produce },  { "pull", ZMQ_PULL, consume },
    { "pub", ZMQ_PUB, publish },    { "sub", ZMQ_SUB, follow },
    { "req", ZMQ_REQ, ask },        { "rep", ZMQ_REP, answer },
    { "pair", ZMQ_PAIR, ask },      { "dealer", ZMQ_DEALER, ask_by_hand },
    { "mirror", ZMQ_PAIR, answer },
};

static const struct kind *
kind_of(const char *name)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    fprintf(stderr, "usage: client push|pull|pub|sub|req|rep|pair|dealer|mirror ENDPOINT COUNT\n");
    exit(2);
}

// --- options -------------------------------------------------------------------------

static const struct {
    const char *variable;
    int option;
} texts[] = {
    { "CLIENT_USER", ZMQ_PLAIN_USERNAME },        { "CLIENT_PASSWORD", ZMQ_PLAIN_PASSWORD },
    { "CLIENT_SERVER_KEY", ZMQ_CURVE_SERVERKEY }, { "CLIENT_PUBLIC_KEY", ZMQ_CURVE_PUBLICKEY },
    { "CLIENT_SECRET_KEY", ZMQ_CURVE_SECRETKEY }, { "CLIENT_ID", ZMQ_IDENTITY },
};

static void
set_options(void *socket, int type)
{
    int timeout = TIMEOUT_MS, interval = atoi(getenv("CLIENT_HEARTBEAT") ? getenv("CLIENT_HEARTBEAT") : "0");
    zmq_setsockopt(socket, ZMQ_RCVTIMEO, &timeout, sizeof timeout);
    zmq_setsockopt(socket, ZMQ_SNDTIMEO, &timeout, sizeof timeout);
    zmq_setsockopt(socket, ZMQ_LINGER, &timeout, sizeof timeout);
    zmq_setsockopt(socket, ZMQ_HEARTBEAT_IVL, &interval, sizeof interval);
    zmq_setsockopt(socket, ZMQ_HEARTBEAT_TIMEOUT, &timeout, sizeof timeout);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        const char *text = getenv(texts[i].variable);
        if (text && zmq_setsockopt(socket, texts[i].option, text, strlen(text)) == -1)
            fail(texts[i].variable);
    }
    if (type == ZMQ_SUB)
        zmq_setsockopt(socket, ZMQ_SUBSCRIBE, "", 0);
}

int
main(int argc, char **argv)
{
    const struct kind *kind = kind_of(argc == 4 ? argv[1] : "");
    void *ctx = zmq_ctx_new(), *socket = zmq_socket(ctx, kind->type);
    set_options(socket, kind->type);
    if (zmq_connect(socket, argv[2]) == -1)
        fail(argv[2]);
    kind->run(socket, atol(argv[3]));
    zmq_close(socket);
    zmq_ctx_term(ctx);
    return 0;
}
