// SPDX-License-Identifier: MPL-2.0
//
// Handshakes with libzmq itself, over TCP, as server and as client: what zmtp's room
// says is what libzmq understands, and the other way round.
#include "base/mem.h"
#include "zmtp/curve.h"
#include "zmtp/handshake.h"
#include "zmtp/peertype.h"
#include "zmtp/traffic.h"

#include "test.h"

#include <arpa/inet.h>
#include <czmq.h>
#include <netinet/in.h>
#include <sodium.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PART_MAX = 100000, LOOK_MS = 20 };

static curve_keys_t our_keys, their_keys;
static zactor_t *auth;

// --- our end ---------------------------------------------------------------------------

typedef struct {
    int fd;
    zsock_t *peer;
    handshake_conf_t conf;
    handshake_t *handshake;
    bool has_session;
    curve_session_t session;
    uint8_t in[PART_MAX + 100];
    size_t size, taken; // octets there; of them read already
} end_t;

static end_t end;

static void
write_all(const uint8_t *bytes, size_t size)
{
    while (size) {
        ssize_t sent = send(end.fd, bytes, size, MSG_NOSIGNAL);
        if (sent <= 0)
            return; // what is missing shows at the reader
        bytes += sent;
        size -= (size_t)sent;
    }
}

// Wait for more octets. False: the connection ended, or none came in time.
static bool
read_more(size_t most)
{
    memmove(end.in, end.in + end.taken, end.size - end.taken);
    end.size -= end.taken;
    end.taken = 0;
    if (most > sizeof end.in - end.size)
        most = sizeof end.in - end.size;
    ssize_t got = -1;
    for (int i = 0; got == -1 && i < ENOUGH_MS / LOOK_MS; i++) {
        got = recv(end.fd, end.in + end.size, most, 0);
        zsock_events(end.peer); // a socket does what it is told in its user's thread
    }
    end.size += got > 0 ? (size_t)got : 0;
    return got > 0;
}

static void
write_output(void)
{
    size_t size;
    const uint8_t *out = handshake_output(end.handshake, &size);
    write_all(out, size);
    handshake_sent(end.handshake, size);
}

// Shake hands, octets in small pieces. The state that it ends in.
static handshake_state_t
shake_hands(handshake_verdict_t verdict)
{
    handshake_state_t state;
    end.handshake = handshake_new(&end.conf);
    while ((state = handshake_state(end.handshake)) < HANDSHAKE_READY) {
        write_output();
        if (state == HANDSHAKE_ASKS)
            handshake_verdict(end.handshake, verdict);
        else if (end.taken == end.size && !read_more(13))
            break;
        end.taken += handshake_feed(end.handshake, end.in + end.taken, end.size - end.taken);
    }
    write_output();
    end.has_session = handshake_take_session(end.handshake, &end.session);
    return handshake_state(end.handshake);
}

// The next part or command, opened. Its size, or -1.
static long
read_part(uint8_t *flags, uint8_t **body)
{
    frame_head_t head = { 0 };
    size_t size;
    while (frame_read(end.in + end.taken, end.size - end.taken, &head) != 1 ||
           end.size - end.taken < head.head + head.body)
        if (!read_more(SIZE_MAX))
            return -1;
    uint8_t *at = end.in + end.taken + head.head;
    end.taken += head.head + head.body;
    *flags = head.flags;
    *body = at;
    if (!end.has_session)
        return (long)head.body;
    return curve_open(&end.session, at, head.body, flags, body, &size) == 0 ? (long)size : -1;
}

static void
write_part(uint8_t flags, const void *body, size_t size)
{
    static uint8_t frame[PART_MAX + 100];
    size_t head;
    if (end.has_session) {
        write_all(frame, curve_seal(&end.session, frame, flags, body, size));
        return;
    }
    head = frame_write_head(frame, flags, size);
    memcpy(frame + head, body, size);
    write_all(frame, head + size);
}

static void
close_end(void)
{
    handshake_destroy(&end.handshake);
    close(end.fd);
    end.fd = -1;
}

// --- libzmq's end ------------------------------------------------------------------------

static void
secure(zsock_t *socket, handshake_mechanism_t mechanism, bool server)
{
    void *handle = zsock_resolve(socket);
    zsock_set_linger(socket, 0);
    zsock_set_rcvtimeo(socket, ENOUGH_MS);
    zsock_set_zap_domain(socket, "global");
    if (mechanism == HANDSHAKE_PLAIN && server) {
        zsock_set_plain_server(socket, 1);
    } else if (mechanism == HANDSHAKE_PLAIN) {
        zsock_set_plain_username(socket, "alice");
        zsock_set_plain_password(socket, "secret");
    } else if (mechanism == HANDSHAKE_CURVE) {
        zmq_setsockopt(handle, ZMQ_CURVE_PUBLICKEY, their_keys.public_key, CURVE_KEY);
        zmq_setsockopt(handle, ZMQ_CURVE_SECRETKEY, their_keys.secret_key, CURVE_KEY);
        if (server)
            zsock_set_curve_server(socket, 1);
        else
            zmq_setsockopt(handle, ZMQ_CURVE_SERVERKEY, our_keys.public_key, CURVE_KEY);
    }
}

static int
socket_fd(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd == -1)
        abort();
    return fd;
}

static struct sockaddr_in
loopback(int port)
{
    return (struct sockaddr_in){ .sin_family = AF_INET,
                                 .sin_port = htons((uint16_t)port),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static void
set_timeout(int fd)
{
    struct timeval look = { .tv_usec = LOOK_MS * 1000 };
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &look, sizeof look);
}

// SOCKET connects to us.
static void
accept_from(zsock_t *socket)
{
    struct sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    int listener = socket_fd();
    if (bind(listener, (struct sockaddr *)&address, sizeof address) == -1 || listen(listener, 1) == -1 ||
        getsockname(listener, (struct sockaddr *)&address, &size) == -1)
        abort();
    zsock_connect(socket, "tcp://127.0.0.1:%d", ntohs(address.sin_port));
    end.fd = accept(listener, NULL, NULL);
    close(listener);
}

static void
connect_to(zsock_t *socket)
{
    struct sockaddr_in address = loopback(zsock_bind(socket, "tcp://127.0.0.1:*"));
    end.fd = socket_fd();
    if (connect(end.fd, (struct sockaddr *)&address, sizeof address) == -1)
        abort();
}

// A socket of libzmq's of type THEIRS, connected with our end, of type OURS.
static zsock_t *
meet(handshake_mechanism_t mechanism, bool we_serve, int ours, int theirs)
{
    zsock_t *socket = zsock_new(theirs);
    secure(socket, mechanism, !we_serve);
    end.size = end.taken = 0;
    end.conf = (handshake_conf_t){ .type = ours,
                                   .mechanism = mechanism,
                                   .as_server = we_serve,
                                   .user = "alice",
                                   .password = "secret",
                                   .curve_keys = &our_keys,
                                   .curve_server = their_keys.public_key };
    if (theirs == ZMQ_REQ || theirs == ZMQ_DEALER)
        zsock_set_identity(socket, "client-7");
    return socket;
}

static void
join(zsock_t *socket)
{
    if (end.conf.as_server)
        accept_from(socket);
    else
        connect_to(socket);
    end.peer = socket;
    set_timeout(end.fd);
}

static void
part(zsock_t **socket)
{
    close_end();
    zsock_destroy(socket);
}

// Each mechanism, each role.
static void
for_all(int ours, int theirs, void (*prepare)(zsock_t *socket), void (*test)(zsock_t *socket))
{
    for (handshake_mechanism_t mechanism = 0; mechanism < HANDSHAKE_MECHANISMS; mechanism++)
        for (int we_serve = 0; we_serve < 2; we_serve++) {
            // A REQ of libzmq's that is a server takes the user's name, which it hands itself, for a reply.
            if (theirs == ZMQ_REQ && mechanism != HANDSHAKE_NULL && !we_serve)
                continue;
            zsock_t *socket = meet(mechanism, we_serve, ours, theirs);
            if (prepare)
                prepare(socket);
            join(socket);
            CHECK(shake_hands(HANDSHAKE_WELCOME) == HANDSHAKE_READY);
            CHECK_TEXT(handshake_words(end.handshake), "");
            CHECK(handshake_peer(end.handshake)->major == 3 && handshake_peer(end.handshake)->minor == 1);
            CHECK(handshake_peer(end.handshake)->type == theirs);
            CHECK(end.has_session == (mechanism == HANDSHAKE_CURVE));
            if (handshake_state(end.handshake) == HANDSHAKE_READY)
                test(socket);
            part(&socket);
        }
}

// --- what is said ---------------------------------------------------------------------------

static const size_t sizes[] = { 0, 1, 221, 222, 223, 255, 256, 70000 };
static uint8_t pattern[PART_MAX];

static void
check_they_send(zsock_t *socket)
{
    void *handle = zsock_resolve(socket);
    uint8_t flags, *body;
    for (size_t i = 0; i < COUNT(sizes); i++) {
        uint8_t more = i + 1 < COUNT(sizes) ? FRAME_MORE : 0;
        CHECK(zmq_send(handle, pattern, sizes[i], more ? ZMQ_SNDMORE : 0) == (int)sizes[i]);
    }
    for (size_t i = 0; i < COUNT(sizes); i++) {
        CHECK(read_part(&flags, &body) == (long)sizes[i]);
        CHECK((flags & ~FRAME_LARGE) == (i + 1 < COUNT(sizes) ? FRAME_MORE : 0));
        CHECK(memcmp(body, pattern, sizes[i]) == 0);
    }
}

static void
check_they_receive(zsock_t *socket)
{
    zmsg_t *message;
    for (size_t i = 0; i < COUNT(sizes); i++)
        write_part(i + 1 < COUNT(sizes) ? FRAME_MORE : 0, pattern, sizes[i]);
    message = zmsg_recv(socket);
    CHECK(message && zmsg_size(message) == COUNT(sizes));
    for (size_t i = 0; message && i < COUNT(sizes); i++) {
        zframe_t *frame = zmsg_pop(message);
        CHECK(frame && zframe_size(frame) == sizes[i] && memcmp(zframe_data(frame), pattern, sizes[i]) == 0);
        zframe_destroy(&frame);
    }
    zmsg_destroy(&message);
}

static void
test_push_sends_to_us(void)
{
    for_all(PEERTYPE_PULL, ZMQ_PUSH, NULL, check_they_send);
}

static void
test_pull_receives_from_us(void)
{
    for_all(PEERTYPE_PUSH, ZMQ_PULL, NULL, check_they_receive);
}

static void
check_request(zsock_t *socket)
{
    uint8_t flags, *body;
    const handshake_peer_t *peer = handshake_peer(end.handshake);
    CHECK(peer->identity_size == 8 && memcmp(peer->identity, "client-7", 8) == 0);
    zstr_send(socket, "question");
    CHECK(read_part(&flags, &body) == 0 && flags == FRAME_MORE);
    CHECK(read_part(&flags, &body) == 8 && flags == 0 && memcmp(body, "question", 8) == 0);
    write_part(FRAME_MORE, "", 0);
    write_part(0, "answer", 6);
    char *answer = zstr_recv(socket);
    CHECK_TEXT(answer, "answer");
    zstr_free(&answer);
}

static void
test_req_asks_us(void)
{
    for_all(PEERTYPE_ROUTER, ZMQ_REQ, NULL, check_request);
}

static void
check_reply(zsock_t *socket)
{
    uint8_t flags, *body;
    write_part(FRAME_MORE, "", 0);
    write_part(0, "question", 8);
    char *question = zstr_recv(socket);
    CHECK_TEXT(question, "question");
    zstr_free(&question);
    zstr_send(socket, "answer");
    CHECK(read_part(&flags, &body) == 0 && flags == FRAME_MORE);
    CHECK(read_part(&flags, &body) == 6 && flags == 0 && memcmp(body, "answer", 6) == 0);
}

static void
test_rep_answers_us(void)
{
    for_all(PEERTYPE_DEALER, ZMQ_REP, NULL, check_reply);
}

// Topics around the sizes where libzmq 4.3.4 forgets the LARGE bit.
static const size_t topics[] = { 0, 5, 221, 245, 246, 250, 255, 256, 300 };

static void
subscribe(zsock_t *socket)
{
    for (size_t i = 0; i < COUNT(topics); i++)
        zmq_setsockopt(zsock_resolve(socket), ZMQ_SUBSCRIBE, pattern, topics[i]);
}

static void
check_topics(traffic_kind_t kind)
{
    bool seen[COUNT(topics)] = { false };
    for (size_t i = 0; i < COUNT(topics); i++) {
        uint8_t flags, *body;
        traffic_t command = { 0 };
        long size = read_part(&flags, &body);
        CHECK(size > 0 && (flags & FRAME_COMMAND));
        CHECK(size > 0 && traffic_read(&command, body, (size_t)size) == 0 && command.kind == kind);
        for (size_t j = 0; j < COUNT(topics); j++)
            if (command.data && command.size == topics[j] && memcmp(command.data, pattern, topics[j]) == 0)
                seen[j] = true;
    }
    for (size_t i = 0; i < COUNT(topics); i++)
        CHECK(seen[i]);
}

static void
check_subscriptions(zsock_t *socket)
{
    check_topics(TRAFFIC_SUBSCRIBE);
    write_part(0, "topic and more", 14);
    char *text = zstr_recv(socket);
    CHECK_TEXT(text, "topic and more");
    zstr_free(&text);
    for (size_t i = 0; i < COUNT(topics); i++)
        zmq_setsockopt(zsock_resolve(socket), ZMQ_UNSUBSCRIBE, pattern, topics[i]);
    check_topics(TRAFFIC_CANCEL);
}

static void
test_sub_subscribes_at_ours(void)
{
    for_all(PEERTYPE_XPUB, ZMQ_SUB, subscribe, check_subscriptions);
}

// We subscribe in both forms that there are.
static void
check_we_subscribe(zsock_t *socket)
{
    uint8_t body[TRAFFIC_TOPIC_HEAD_MAX + 3], flags, *at;
    size_t head = traffic_topic_head(body, TRAFFIC_SUBSCRIBE);
    memcpy(body + head, "one", 3);
    write_part(FRAME_COMMAND, body, head + 3);
    write_part(0, "\1two", 4);
    zframe_t *frame = zframe_recv(socket);
    CHECK(frame && zframe_size(frame) == 4 && memcmp(zframe_data(frame), "\1one", 4) == 0);
    zframe_destroy(&frame);
    frame = zframe_recv(socket);
    CHECK(frame && zframe_size(frame) == 4 && memcmp(zframe_data(frame), "\1two", 4) == 0);
    zframe_destroy(&frame);
    zstr_send(socket, "one!");
    CHECK(read_part(&flags, &at) == 4 && memcmp(at, "one!", 4) == 0);
}

static void
test_xpub_hears_us_subscribe(void)
{
    for_all(PEERTYPE_XSUB, ZMQ_XPUB, NULL, check_we_subscribe);
}

static void
beat(zsock_t *socket)
{
    zsock_set_heartbeat_ivl(socket, 50);
    zsock_set_heartbeat_ttl(socket, 20000);
    zsock_set_heartbeat_timeout(socket, ENOUGH_MS);
}

static void
check_heartbeats(zsock_t *socket)
{
    uint8_t flags, *body, answer[TRAFFIC_PING_MAX];
    traffic_t command = { 0 };
    for (int i = 0; i < 3; i++) {
        long size = read_part(&flags, &body);
        CHECK(size > 0 && flags == FRAME_COMMAND);
        CHECK(size > 0 && traffic_read(&command, body, (size_t)size) == 0 && command.kind == TRAFFIC_PING);
        CHECK(command.ttl == 200);
        write_part(FRAME_COMMAND, answer, traffic_pong(answer, command.data, command.size));
    }
    write_part(FRAME_COMMAND, answer, traffic_ping(answer, 0, (const uint8_t *)"0123456789abcdef", 16));
    do {
        long size = read_part(&flags, &body);
        if (size <= 0 || traffic_read(&command, body, (size_t)size) == -1)
            break;
    } while (command.kind == TRAFFIC_PING);
    CHECK(command.kind == TRAFFIC_PONG && command.size == 16 && memcmp(command.data, "0123456789abcdef", 16) == 0);
    write_part(0, "alive", 5);
    char *text = zstr_recv(socket);
    CHECK_TEXT(text, "alive");
    zstr_free(&text);
}

static void
test_heartbeats_are_understood(void)
{
    for_all(PEERTYPE_PUSH, ZMQ_PULL, beat, check_heartbeats);
}

// --- refusals ---------------------------------------------------------------------------------

// The status that libzmq was refused with, as it tells its user.
static int
status_heard_by(zsock_t *monitor)
{
    int32_t status = -1;
    zframe_t *event = zframe_recv(monitor); // a number of 16 bits, and what comes with it
    if (event && zframe_size(event) == sizeof(uint16_t) + sizeof status)
        memcpy(&status, zframe_data(event) + sizeof(uint16_t), sizeof status);
    zframe_destroy(&event);
    return status;
}

static void
test_libzmq_hears_that_we_refuse(void)
{
    for (handshake_mechanism_t mechanism = HANDSHAKE_PLAIN; mechanism < HANDSHAKE_MECHANISMS; mechanism++) {
        zsock_t *socket = meet(mechanism, true, PEERTYPE_PULL, ZMQ_PUSH);
        char place[32]; // a new one each time: libzmq frees it when it gets round to it
        snprintf(place, sizeof place, "inproc://monitor-%d", mechanism);
        CHECK(zmq_socket_monitor(zsock_resolve(socket), place, ZMQ_EVENT_HANDSHAKE_FAILED_AUTH) == 0);
        zsock_t *monitor = zsock_new(ZMQ_PAIR);
        CHECK(zsock_connect(monitor, "%s", place) == 0);
        zsock_set_rcvtimeo(monitor, ENOUGH_MS);
        join(socket);
        CHECK(shake_hands(HANDSHAKE_REFUSED) == HANDSHAKE_FAILED);
        CHECK_TEXT(handshake_words(end.handshake), "refused");
        CHECK(status_heard_by(monitor) == 400);
        zmq_socket_monitor(zsock_resolve(socket), NULL, 0);
        zsock_destroy(&monitor);
        part(&socket);
    }
}

static void
test_we_hear_that_libzmq_refuses(void)
{
    zsock_t *socket = meet(HANDSHAKE_PLAIN, false, PEERTYPE_PUSH, ZMQ_PULL);
    end.conf.password = "wrong";
    join(socket);
    CHECK(shake_hands(HANDSHAKE_WELCOME) == HANDSHAKE_FAILED);
    CHECK(handshake_fault(end.handshake) == FAULT_PEER_ERROR);
    CHECK_TEXT(handshake_words(end.handshake), "the peer refuses: \"400\"");
    part(&socket);
}

// With NULL either may be the first to see it.
static void
test_type_that_does_not_fit_ends_it(void)
{
    for (handshake_mechanism_t mechanism = HANDSHAKE_PLAIN; mechanism < HANDSHAKE_MECHANISMS; mechanism++) {
        zsock_t *socket = meet(mechanism, true, PEERTYPE_PULL, ZMQ_PULL);
        join(socket);
        CHECK(shake_hands(HANDSHAKE_WELCOME) == HANDSHAKE_FAILED);
        CHECK(handshake_fault(end.handshake) == FAULT_TYPE);
        part(&socket);
    }
}

static void
start_auth(void)
{
    char file[] = "/tmp/zb-zmtp-XXXXXX";
    int fd = mkstemp(file);
    if (fd == -1 || write(fd, "alice=secret\n", 13) != 13)
        abort();
    close(fd);
    auth = zactor_new(zauth, NULL);
    zstr_sendx(auth, "PLAIN", file, NULL);
    zsock_wait(auth);
    zstr_sendx(auth, "CURVE", CURVE_ALLOW_ANY, NULL);
    zsock_wait(auth);
    unlink(file);
}

int
main(void)
{
    for (size_t i = 0; i < sizeof pattern; i++)
        pattern[i] = (uint8_t) "topic "[i % 6];
    zsys_set_logstream(stderr);
    zsys_handler_set(NULL);
    start_auth();
    crypto_box_keypair(our_keys.public_key, our_keys.secret_key);
    crypto_box_keypair(their_keys.public_key, their_keys.secret_key);
    RUN(test_push_sends_to_us);
    RUN(test_pull_receives_from_us);
    RUN(test_req_asks_us);
    RUN(test_rep_answers_us);
    RUN(test_sub_subscribes_at_ours);
    RUN(test_xpub_hears_us_subscribe);
    RUN(test_heartbeats_are_understood);
    RUN(test_libzmq_hears_that_we_refuse);
    RUN(test_we_hear_that_libzmq_refuses);
    RUN(test_type_that_does_not_fit_ends_it);
    zactor_destroy(&auth);
    return test_done();
}
