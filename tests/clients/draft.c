// SPDX-License-Identifier: MPL-2.0
// draft.c - a libzmq client of the thread-safe draft types, for tests/drafts.py.
//
//   draft scatter|gather|ask|answer|serve ENDPOINT COUNT
//
// scatter sends the numbers below COUNT, gather takes them in this order. ask
// (a CHANNEL) asks with each number and wants the double of it, which answer
// (a CHANNEL) and serve (a SERVER) give. Messages have one frame: a number of
// WIDTH digits, so that an answer fits into the message that it came in and
// goes back to whoever that is from.
//
// zmq.h may hide the types, whose numbers are part of libzmq's ABI.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

enum { SERVER = 12, GATHER = 16, SCATTER = 17, CHANNEL = 20 };

#define TIMEOUT_MS 20000
#define WIDTH 8

static void
fail(const char *what)
{
    fprintf(stderr, "draft: %s: %s\n", what, zmq_strerror(zmq_errno()));
    exit(1);
}

static void
write_number(zmq_msg_t *message, long number)
{
    char text[32];
    snprintf(text, sizeof text, "%0*ld", WIDTH, number);
    memcpy(zmq_msg_data(message), text, WIDTH);
}

static void
send_number(void *socket, long number)
{
    zmq_msg_t message;
    zmq_msg_init_size(&message, WIDTH);
    write_number(&message, number);
    if (zmq_msg_send(&message, socket, 0) == -1)
        fail("send");
}

static long
receive_number(void *socket, zmq_msg_t *message)
{
    char text[WIDTH + 1] = "";
    if (zmq_msg_recv(message, socket, 0) == -1)
        fail("receive");
    if (zmq_msg_size(message) != WIDTH || zmq_msg_more(message)) {
        fprintf(stderr, "draft: %zu bytes, more=%d\n", zmq_msg_size(message), zmq_msg_more(message));
        exit(1);
    }
    memcpy(text, zmq_msg_data(message), WIDTH);
    return atol(text);
}

static void
expect(void *socket, long wanted)
{
    zmq_msg_t message;
    zmq_msg_init(&message);
    long got = receive_number(socket, &message);
    zmq_msg_close(&message);
    if (got == wanted)
        return;
    fprintf(stderr, "draft: %ld came, and not %ld\n", got, wanted);
    exit(1);
}

static void
do_scatter(void *socket, long i)
{
    send_number(socket, i);
}

static void
do_gather(void *socket, long i)
{
    expect(socket, i);
}

static void
do_ask(void *socket, long i)
{
    send_number(socket, i);
    expect(socket, 2 * i);
}

static void
do_answer(void *socket, long i)
{
    (void)i;
    zmq_msg_t message;
    zmq_msg_init(&message);
    write_number(&message, 2 * receive_number(socket, &message));
    if (zmq_msg_send(&message, socket, 0) == -1)
        fail("answer");
}

static const struct {
    const char *name;
    int type;
    void (*step)(void *socket, long i);
} roles[] = {
    { "scatter", SCATTER, do_scatter }, { "gather", GATHER, do_gather },   { "ask", CHANNEL, do_ask },
    { "answer", CHANNEL, do_answer },   { "serve", SERVER, do_answer },
};

int
main(int argc, char **argv)
{
    int timeout = TIMEOUT_MS;
    size_t role = 0, count = sizeof roles / sizeof *roles;
    while (argc == 4 && role < count && strcmp(roles[role].name, argv[1]) != 0)
        role++;
    if (argc != 4 || role == count) {
        fprintf(stderr, "usage: draft scatter|gather|ask|answer|serve ENDPOINT COUNT\n");
        return 2;
    }
    void *ctx = zmq_ctx_new(), *socket = zmq_socket(ctx, roles[role].type);
    zmq_setsockopt(socket, ZMQ_RCVTIMEO, &timeout, sizeof timeout);
    zmq_setsockopt(socket, ZMQ_SNDTIMEO, &timeout, sizeof timeout);
    zmq_setsockopt(socket, ZMQ_LINGER, &timeout, sizeof timeout);
    if (zmq_connect(socket, argv[2]) == -1)
        fail(argv[2]);
    for (long i = 0; i < atol(argv[3]); i++)
        roles[role].step(socket, i);
    zmq_close(socket);
    zmq_ctx_term(ctx);
    return 0;
}
