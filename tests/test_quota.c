// SPDX-License-Identifier: MPL-2.0
//
// Quotas and topic rights on a real forwarder: what reaches a subscriber, what
// the publishers are asked for, and what is counted.
#include "guard/guard.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "flow/engine.h"
#include "guard/subscribers.h"
#include "guard/users.h"

#include "test.h"

#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

static char folder[] = "/tmp/zb-quota-XXXXXX";

static void
write_file(const char *name, const char *text)
{
    char *path = xasprintf("%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    if (!file || fputs(text, file) == EOF || fclose(file) != 0)
        abort();
    free(path);
}

// --- a route ------------------------------------------------------------------------

typedef struct {
    void *ctx, *clients;
    watch_t *watch;
    guard_t *guard;
    diag_t *diag;
    conf_t *conf;
    counters_t counters;
    route_services_t services;
    route_t *route;
    char frontend[300], backend[300];
} house_t;

static bool
load(house_t *self)
{
    guard_route_t route = { self->conf->routes[0], &self->counters };
    int rc = guard_load(self->guard, &route, 1, self->diag);
    diag_print(self->diag, stdout);
    return rc == 0;
}

static void
open_house(house_t *self, const char *lines)
{
    listeners_t listeners = { 0 };
    bool connected;
    *self = (house_t){ .ctx = zmq_ctx_new(), .clients = zmq_ctx_new(), .diag = diag_new() };
    char *text = xasprintf("[route r]\ntype = forwarder\nengine = zmq\nfrontend_bind = tcp://127.0.0.1:*\n"
                           "backend_bind = tcp://127.0.0.1:*\n%s\n", lines);
    self->conf = conf_load_text("test.ini", text, strlen(text), self->diag);
    diag_print(self->diag, stdout);
    free(text);
    self->watch = watch_new(self->ctx);
    self->guard = guard_new(self->ctx, self->watch);
    self->services = (route_services_t){ .engines = { [ENGINE_ZMQ] = &engine_zmq },
                                         .ctx = self->ctx, .watch = self->watch, .epoch = 1, .secure = guard_secure,
                                         .filter_new = guard_filter_new, .filter_free = guard_filter_free,
                                         .arg = self->guard };
    const route_conf_t *conf = self->conf->routes[0];
    if (!load(self) || listeners_bind(&listeners, conf, &self->services, self->diag) == -1)
        abort();
    self->route = route_open(conf, &listeners, &self->services, &self->counters, self->diag);
    listeners_close(&listeners, false);
    if (!self->route || route_run(self->route, -1) == -1)
        abort();
    snprintf(self->frontend, sizeof self->frontend, "%s", route_endpoint(self->route, SIDE_FRONTEND, 0, &connected));
    snprintf(self->backend, sizeof self->backend, "%s", route_endpoint(self->route, SIDE_BACKEND, 0, &connected));
}

static void
close_house(house_t *self)
{
    route_finish(self->route, 0, true);
    route_close(&self->route, NULL);
    guard_destroy(&self->guard);
    watch_destroy(&self->watch);
    conf_destroy(&self->conf);
    diag_destroy(&self->diag);
    zmq_ctx_term(self->clients);
    zmq_ctx_term(self->ctx);
}

// --- clients --------------------------------------------------------------------------

static void *
connect_as(house_t *self, int type, const char *endpoint, const char *user)
{
    int off = 0, timeout = ENOUGH_MS;
    void *socket = zmq_socket(self->clients, type);
    zmq_setsockopt(socket, ZMQ_LINGER, &off, sizeof off);
    zmq_setsockopt(socket, ZMQ_RCVTIMEO, &timeout, sizeof timeout);
    zmq_setsockopt(socket, ZMQ_SNDTIMEO, &timeout, sizeof timeout);
    if (user) {
        zmq_setsockopt(socket, ZMQ_PLAIN_USERNAME, user, strlen(user));
        zmq_setsockopt(socket, ZMQ_PLAIN_PASSWORD, user, strlen(user));
    }
    if (endpoint)
        zmq_connect(socket, endpoint);
    return socket;
}

// An XPUB shows what the broker asks publishers for: "+topic", "-topic"; "" when nothing comes.
static const char *
asked(void *xpub, int timeout_ms)
{
    static char text[5000];
    zmq_setsockopt(xpub, ZMQ_RCVTIMEO, &timeout_ms, sizeof timeout_ms);
    int size = zmq_recv(xpub, text, sizeof text - 1, 0);
    if (size < 1)
        return "";
    text[0] = text[0] ? '+' : '-';
    text[size] = '\0';
    return text;
}

static void
subscribe(void *socket, const char *topic)
{
    zmq_setsockopt(socket, ZMQ_SUBSCRIBE, topic, strlen(topic));
}

static void
unsubscribe(void *socket, const char *topic)
{
    zmq_setsockopt(socket, ZMQ_UNSUBSCRIBE, topic, strlen(topic));
}

static void
publish(void *socket, const char *topic)
{
    zmq_send(socket, topic, strlen(topic), ZMQ_SNDMORE);
    zmq_send(socket, "data", 4, 0);
}

// All topics that arrive before "end", with a comma after each.
static const char *
received(void *sub)
{
    static char all[5000];
    char topic[300];
    *all = '\0';
    for (;;) {
        int size = zmq_recv(sub, topic, sizeof topic - 1, 0);
        if (size == -1)
            return "(timeout)";
        topic[size] = '\0';
        zmq_recv(sub, NULL, 0, 0);
        if (strcmp(topic, "end") == 0)
            return all;
        snprintf(all + strlen(all), sizeof all - strlen(all), "%s,", topic);
    }
}

static uint64_t
wait_for(counter_t *counter, uint64_t least)
{
    for (int64_t end = clock_mono_ms() + ENOUGH_MS; counter_get(counter) < least && clock_mono_ms() < end;)
        usleep(1000);
    return counter_get(counter);
}

static void
wait_asked(void *xpub, const char *what)
{
    CHECK_TEXT(asked(xpub, ENOUGH_MS), what);
}

// A SUB whose log-in was put off, as it is on a busy machine, subscribes once its owner looks after it.
static const char *
asked_by(void *sub, void *xpub)
{
    int events;
    size_t size = sizeof events;
    const char *what = "";
    for (int64_t end = clock_mono_ms() + ENOUGH_MS; !*what && clock_mono_ms() < end; what = asked(xpub, 50))
        zmq_getsockopt(sub, ZMQ_EVENTS, &events, &size);
    return what;
}

static void
wait_asked_by(void *sub, void *xpub, const char *what)
{
    CHECK_TEXT(asked_by(sub, xpub), what);
}

// libzmq keeps subscriptions in one tree or another, as it was built, and repeats them in that one's order.
static void
wait_asked_both(void *xpub, const char *one, const char *other)
{
    char first[64];
    snprintf(first, sizeof first, "%s", asked(xpub, ENOUGH_MS));
    bool turned = strcmp(first, other) == 0;
    CHECK_TEXT(first, turned ? other : one);
    wait_asked(xpub, turned ? one : other);
}

// A SUB that was cut subscribes again when its owner looks after it: until the route has COUNT topics.
static void
wake(house_t *house, void *sub, uint64_t count)
{
    int events;
    size_t size = sizeof events;
    for (int64_t end = clock_mono_ms() + ENOUGH_MS; counter_get(&house->counters.subscriptions) != count; usleep(1000)) {
        zmq_getsockopt(sub, ZMQ_EVENTS, &events, &size);
        if (clock_mono_ms() > end)
            return;
    }
}

// --- quotas ---------------------------------------------------------------------------

static void
upstream_sees_the_first_and_the_last(void)
{
    house_t house;
    open_house(&house, "");
    void *pub = connect_as(&house, ZMQ_XPUB, house.frontend, NULL);
    void *one = connect_as(&house, ZMQ_SUB, house.backend, NULL);
    void *two = connect_as(&house, ZMQ_SUB, house.backend, NULL);
    subscribe(one, "a");
    wait_asked_by(one, pub, "+a");
    subscribe(two, "a");
    subscribe(two, "b");
    wait_asked_by(two, pub, "+b");
    unsubscribe(one, "a");
    unsubscribe(two, "b");
    wait_asked(pub, "-b");
    subscribe(one, "c");
    wait_asked_by(one, pub, "+c");
    // One that goes away counts as one that unsubscribes.
    zmq_close(one);
    wait_asked(pub, "-c");
    zmq_close(two);
    wait_asked(pub, "-a");
    CHECK_TEXT(asked(pub, 100), "");
    CHECK(wait_for(&house.counters.subscriptions, 0) == 0);
    zmq_close(pub);
    close_house(&house);
}

static void
a_subscription_over_the_quota_is_ignored_and_counted(void)
{
    house_t house;
    open_house(&house, "max_subscriptions = 3\nmax_topic = 10");
    void *pub = connect_as(&house, ZMQ_XPUB, house.frontend, NULL);
    void *sub = connect_as(&house, ZMQ_SUB, house.backend, NULL);
    void *other = connect_as(&house, ZMQ_SUB, house.backend, NULL);
    subscribe(sub, "a");
    wait_asked_by(sub, pub, "+a");
    subscribe(sub, "far longer than ten");
    subscribe(sub, "b");
    wait_asked_by(sub, pub, "+b");
    subscribe(sub, "c");
    wait_asked_by(sub, pub, "+c");
    subscribe(sub, "d");
    subscribe(sub, "e");
    CHECK(wait_for(&house.counters.dropped[DROP_QUOTA], 3) == 3);
    CHECK_TEXT(asked(pub, 100), "");
    // Others are not concerned, and a place that is given back can be used.
    subscribe(other, "d");
    wait_asked_by(other, pub, "+d");
    unsubscribe(sub, "a");
    wait_asked(pub, "-a");
    subscribe(sub, "f");
    wait_asked_by(sub, pub, "+f");
    // What was ignored is not missed when its asker leaves.
    zmq_close(sub);
    const char *left = asked(pub, ENOUGH_MS);
    size_t mask = 0;
    for (int i = 0; i < 3; i++, left = asked(pub, i < 3 ? 500 : 100))
        mask |= strcmp(left, "-b") == 0 ? 1 : strcmp(left, "-c") == 0 ? 2 : strcmp(left, "-f") == 0 ? 4 : 8;
    CHECK(mask == 7);
    publish(pub, "d");
    publish(pub, "d");
    CHECK(wait_for(&house.counters.sides[SIDE_BACKEND].messages_sent, 2) == 2);
    CHECK(counter_get(&house.counters.dropped[DROP_QUOTA]) == 3);
    zmq_close(other);
    wait_asked(pub, "-d");
    zmq_close(pub);
    close_house(&house);
}

static void
one_who_goes_on_and_on_is_cut(void)
{
    house_t house;
    open_house(&house, "max_subscriptions = 5");
    void *sub = connect_as(&house, ZMQ_SUB, NULL, NULL);
    char topic[20];
    int off = 0;
    zmq_setsockopt(sub, ZMQ_SNDHWM, &off, sizeof off); // or it keeps most of them to itself
    zmq_connect(sub, house.backend);
    for (int i = 0; i < 1100; i++) {
        snprintf(topic, sizeof topic, "topic%d", i);
        subscribe(sub, topic);
    }
    CHECK(wait_for(&house.counters.sides[SIDE_BACKEND].disconnections, 1) >= 1);
    CHECK(counter_get(&house.counters.dropped[DROP_QUOTA]) >= 1001);
    zmq_close(sub);
    close_house(&house);
}

static void
many_come_and_go_and_nothing_stays(void)
{
    house_t house;
    open_house(&house, "");
    void *pub = connect_as(&house, ZMQ_XPUB, house.frontend, NULL);
    enum { ROUNDS = 60, AT_ONCE = 10 };
    for (int round = 0; round < ROUNDS; round++) {
        void *subs[AT_ONCE];
        for (int i = 0; i < AT_ONCE; i++) {
            subs[i] = connect_as(&house, ZMQ_SUB, house.backend, NULL);
            subscribe(subs[i], "same");
            subscribe(subs[i], i % 2 ? "odd" : "even");
            publish(pub, "same");
        }
        for (int i = 0; i < AT_ONCE; i++)
            zmq_close(subs[i]);
    }
    void *last = connect_as(&house, ZMQ_SUB, house.backend, NULL);
    subscribe(last, "last");
    int balance = 0;
    for (const char *what = asked(pub, ENOUGH_MS); strcmp(what, "+last") != 0; what = asked(pub, ENOUGH_MS)) {
        if (!*what)
            break;
        balance += *what == '+' ? 1 : -1;
    }
    for (const char *what = asked(pub, 300); *what; what = asked(pub, 300))
        balance += *what == '+' ? 1 : -1;
    CHECK(balance == 0);
    for (int64_t end = clock_mono_ms() + ENOUGH_MS; counter_get(&house.counters.subscriptions) != 1 && clock_mono_ms() < end;)
        usleep(1000);
    CHECK(counter_get(&house.counters.subscriptions) == 1);
    zmq_close(last);
    zmq_close(pub);
    close_house(&house);
}

// --- rights ---------------------------------------------------------------------------

static const char acl_lines[] = "security = plain\nusers = %s/users\nacl = %s/acl";

static void
open_guarded(house_t *house, const char *acl)
{
    static bool made;
    static const char *const names[] = {"alice", "bob", "carol", "root"};
    text_t users = { 0 };
    for (size_t i = 0; !made && i < sizeof names / sizeof *names; i++) {
        char *line = users_line(names[i], names[i]);
        text_add(&users, "%s\n", line);
        free(line);
    }
    if (!made)
        write_file("users", users.data);
    made = true;
    text_free(&users);
    write_file("acl", acl);
    char *lines = xasprintf(acl_lines, folder, folder);
    open_house(house, lines);
    free(lines);
}

static void
a_subscriber_gets_what_it_may_read_and_nothing_else(void)
{
    house_t house;
    open_guarded(&house, "user root\ntopic #\nuser alice\ntopic read news/#\ntopic deny news/secret/#\npattern read end\n");
    void *pub = connect_as(&house, ZMQ_XPUB, house.frontend, "root");
    void *all = connect_as(&house, ZMQ_SUB, house.backend, "alice");
    void *some = connect_as(&house, ZMQ_SUB, house.backend, "alice");
    void *root = connect_as(&house, ZMQ_SUB, house.backend, "root");
    subscribe(all, "");
    wait_asked_by(all, pub, "+");
    subscribe(some, "news/");
    wait_asked_by(some, pub, "+news/");
    subscribe(some, "end");
    wait_asked_by(some, pub, "+end");
    subscribe(some, "news/secret/");
    subscribe(root, "x");
    wait_asked_by(root, pub, "+x");
    subscribe(root, "");
    subscribe(root, "y");
    wait_asked_by(root, pub, "+y");
    static const char *const topics[] = {"news/sport", "other", "news/secret/x", "news/secrets", "news/secret/", "newspaper", "end"};
    for (size_t i = 0; i < sizeof topics / sizeof *topics; i++)
        publish(pub, topics[i]);
    CHECK_TEXT(received(all), "news/sport,news/secrets,");
    CHECK_TEXT(received(some), "news/sport,news/secrets,");
    CHECK_TEXT(received(root), "news/sport,other,news/secret/x,news/secrets,news/secret/,newspaper,");
    CHECK(counter_get(&house.counters.dropped[DROP_ACL]) == 1); // the subscription to news/secret/, no message
    // Unsubscribing takes away what it gave, and leaves what others need.
    unsubscribe(some, "news/");
    wait_asked(pub, "-news/");
    publish(pub, "news/sport");
    publish(pub, "end");
    CHECK_TEXT(received(some), "");
    CHECK_TEXT(received(all), "news/sport,");
    zmq_close(all);
    zmq_close(some);
    zmq_close(root);
    zmq_close(pub);
    close_house(&house);
}

static void
a_denied_publish_is_dropped_and_counted_once(void)
{
    house_t house;
    open_guarded(&house, "user root\ntopic #\nuser bob\ntopic write ok/#\ntopic write end\n");
    void *sub = connect_as(&house, ZMQ_SUB, house.backend, "root");
    void *pub = connect_as(&house, ZMQ_XPUB, house.frontend, "bob");
    subscribe(sub, "");
    wait_asked_by(sub, pub, "+");
    publish(pub, "ok/1");
    publish(pub, "secret");
    publish(pub, "ok/2");
    publish(pub, "end");
    CHECK_TEXT(received(sub), "ok/1,ok/2,");
    CHECK(counter_get(&house.counters.dropped[DROP_ACL]) == 1);
    zmq_close(sub);
    zmq_close(pub);
    close_house(&house);
}

static void
an_exact_topic_is_given_and_its_neighbour_never(void)
{
    house_t house;
    open_guarded(&house, "user root\ntopic #\nuser alice\ntopic read ok\ntopic read end\n");
    void *pub = connect_as(&house, ZMQ_XPUB, house.frontend, "root");
    void *sub = connect_as(&house, ZMQ_SUB, house.backend, "alice");
    subscribe(sub, "ok");
    wait_asked_by(sub, pub, "+ok");
    subscribe(sub, "end");
    wait_asked_by(sub, pub, "+end");
    publish(pub, "ok");
    publish(pub, "end");
    CHECK_TEXT(received(sub), "ok,");
    // It is cut the moment before, comes back, and never saw it.
    publish(pub, "okay");
    CHECK(wait_for(&house.counters.sides[SIDE_BACKEND].disconnections, 1) == 1);
    wait_asked_both(pub, "-end", "-ok");
    wake(&house, sub, 2);
    wait_asked_both(pub, "+end", "+ok");
    publish(pub, "ok");
    publish(pub, "end");
    CHECK_TEXT(received(sub), "ok,");
    CHECK(counter_get(&house.counters.dropped[DROP_ACL]) == 0);
    zmq_close(sub);
    zmq_close(pub);
    close_house(&house);
}

static void
a_user_without_rights_gets_nothing(void)
{
    house_t house;
    open_guarded(&house, "user root\ntopic #\n");
    void *pub = connect_as(&house, ZMQ_XPUB, house.frontend, "root");
    void *sub = connect_as(&house, ZMQ_SUB, house.backend, "carol");
    void *root = connect_as(&house, ZMQ_SUB, house.backend, "root");
    int quick = 200;
    subscribe(sub, "");
    subscribe(root, "z");
    wait_asked_by(root, pub, "+z");
    publish(pub, "z");
    CHECK(zmq_recv(root, NULL, 0, 0) != -1);
    zmq_setsockopt(sub, ZMQ_RCVTIMEO, &quick, sizeof quick);
    CHECK(zmq_recv(sub, NULL, 0, 0) == -1);
    zmq_close(sub);
    zmq_close(root);
    zmq_close(pub);
    close_house(&house);
}

static void
new_rights_hold_at_once(void)
{
    house_t house;
    open_guarded(&house, "user root\ntopic #\nuser alice\ntopic read a/#\ntopic read end\n");
    void *pub = connect_as(&house, ZMQ_XPUB, house.frontend, "root");
    void *sub = connect_as(&house, ZMQ_SUB, house.backend, "alice");
    void *root = connect_as(&house, ZMQ_SUB, house.backend, "root");
    subscribe(root, "");
    wait_asked_by(root, pub, "+");
    subscribe(sub, "a/");
    wait_asked_by(sub, pub, "+a/");
    publish(pub, "a/1");
    publish(pub, "end");
    CHECK_TEXT(received(root), "a/1,");
    CHECK(zmq_recv(sub, NULL, 0, 0) == 3);
    CHECK(zmq_recv(sub, NULL, 0, 0) == 4);
    write_file("acl", "user root\ntopic #\nuser alice\ntopic read b/#\ntopic read end\n");
    CHECK(load(&house));
    publish(pub, "a/0");
    CHECK(wait_for(&house.counters.sides[SIDE_BACKEND].disconnections, 1) == 1);
    wait_asked(pub, "-a/");
    subscribe(sub, "b/");
    wake(&house, sub, 2);
    wait_asked(pub, "+b/");
    publish(pub, "a/2");
    publish(pub, "b/1");
    publish(pub, "end");
    CHECK_TEXT(received(root), "a/0,a/2,b/1,");
    CHECK(zmq_recv(sub, NULL, 0, 0) == 3);
    zmq_close(sub);
    zmq_close(root);
    zmq_close(pub);
    close_house(&house);
}

// A subscriber that sends messages upwards puts the XPUB out of step: whose
// subscription is read then is not who libzmq thinks.
static void
nobody_gets_the_subscription_of_another(void)
{
    house_t house;
    open_guarded(&house, "user root\ntopic #\nuser carol\ntopic read public\n");
    void *pub = connect_as(&house, ZMQ_XPUB, house.frontend, "root");
    void *evil = connect_as(&house, ZMQ_XSUB, house.backend, "carol");
    int quick = 50;
    zmq_setsockopt(evil, ZMQ_RCVTIMEO, &quick, sizeof quick);
    for (int round = 0; round < 30; round++) {
        void *root = connect_as(&house, ZMQ_SUB, house.backend, "root");
        subscribe(root, "secret");
        for (int i = 0; i < 20; i++) {
            zmq_send(evil, "upwards", 7, ZMQ_DONTWAIT);
            zmq_send(evil, "\1secret", 7, ZMQ_DONTWAIT);
        }
        publish(pub, "secret");
        zmq_close(root);
    }
    for (int i = 0; i < 20; i++)
        publish(pub, "secret");
    CHECK(zmq_recv(evil, NULL, 0, 0) == -1);
    // It may have been let in only now, and what it had sent before went with its first connection.
    for (int64_t end = clock_mono_ms() + ENOUGH_MS;
         counter_get(&house.counters.dropped[DROP_ACL]) == 0 && clock_mono_ms() < end; usleep(1000))
        zmq_send(evil, "\1secret", 7, ZMQ_DONTWAIT);
    CHECK(counter_get(&house.counters.dropped[DROP_ACL]) >= 1);
    CHECK(zmq_recv(evil, NULL, 0, 0) == -1);
    zmq_close(evil);
    zmq_close(pub);
    close_house(&house);
}

// Up to libzmq 4.3.4 a subscription may be read when its pipe is gone already.
static void
coming_and_going_in_a_storm_ends_nothing(void)
{
    house_t house;
    open_guarded(&house, "user root\ntopic #\nuser alice\ntopic read #\ntopic deny x/#\n");
    void *pub = connect_as(&house, ZMQ_XPUB, house.frontend, "root");
    for (int round = 0; round < 200; round++) {
        void *subs[4];
        for (int i = 0; i < 4; i++) {
            subs[i] = connect_as(&house, ZMQ_SUB, house.backend, "alice");
            subscribe(subs[i], "t");
        }
        for (int i = 0; i < 50; i++)
            publish(pub, "t");
        if (round % 2)
            usleep(1000);
        for (int i = 0; i < 4; i++)
            zmq_close(subs[i]);
    }
    void *last = connect_as(&house, ZMQ_SUB, house.backend, "root");
    subscribe(last, "last");
    for (const char *what = asked_by(last, pub); *what && strcmp(what, "+last") != 0; what = asked_by(last, pub))
        continue;
    publish(pub, "last");
    CHECK(zmq_recv(last, NULL, 0, 0) == 4);
    zmq_close(last);
    zmq_close(pub);
    close_house(&house);
}

static void
a_prefix_that_cannot_be_checked_is_not_held(void)
{
    static unsigned char topic[CHECKED_MAX + 1];
    topics_t *topics = topics_new();
    subscribers_t all;
    subscriber_t client = { .fd = -1 };
    size_t length = 0;
    subscribers_init(&all, topics);
    CHECK(!subscribers_hold(&all, &client, topic, sizeof topic));
    CHECK(!subscribers_holders(&all, topic, sizeof topic, &length));
    CHECK(subscribers_hold(&all, &client, topic, CHECKED_MAX));
    CHECK(subscribers_hold(&all, &client, topic, 3));
    const holders_t *holders = subscribers_holders(&all, topic, sizeof topic, &length);
    CHECK(holders && holders->count == 1 && holders->clients[0] == &client && length == 4);
    CHECK(subscribers_holders(&all, topic, sizeof topic, &length) && length == CHECKED_MAX + 1);
    CHECK(!subscribers_holders(&all, topic, sizeof topic, &length));
    subscribers_let_go(&all, &client, topic, CHECKED_MAX);
    subscribers_let_go(&all, &client, topic, 3);
    subscribers_free(&all);
    topics_free(&topics);
}

int
main(void)
{
    if (!mkdtemp(folder))
        return EXIT_FAILURE;
    RUN(upstream_sees_the_first_and_the_last);
    RUN(a_subscription_over_the_quota_is_ignored_and_counted);
    RUN(one_who_goes_on_and_on_is_cut);
    RUN(many_come_and_go_and_nothing_stays);
    RUN(a_subscriber_gets_what_it_may_read_and_nothing_else);
    RUN(a_denied_publish_is_dropped_and_counted_once);
    RUN(an_exact_topic_is_given_and_its_neighbour_never);
    RUN(a_user_without_rights_gets_nothing);
    RUN(new_rights_hold_at_once);
    RUN(nobody_gets_the_subscription_of_another);
    RUN(coming_and_going_in_a_storm_ends_nothing);
    RUN(a_prefix_that_cannot_be_checked_is_not_held);
    char *command = xasprintf("rm -rf '%s'", folder);
    int rc = system(command);
    free(command);
    return rc == 0 ? test_done() : EXIT_FAILURE;
}
