// SPDX-License-Identifier: MPL-2.0
//
// One route with real sockets over loopback tcp, without a configuration file.
#include "zmq/watch.h"
#include "zmq/zmq.h"

#include "base/clock.h"
#include "base/mem.h"

#include "test.h"

#include <zmq.h>

static void *ctx;
static watch_t *watch;
static route_resources_t resources;

static void
add_endpoint(side_conf_t *side, const char *text)
{
    char reason[200];
    size_t offset, room = side->endpoint_count ? 8 : 0;
    mem_grow(side->endpoints, side->endpoint_count, room);
    endpoint_conf_t *endpoint = &side->endpoints[side->endpoint_count++];
    *endpoint = (endpoint_conf_t){ .place = { "test", 1, 1 } };
    if (endpoint_parse(text, false, &endpoint->at, reason, sizeof reason, &offset) == -1)
        abort();
}

static route_conf_t *
make_conf(const char *type)
{
    route_conf_t *conf = xcalloc(1, sizeof *conf);
    strcpy(conf->name, type);
    conf->pattern = pattern_find(type);
    conf->flow = pattern_flow(conf->pattern->frontend, conf->pattern->backend);
    conf->cpu = -1;
    for (side_t side = 0; side < SIDES; side++) {
        conf->sides[side].type = -1;
        conf->sides[side].linger_ms = -1;
        conf->sides[side].ipc_mode = 0600;
        conf->sides[side].ipc_group = (gid_t)-1;
    }
    conf->sides[SIDE_FRONTEND].type = conf->pattern->frontend;
    conf->sides[SIDE_BACKEND].type = conf->pattern->backend;
    add_endpoint(&conf->sides[SIDE_FRONTEND], "tcp://127.0.0.1:*");
    add_endpoint(&conf->sides[SIDE_BACKEND], "tcp://127.0.0.1:*");
    return conf;
}

static void
free_conf(route_conf_t *conf)
{
    for (side_t side = 0; side < SIDES; side++) {
        free(conf->sides[side].endpoints);
        free(conf->sides[side].options);
    }
    free(conf);
}

static void
set_option(side_conf_t *side, const char *key, int64_t number)
{
    side->options = xrealloc(side->options, side->option_count + 1, sizeof *side->options);
    side->options[side->option_count++]
        = (option_conf_t){ .option = sockopt_find(key), .value.number = number, .place = { "test", 1, 1 } };
}

// A route that runs, with what a test needs beside it.
typedef struct {
    route_conf_t *conf;
    counters_t counters;
    route_t *route;
} fixture_t;

static fixture_t
start(route_conf_t *conf)
{
    static fixture_t none;
    fixture_t self = none;
    self.conf = conf;
    return self;
}

static void
run(fixture_t *self)
{
    diag_t *diag = diag_new();
    listeners_t listeners = { 0 };
    if (listeners_bind(&listeners, self->conf, &resources, diag) == 0)
        self->route = route_open(self->conf, &listeners, &resources, &self->counters, diag);
    listeners_close(&listeners, false);
    diag_print(diag, stderr);
    diag_destroy(&diag);
    if (!self->route || route_run(self->route, -1) == -1)
        abort();
}

static route_leftover_t
finish(fixture_t *self, int64_t drain_ms)
{
    route_leftover_t left = { 0 };
    route_finish(self->route, drain_ms, false);
    route_close(&self->route, &left);
    free_conf(self->conf);
    return left;
}

static void *
client(const fixture_t *self, int type, side_t side)
{
    bool connected;
    void *socket = zmq_socket(ctx, type);
    int timeout = ENOUGH_MS, zero = 0;
    zmq_setsockopt(socket, ZMQ_RCVTIMEO, &timeout, sizeof timeout);
    zmq_setsockopt(socket, ZMQ_SNDTIMEO, &timeout, sizeof timeout);
    zmq_setsockopt(socket, ZMQ_LINGER, &zero, sizeof zero);
    if (type == ZMQ_SUB)
        zmq_setsockopt(socket, ZMQ_SUBSCRIBE, "", 0);
    if (zmq_connect(socket, route_endpoint(self->route, side, 0, &connected)) == -1)
        abort();
    return socket;
}

static bool
wait_for(const counter_t *counter, uint64_t value)
{
    for (int64_t end = clock_mono_ms() + ENOUGH_MS; clock_mono_ms() < end;) {
        if (counter_get(counter) >= value)
            return true;
        zmq_poll(NULL, 0, 1);
    }
    return false;
}

static void
send_number(void *socket, int n, int flags)
{
    char text[16];
    int size = snprintf(text, sizeof text, "%d", n);
    CHECK(zmq_send(socket, text, (size_t)size, flags) == size);
}

static int
receive_number(void *socket)
{
    char text[17] = "";
    int size = zmq_recv(socket, text, sizeof text - 1, 0);
    if (size >= 0)
        text[size] = '\0';
    return size == -1 ? -1 : atoi(text);
}

static void
a_streamer_keeps_order_and_parts(void)
{
    fixture_t fixture = start(make_conf("streamer"));
    run(&fixture);
    void *push = client(&fixture, ZMQ_PUSH, SIDE_FRONTEND), *pull = client(&fixture, ZMQ_PULL, SIDE_BACKEND);
    bool ordered = true;
    for (int i = 0; i < 5000; i++) {
        send_number(push, i, ZMQ_SNDMORE);
        zmq_send(push, "", 0, ZMQ_SNDMORE);
        send_number(push, -i, 0);
        if (i < 200)
            continue;
        char empty[1];
        ordered &= receive_number(pull) == i - 200 && zmq_recv(pull, empty, 1, 0) == 0 && receive_number(pull) == 200 - i;
    }
    CHECK(ordered);
    CHECK(wait_for(&fixture.counters.sides[SIDE_FRONTEND].messages_received, 5000));
    CHECK(counter_get(&fixture.counters.sides[SIDE_FRONTEND].messages_received) == 5000);
    zmq_close(push);
    zmq_close(pull);
    finish(&fixture, 0);
}

static void
a_queue_answers_the_one_who_asked(void)
{
    fixture_t fixture = start(make_conf("queue"));
    set_option(&fixture.conf->sides[SIDE_FRONTEND], "router_mandatory", 1);
    run(&fixture);
    void *rep = client(&fixture, ZMQ_REP, SIDE_BACKEND), *one = client(&fixture, ZMQ_REQ, SIDE_FRONTEND);
    void *two = client(&fixture, ZMQ_REQ, SIDE_FRONTEND);
    for (int i = 0; i < 100; i++) {
        send_number(one, i, 0);
        send_number(two, i + 1000, 0);
        for (int k = 0; k < 2; k++)
            send_number(rep, receive_number(rep) + 1, 0);
        CHECK(receive_number(two) == i + 1001);
        CHECK(receive_number(one) == i + 1);
    }
    CHECK(counter_get(&fixture.counters.dropped[DROP_UNDELIVERABLE]) == 0);
    zmq_close(one);
    zmq_close(two);
    zmq_close(rep);
    finish(&fixture, 0);
}

static void
a_reply_without_our_epoch_is_undeliverable(void)
{
    fixture_t fixture = start(make_conf("queue"));
    set_option(&fixture.conf->sides[SIDE_FRONTEND], "router_mandatory", 1);
    run(&fixture);
    void *worker = client(&fixture, ZMQ_DEALER, SIDE_BACKEND);
    zmq_send(worker, "\0abcdEPOCHOLD", 13, ZMQ_SNDMORE);
    zmq_send(worker, "", 0, ZMQ_SNDMORE);
    zmq_send(worker, "late", 4, 0);
    CHECK(wait_for(&fixture.counters.dropped[DROP_UNDELIVERABLE], 1));
    zmq_close(worker);
    finish(&fixture, 0);
}

static void
a_reply_to_a_client_that_left_is_undeliverable(void)
{
    fixture_t fixture = start(make_conf("queue"));
    set_option(&fixture.conf->sides[SIDE_FRONTEND], "router_mandatory", 1);
    run(&fixture);
    void *rep = client(&fixture, ZMQ_REP, SIDE_BACKEND), *req = client(&fixture, ZMQ_REQ, SIDE_FRONTEND);
    send_number(req, 1, 0);
    CHECK(receive_number(rep) == 1);
    zmq_close(req);
    CHECK(wait_for(&fixture.counters.sides[SIDE_FRONTEND].disconnections, 1));
    send_number(rep, 2, 0);
    CHECK(wait_for(&fixture.counters.dropped[DROP_UNDELIVERABLE], 1));
    zmq_close(rep);
    finish(&fixture, 0);
}

static void
a_forwarder_passes_subscriptions_up_and_messages_down(void)
{
    fixture_t fixture = start(make_conf("forwarder"));
    run(&fixture);
    void *sub = client(&fixture, ZMQ_SUB, SIDE_BACKEND), *pub = client(&fixture, ZMQ_XPUB, SIDE_FRONTEND);
    char event[8];
    CHECK(zmq_recv(pub, event, sizeof event, 0) == 1); // the subscription came up
    for (int i = 0; i < 100; i++) {
        send_number(pub, i, 0);
        CHECK(receive_number(sub) == i);
    }
    CHECK(counter_get(&fixture.counters.subscriptions) == 1);
    size_t count;
    char **topics = route_subscriptions(fixture.route, &count, 10);
    CHECK(count == 1);
    CHECK_TEXT(topics[0], "");
    free(topics[0]);
    free(topics);
    zmq_close(sub);
    CHECK(zmq_recv(pub, event, sizeof event, 0) == 1);
    CHECK(counter_get(&fixture.counters.subscriptions) == 0);
    zmq_close(pub);
    finish(&fixture, 0);
}

static void
a_paused_route_moves_nothing_and_loses_nothing(void)
{
    fixture_t fixture = start(make_conf("streamer"));
    run(&fixture);
    void *push = client(&fixture, ZMQ_PUSH, SIDE_FRONTEND), *pull = client(&fixture, ZMQ_PULL, SIDE_BACKEND);
    send_number(push, 1, 0);
    CHECK(receive_number(pull) == 1);
    route_set_mode(fixture.route, ROUTE_PAUSED);
    CHECK(route_age_ms(fixture.route) == 0);
    send_number(push, 2, 0);
    int short_time = 100, long_time = ENOUGH_MS;
    zmq_setsockopt(pull, ZMQ_RCVTIMEO, &short_time, sizeof short_time);
    CHECK(receive_number(pull) == -1);
    zmq_setsockopt(pull, ZMQ_RCVTIMEO, &long_time, sizeof long_time);
    route_set_mode(fixture.route, ROUTE_RUNNING);
    CHECK(receive_number(pull) == 2);
    zmq_close(push);
    zmq_close(pull);
    finish(&fixture, 0);
}

static void
a_blocked_route_says_so_and_counts_what_it_gives_up(void)
{
    fixture_t fixture = start(make_conf("streamer"));
    run(&fixture);
    void *push = client(&fixture, ZMQ_PUSH, SIDE_FRONTEND);
    for (int i = 0; i < 50; i++)
        send_number(push, i, 0);
    CHECK(wait_for(&fixture.counters.sides[SIDE_BACKEND].blocked_since_ns, 1));
    int64_t start_ms = clock_mono_ms();
    route_leftover_t left = finish(&fixture, 2000);
    CHECK(left.undelivered == 50);
    printf("# stopped after %lld ms of at most 2000\n", (long long)(clock_mono_ms() - start_ms));
    CHECK(counter_get(&fixture.counters.dropped[DROP_SHUTDOWN]) == 50);
    zmq_close(push);
}

static void
a_capture_shows_what_passes_only_to_those_who_listen(void)
{
    fixture_t fixture = start(make_conf("streamer"));
    side_conf_t *capture = &fixture.conf->sides[SIDE_CAPTURE];
    capture->type = ZMQ_PUB;
    add_endpoint(capture, "tcp://127.0.0.1:*");
    fixture.conf->capture_envelope = true;
    run(&fixture);
    void *push = client(&fixture, ZMQ_PUSH, SIDE_FRONTEND), *pull = client(&fixture, ZMQ_PULL, SIDE_BACKEND);
    send_number(push, 1, 0);
    CHECK(receive_number(pull) == 1);

    void *sub = client(&fixture, ZMQ_SUB, SIDE_CAPTURE);
    char envelope[128] = "";
    int n = 1, short_time = 20, size = -1;
    zmq_setsockopt(sub, ZMQ_RCVTIMEO, &short_time, sizeof short_time);
    for (int64_t end = clock_mono_ms() + ENOUGH_MS; size == -1 && clock_mono_ms() < end;) {
        send_number(push, ++n, 0);
        CHECK(receive_number(pull) == n);
        size = zmq_recv(sub, envelope, sizeof envelope - 1, 0);
    }
    char expected[64];
    zmq_setsockopt(sub, ZMQ_RCVTIMEO, &(int){ ENOUGH_MS }, sizeof(int));
    int seen = receive_number(sub);
    snprintf(expected, sizeof expected, "streamer frontend %d ", seen);
    CHECK(strncmp(envelope, expected, strlen(expected)) == 0);
    CHECK(counter_get(&fixture.counters.capture_dropped) == 0);
    zmq_close(push);
    zmq_close(pull);
    zmq_close(sub);
    finish(&fixture, 0);
}

static void
a_tap_numbers_what_matches(void)
{
    fixture_t fixture = start(make_conf("streamer"));
    run(&fixture);
    void *push = client(&fixture, ZMQ_PUSH, SIDE_FRONTEND), *pull = client(&fixture, ZMQ_PULL, SIDE_BACKEND);
    tap_t *tap = route_tap(fixture.route, "a", 1);
    for (int i = 0; i < 10; i++) {
        zmq_send(push, i % 2 ? "apple" : "pear", i % 2 ? 5 : 4, 0);
        char text[8];
        zmq_recv(pull, text, sizeof text, 0);
    }
    uint64_t seq = 0;
    const tap_message_t *message;
    route_settle(fixture.route);
    while ((message = tap_ring_take(tap_ring_of(tap)))) {
        CHECK(tap_see(tap) == ++seq && message->frames == 1 && message->side == SIDE_FRONTEND);
        CHECK(message->frame[0].size == 5);
    }
    CHECK(seq == 5 && tap_seq(tap) == 5);
    tap_leave(tap);
    tap_release(&tap);
    route_look(fixture.route);
    zmq_close(push);
    zmq_close(pull);
    finish(&fixture, 0);
}

static void
a_drained_streamer_hands_over_what_it_took_in(void)
{
    fixture_t fixture = start(make_conf("streamer"));
    run(&fixture);
    void *push = client(&fixture, ZMQ_PUSH, SIDE_FRONTEND);
    for (int i = 0; i < 3000; i++)
        send_number(push, i, 0);
    void *pull = client(&fixture, ZMQ_PULL, SIDE_BACKEND);
    route_finish(fixture.route, ENOUGH_MS, false);
    int got = 0;
    while (receive_number(pull) == got && ++got < 3000) {
    }
    CHECK(got == 3000);
    route_leftover_t left = finish(&fixture, ENOUGH_MS);
    CHECK(left.undelivered == 0);
    zmq_close(push);
    zmq_close(pull);
}

static void
a_route_whose_engine_is_not_there_is_refused(void)
{
    diag_t *diag = diag_new();
    counters_t counters = { 0 };
    listeners_t none = { 0 };
    route_conf_t conf = { .name = "r", .engine = ENGINE_WIRE };
    CHECK(route_open(&conf, &none, &resources, &counters, diag) == NULL);
    CHECK(diag_errors(diag) == 1);
    diag_destroy(&diag);
}

int
main(void)
{
    ctx = zmq_ctx_new();
    watch = watch_new(ctx, NULL);
    resources = (route_resources_t){
        .engines = { [ENGINE_ZMQ] = &engine_zmq }, .ctx = ctx, .watch = watch, .epoch = 0x1234567890abcdef
    };
    RUN(a_streamer_keeps_order_and_parts);
    RUN(a_queue_answers_the_one_who_asked);
    RUN(a_reply_without_our_epoch_is_undeliverable);
    RUN(a_reply_to_a_client_that_left_is_undeliverable);
    RUN(a_forwarder_passes_subscriptions_up_and_messages_down);
    RUN(a_paused_route_moves_nothing_and_loses_nothing);
    RUN(a_blocked_route_says_so_and_counts_what_it_gives_up);
    RUN(a_capture_shows_what_passes_only_to_those_who_listen);
    RUN(a_tap_numbers_what_matches);
    RUN(a_drained_streamer_hands_over_what_it_took_in);
    RUN(a_route_whose_engine_is_not_there_is_refused);
    zmq_ctx_shutdown(ctx);
    watch_destroy(&watch);
    zmq_ctx_term(ctx);
    return test_done();
}
