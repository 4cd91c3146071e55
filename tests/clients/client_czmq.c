// SPDX-License-Identifier: MPL-2.0
// client_czmq.c - client.c again, for czmq: the same words, the same checks.
#include <czmq.h>

#define TIMEOUT_MS 120000

static void
fail(const char *what)
{
    fprintf(stderr, "client: %s\n", what);
    exit(1);
}

static long
number_of(const char *variable)
{
    const char *text = getenv(variable);
    return text ? atol(text) : 0;
}

// --- messages ------------------------------------------------------------------------

static void
send_number(zsock_t *socket, long number, bool by_hand)
{
    zmsg_t *message = zmsg_new();
    zmsg_addstr(message, "");
    zmsg_addstrf(message, "%ld", number);
    zmsg_addstr(message, "");
    if (by_hand)
        zmsg_pushstr(message, "");
    if (zmsg_send(&message, socket) == -1)
        fail("not sent");
}

static void
take_empty(zmsg_t *message)
{
    char *text = zmsg_popstr(message);
    if (!text || *text)
        fail("a frame that is not empty");
    zstr_free(&text);
}

static long
receive_number(zsock_t *socket, bool by_hand)
{
    zmsg_t *message = zmsg_recv(socket);
    if (!message || zmsg_size(message) != (by_hand ? 4 : 3))
        fail(message ? "a message of another shape came" : "nothing came");
    if (by_hand)
        take_empty(message);
    take_empty(message);
    char *text = zmsg_popstr(message);
    long number = atol(text);
    zstr_free(&text);
    take_empty(message);
    zmsg_destroy(&message);
    return number;
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
produce(zsock_t *socket, long count)
{
    for (long i = 0; i < count; i++)
        send_number(socket, i, false);
}

static void
consume(zsock_t *socket, long count)
{
    for (long i = 0; i < count; i++)
        expect(receive_number(socket, false), i);
}

static void
publish(zsock_t *socket, long count)
{
    for (long i = 0; !zsys_interrupted; i = (i + 1) % count) {
        send_number(socket, i, false);
        zclock_sleep(1);
    }
}

static void
follow(zsock_t *socket, long count)
{
    long first = receive_number(socket, false);
    for (long i = 0; i < count; i++)
        expect(receive_number(socket, false), (first + 1 + i) % count);
}

static void
ask_with(zsock_t *socket, long count, bool by_hand)
{
    for (long i = 0; i < count; i++) {
        send_number(socket, i, by_hand);
        expect(receive_number(socket, by_hand), 2 * i);
        zclock_sleep((int)number_of("CLIENT_PAUSE"));
    }
}

static void
ask(zsock_t *socket, long count)
{
    ask_with(socket, count, false);
}

static void
ask_by_hand(zsock_t *socket, long count)
{
    ask_with(socket, count, true);
}

static void
answer(zsock_t *socket, long count)
{
    for (long i = 0; i < count; i++)
        send_number(socket, 2 * receive_number(socket, false), false);
}

static const struct kind {
    const char *name;
    int type;
    void (*run)(zsock_t *socket, long count);
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
        if (streq(kinds[i].name, name))
            return &kinds[i];
    fail("usage: client push|pull|pub|sub|req|rep|pair|dealer|mirror ENDPOINT COUNT");
    return NULL;
}

// --- options -------------------------------------------------------------------------

static const struct {
    const char *variable;
    void (*set)(void *socket, const char *text);
} texts[] = {
    { "CLIENT_USER", zsock_set_plain_username },        { "CLIENT_PASSWORD", zsock_set_plain_password },
    { "CLIENT_SERVER_KEY", zsock_set_curve_serverkey }, { "CLIENT_PUBLIC_KEY", zsock_set_curve_publickey },
    { "CLIENT_SECRET_KEY", zsock_set_curve_secretkey }, { "CLIENT_ID", zsock_set_identity },
};

static void
set_options(zsock_t *socket)
{
    zsock_set_rcvtimeo(socket, TIMEOUT_MS);
    zsock_set_sndtimeo(socket, TIMEOUT_MS);
    zsock_set_linger(socket, TIMEOUT_MS);
    zsock_set_heartbeat_ivl(socket, (int)number_of("CLIENT_HEARTBEAT"));
    zsock_set_heartbeat_timeout(socket, TIMEOUT_MS);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (getenv(texts[i].variable))
            texts[i].set(socket, getenv(texts[i].variable));
}

int
main(int argc, char **argv)
{
    const struct kind *kind = kind_of(argc == 4 ? argv[1] : "");
    zsock_t *socket = zsock_new(kind->type);
    set_options(socket);
    if (kind->type == ZMQ_SUB)
        zsock_set_subscribe(socket, "");
    if (zsock_connect(socket, "%s", argv[2]) == -1)
        fail(argv[2]);
    kind->run(socket, atol(argv[3]));
    zsock_destroy(&socket);
    return 0;
}
