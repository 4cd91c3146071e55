// SPDX-License-Identifier: MPL-2.0
//
// The ZAP handler with real clients over loopback tcp: who belongs comes in, a
// stranger stays out, and with no handler nobody comes in.
#include "guard/guard.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "conf/load.h"
#include "guard/cert.h"
#include "guard/policy.h"
#include "guard/users.h"
#include "zmq/watch.h"
#include "zmq/entrance.h"
#include "zmq/zap.h"
#include "zmq/zmq.h"

#include "files.h"
#include "test.h"

#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

static char folder[] = "/tmp/zb-zap-XXXXXX";

// --- files ------------------------------------------------------------------------

static cert_t
write_cert(const char *name)
{
    cert_t cert = { .has_public = true, .has_secret = true };
    text_t public = { 0 }, secret = { 0 };
    zmq_curve_keypair(cert.public_text, cert.secret_text);
    zmq_z85_decode(cert.public_key, cert.public_text);
    zmq_z85_decode(cert.secret_key, cert.secret_text);
    cert_print(&cert, false, NULL, 0, &public);
    cert_print(&cert, true, NULL, 0, &secret);
    char *secret_name = xasprintf("%s_secret", name);
    free(write_file(folder, name, 0644, public.data));
    free(write_file(folder, secret_name, 0600, secret.data));
    free(secret_name);
    text_free(&public);
    text_free(&secret);
    return cert;
}

static void
write_users(const char *const users[][2])
{
    text_t text = { 0 };
    for (size_t i = 0; users[i][0]; i++) {
        char *line = users_line(users[i][0], users[i][1]);
        text_add(&text, "%s\n", line);
        free(line);
    }
    free(write_file(folder, "users", 0600, text.data));
    text_free(&text);
}

static void
remove_file(const char *name)
{
    char *path = xasprintf("%s/%s", folder, name);
    unlink(path);
    free(path);
}

// --- a guarded route ----------------------------------------------------------------

typedef struct {
    void *ctx, *clients; // two contexts: a client of the handler's own would ask it too
    watch_t *watch;
    guard_t *guard;
    diag_t *diag;
    conf_t *conf;
    counters_t counters;
    route_resources_t resources;
    route_t *route;
} house_t;

static conf_t *
read_conf(const char *lines, diag_t *diag)
{
    char *text = xasprintf("[route r]\ntype = streamer\nengine = zmq\nfrontend_bind = tcp://127.0.0.1:*\n"
                           "backend_bind = tcp://127.0.0.1:*\nhandshake_ivl = 1m\n%s\n", lines);
    conf_t *conf = conf_load_text("test.ini", text, strlen(text), diag);
    diag_print(diag, stdout);
    free(text);
    return conf;
}

static house_t
open_house(const char *lines)
{
    house_t self = { .ctx = zmq_ctx_new(), .clients = zmq_ctx_new(), .diag = diag_new() };
    self.conf = read_conf(lines, self.diag);
    self.watch = watch_new(self.ctx, NULL);
    self.guard = guard_new(self.ctx, self.watch);
    return self;
}

static bool
load(house_t *self)
{
    guard_route_t route = { self->conf->routes[0], &self->counters };
    int rc = guard_load(self->guard, &route, 1, self->diag);
    diag_print(self->diag, stdout);
    return rc == 0;
}

static bool
start(house_t *self)
{
    listeners_t listeners = { 0 };
    self->resources = (route_resources_t){ .engines = { [ENGINE_ZMQ] = &engine_zmq },
                                         .ctx = self->ctx, .watch = self->watch, .epoch = 1,
                                         .admission = guard_admission(self->guard) };
    const route_conf_t *conf = self->conf->routes[0];
    if (!load(self) || listeners_bind(&listeners, conf, &self->resources, self->diag) == -1)
        return false;
    self->route = route_open(conf, &listeners, &self->resources, &self->counters, self->diag);
    listeners_close(&listeners, false);
    diag_print(self->diag, stdout);
    return self->route && route_run(self->route, -1) == 0;
}

static void
close_house(house_t *self)
{
    if (self->route) {
        route_finish(self->route, 0, true);
        route_close(&self->route, NULL);
    }
    guard_destroy(&self->guard);
    watch_destroy(&self->watch);
    conf_destroy(&self->conf);
    diag_destroy(&self->diag);
    zmq_ctx_term(self->clients);
    zmq_ctx_term(self->ctx);
}

// --- clients ------------------------------------------------------------------------

typedef struct {
    const cert_t *cert, *server;
    const char *name, *password;
} login_t;

typedef enum { IN, OUT, WAITING } outcome_t;

static void
prepare(void *socket, const login_t *login)
{
    int off = 0;
    zmq_setsockopt(socket, ZMQ_LINGER, &off, sizeof off);
    if (login->cert) {
        zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, login->server->public_key, 32);
        zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, login->cert->public_key, 32);
        zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, login->cert->secret_key, 32);
    }
    if (login->name) {
        zmq_setsockopt(socket, ZMQ_PLAIN_USERNAME, login->name, strlen(login->name));
        zmq_setsockopt(socket, ZMQ_PLAIN_PASSWORD, login->password, strlen(login->password));
    }
}

// The number of the next event; 0: none came in time.
static int
next_event(void *monitor)
{
    zmq_msg_t number, address;
    zmq_msg_init(&number);
    zmq_msg_init(&address);
    int event = 0;
    if (zmq_msg_recv(&number, monitor, 0) >= 6 && zmq_msg_recv(&address, monitor, 0) >= 0) {
        uint16_t id;
        memcpy(&id, zmq_msg_data(&number), sizeof id);
        event = id;
    }
    zmq_msg_close(&number);
    zmq_msg_close(&address);
    return event;
}

static void *
open_monitor(void *clients, void *socket, int timeout_ms)
{
    static int serial;
    char endpoint[64];
    snprintf(endpoint, sizeof endpoint, "inproc://monitor-%d", serial++);
    zmq_socket_monitor(socket, endpoint, ZMQ_EVENT_ALL);
    void *monitor = zmq_socket(clients, ZMQ_PAIR);
    zmq_setsockopt(monitor, ZMQ_RCVTIMEO, &timeout_ms, sizeof timeout_ms);
    zmq_connect(monitor, endpoint);
    return monitor;
}

// Knock once and say what came of it.
static outcome_t
knock(house_t *self, const login_t *login, int timeout_ms)
{
    bool connected;
    void *socket = zmq_socket(self->clients, ZMQ_PUSH);
    prepare(socket, login);
    void *monitor = open_monitor(self->clients, socket, timeout_ms);
    zmq_connect(socket, route_endpoint(self->route, SIDE_FRONTEND, 0, &connected));
    outcome_t outcome = WAITING;
    int event;
    while (outcome == WAITING && (event = next_event(monitor)) != 0) {
        if (event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED)
            outcome = IN;
        // The refusal itself may be overtaken by the end of the connection.
        if (event == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH || event == ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL
            || event == ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL || event == ZMQ_EVENT_DISCONNECTED)
            outcome = OUT;
    }
    zmq_socket_monitor(socket, NULL, 0);
    zmq_close(monitor);
    zmq_close(socket);
    return outcome;
}

// Who may stay is cut with those who may not, and comes again.
static bool
comes_in_again(house_t *self, const login_t *login)
{
    int64_t end = clock_mono_ms() + ENOUGH_MS;
    for (; clock_mono_ms() < end; usleep(10000))
        if (knock(self, login, ENOUGH_MS) == IN)
            return true;
    return false;
}

static uint64_t
wait_for(counter_t *counter, uint64_t least)
{
    for (int64_t end = clock_mono_ms() + ENOUGH_MS; counter_get(counter) < least && clock_mono_ms() < end;)
        usleep(1000);
    return counter_get(counter);
}

// --- tests --------------------------------------------------------------------------

static void
curve_lets_a_known_key_in_and_a_stranger_not(void)
{
    cert_t server = write_cert("server"), alice = write_cert("clients/alice"), eve = write_cert("eve");
    char *lines = xasprintf("security = curve\nserver_cert = %s/server\nclient_certs = %s/clients", folder, folder);
    house_t house = open_house(lines);
    CHECK(start(&house));
    CHECK(knock(&house, &(login_t){ .cert = &alice, .server = &server }, ENOUGH_MS) == IN);
    CHECK(knock(&house, &(login_t){ .cert = &eve, .server = &server }, ENOUGH_MS) == OUT);
    CHECK(knock(&house, &(login_t){ .name = "alice", .password = "x" }, 1000) != IN);
    CHECK(knock(&house, &(login_t){ 0 }, 1000) != IN);
    CHECK(wait_for(&house.counters.sides[SIDE_FRONTEND].auth[AUTH_SUCCESS], 1) == 1);
    CHECK(wait_for(&house.counters.sides[SIDE_FRONTEND].auth[AUTH_FAILURE], 1) >= 1);
    close_house(&house);
    free(lines);
}

static void
a_wrong_server_key_keeps_the_client_out(void)
{
    cert_t server = write_cert("server"), alice = write_cert("clients/alice"), other = write_cert("other");
    (void)server;
    char *lines = xasprintf("security = curve\nserver_cert = %s/server\nclient_certs = %s/clients", folder, folder);
    house_t house = open_house(lines);
    CHECK(start(&house));
    CHECK(knock(&house, &(login_t){ .cert = &alice, .server = &other }, 500) != IN);
    close_house(&house);
    free(lines);
}

static void
any_lets_every_key_in(void)
{
    cert_t server = write_cert("server"), eve = write_cert("eve");
    char *lines = xasprintf("security = curve\nserver_cert = %s/server\nclient_certs = any", folder);
    house_t house = open_house(lines);
    CHECK(start(&house));
    CHECK(knock(&house, &(login_t){ .cert = &eve, .server = &server }, ENOUGH_MS) == IN);
    close_house(&house);
    free(lines);
}

static void
a_load_changes_who_comes_in(void)
{
    cert_t server = write_cert("server"), alice = write_cert("clients/alice");
    char *lines = xasprintf("security = curve\nserver_cert = %s/server\nclient_certs = %s/clients", folder, folder);
    house_t house = open_house(lines);
    CHECK(start(&house));
    cert_t bob = write_cert("clients/bob");
    CHECK(knock(&house, &(login_t){ .cert = &bob, .server = &server }, ENOUGH_MS) == OUT);
    CHECK(load(&house));
    CHECK(knock(&house, &(login_t){ .cert = &bob, .server = &server }, ENOUGH_MS) == IN);
    remove_file("clients/bob");
    CHECK(load(&house));
    CHECK(knock(&house, &(login_t){ .cert = &bob, .server = &server }, ENOUGH_MS) == OUT);
    CHECK(comes_in_again(&house, &(login_t){ .cert = &alice, .server = &server }));
    CHECK(knock(&house, &(login_t){ .cert = &bob, .server = &server }, ENOUGH_MS) == OUT);
    close_house(&house);
    free(lines);
}

static void
a_removed_key_is_cut(void)
{
    cert_t server = write_cert("server"), bob = write_cert("clients/bob"), alice = write_cert("clients/alice");
    char *lines = xasprintf("security = curve\nserver_cert = %s/server\nclient_certs = %s/clients", folder, folder);
    house_t house = open_house(lines);
    bool connected;
    CHECK(start(&house));
    CHECK(knock(&house, &(login_t){ .cert = &alice, .server = &server }, ENOUGH_MS) == IN);
    void *socket = zmq_socket(house.clients, ZMQ_PUSH);
    prepare(socket, &(login_t){ .cert = &bob, .server = &server });
    void *monitor = open_monitor(house.clients, socket, ENOUGH_MS);
    zmq_connect(socket, route_endpoint(house.route, SIDE_FRONTEND, 0, &connected));
    int event;
    while ((event = next_event(monitor)) != 0 && event != ZMQ_EVENT_HANDSHAKE_SUCCEEDED)
        continue;
    CHECK(event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED);
    remove_file("clients/bob");
    int64_t before = clock_mono_ms();
    CHECK(load(&house));
    while ((event = next_event(monitor)) != 0 && event != ZMQ_EVENT_DISCONNECTED)
        continue;
    CHECK(event == ZMQ_EVENT_DISCONNECTED);
    printf("# cut after %lld ms\n", (long long)(clock_mono_ms() - before));
    zmq_socket_monitor(socket, NULL, 0);
    zmq_close(monitor);
    zmq_close(socket);
    close_house(&house);
    free(lines);
}

static void
a_damaged_certificate_leaves_the_others(void)
{
    cert_t server = write_cert("server"), alice = write_cert("clients/alice");
    free(write_file(folder, "clients/broken", 0644, "curve\n    public-key = \"tooshort\"\n"));
    char *lines = xasprintf("security = curve\nserver_cert = %s/server\nclient_certs = %s/clients", folder, folder);
    house_t house = open_house(lines);
    CHECK(start(&house));
    CHECK(knock(&house, &(login_t){ .cert = &alice, .server = &server }, ENOUGH_MS) == IN);
    CHECK(guard_check(NULL, house.conf, NULL, house.diag) == 0);
    CHECK(diag_warnings(house.diag) == 1);
    remove_file("clients/broken");
    close_house(&house);
    free(lines);
}

static void
plain_checks_the_password(void)
{
    write_users((const char *const[][2]) {{"alice", "wonderland"}, {"bob", "builder"}, {NULL, NULL}});
    char *lines = xasprintf("security = plain\nusers = %s/users", folder);
    house_t house = open_house(lines);
    CHECK(start(&house));
    CHECK(knock(&house, &(login_t){ .name = "alice", .password = "wonderland" }, ENOUGH_MS) == IN);
    CHECK(knock(&house, &(login_t){ .name = "alice", .password = "builder" }, ENOUGH_MS) == OUT);
    CHECK(knock(&house, &(login_t){ .name = "nobody", .password = "builder" }, ENOUGH_MS) == OUT);
    CHECK(knock(&house, &(login_t){ 0 }, 1000) != IN);
    CHECK(knock(&house, &(login_t){ .name = "bob", .password = "builder" }, ENOUGH_MS) == IN);
    // What was right once is remembered, until the file says otherwise.
    CHECK(knock(&house, &(login_t){ .name = "bob", .password = "builder" }, ENOUGH_MS) == IN);
    write_users((const char *const[][2]) {{"alice", "wonderland"}, {"bob", "changed"}, {NULL, NULL}});
    CHECK(load(&house));
    CHECK(knock(&house, &(login_t){ .name = "bob", .password = "builder" }, ENOUGH_MS) == OUT);
    CHECK(comes_in_again(&house, &(login_t){ .name = "bob", .password = "changed" }));
    close_house(&house);
    free(lines);
}

static void
addresses_are_denied_first(void)
{
    house_t house = open_house("security = none\nallow = 127.0.0.0/8\ndeny = 127.0.0.1");
    CHECK(start(&house));
    CHECK(knock(&house, &(login_t){ 0 }, ENOUGH_MS) == OUT);
    CHECK(wait_for(&house.counters.sides[SIDE_FRONTEND].auth[AUTH_FAILURE], 1) == 1);
    close_house(&house);
    house = open_house("security = none\nallow = 127.0.0.0/8\ndeny = 10.0.0.0/8");
    CHECK(start(&house));
    CHECK(knock(&house, &(login_t){ 0 }, ENOUGH_MS) == IN);
    close_house(&house);
    house = open_house("security = none\nallow = 192.0.2.0/24");
    CHECK(start(&house));
    CHECK(knock(&house, &(login_t){ 0 }, ENOUGH_MS) == OUT);
    close_house(&house);
}

static policy_entry_t
make_entry(const char *allow, const char *deny)
{
    policy_entry_t entry = { 0 };
    char reason[200];
    size_t offset;
    CHECK(!allow || cidr_parse(&entry.allow, allow, reason, sizeof reason, &offset) == 0);
    CHECK(!deny || cidr_parse(&entry.deny, deny, reason, sizeof reason, &offset) == 0);
    return entry;
}

static void
what_has_no_address_comes_only_where_none_is_asked_for(void)
{
    static const struct {
        const char *allow, *deny;
        bool nothing, address; // is let in: a peer without an address, one from 192.0.2.7
    } cases[] = {
        { NULL, NULL, true, true },
        { "192.0.2.0/24", NULL, false, true },
        { NULL, "192.0.2.0/24", false, false },
        { NULL, "10.0.0.0/8", false, true },
    };
    static const char *const none[] = { "", "unknown", "localhost", "?", "192.0.2" };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        policy_entry_t entry = make_entry(cases[i].allow, cases[i].deny);
        for (size_t j = 0; j < sizeof none / sizeof *none; j++)
            CHECK(entry_admits(&entry, none[j]) == cases[i].nothing);
        CHECK(entry_admits(&entry, "192.0.2.7") == cases[i].address);
        CHECK(entry_admits(&entry, NULL)); // over ipc
        cidr_free(&entry.allow);
        cidr_free(&entry.deny);
    }
}

static void
only_transports_without_addresses_have_peers_without_one(void)
{
    static const sa_family_t without[] = { AF_UNIX, AF_TIPC }, no_transport[] = { AF_UNSPEC, AF_NETLINK };
    for (size_t i = 0; i < COUNT(without); i++) {
        CHECK(entrance_admits(0, &(struct sockaddr_storage){ .ss_family = without[i] }));
        CHECK(!entrance_admits(0, &(struct sockaddr_storage){ .ss_family = no_transport[i] }));
    }
    CHECK(entrance_admits(0, &(struct sockaddr_storage){ .ss_family = AF_INET })); // no side is known there
}

static void
without_a_handler_nobody_comes_in(void)
{
    cert_t server = write_cert("server"), alice = write_cert("clients/alice");
    char *lines = xasprintf("security = curve\nserver_cert = %s/server\nclient_certs = %s/clients", folder, folder);
    house_t house = open_house(lines);
    CHECK(start(&house));
    CHECK(knock(&house, &(login_t){ .cert = &alice, .server = &server }, ENOUGH_MS) == IN);
    guard_destroy(&house.guard);
    CHECK(knock(&house, &(login_t){ .cert = &alice, .server = &server }, 1000) != IN);
    house.guard = guard_new(house.ctx, house.watch);
    house.resources.admission = guard_admission(house.guard);
    CHECK(load(&house));
    CHECK(knock(&house, &(login_t){ .cert = &alice, .server = &server }, ENOUGH_MS) == IN);
    close_house(&house);
    free(lines);
}

static void
without_a_handler_null_stays_out_too(void)
{
    house_t house = open_house("security = none\ndeny = 192.0.2.0/24");
    CHECK(start(&house));
    CHECK(knock(&house, &(login_t){ 0 }, ENOUGH_MS) == IN);
    guard_destroy(&house.guard);
    CHECK(knock(&house, &(login_t){ 0 }, 1000) != IN);
    house.guard = guard_new(house.ctx, house.watch);
    house.resources.admission = guard_admission(house.guard);
    close_house(&house);
}

static void
where_everybody_may_come_in_nobody_is_asked(void)
{
    house_t house = open_house("security = none");
    side_counters_t *counters = &house.counters.sides[SIDE_FRONTEND];
    CHECK(start(&house));
    CHECK(knock(&house, &(login_t){ 0 }, ENOUGH_MS) == IN);
    CHECK(wait_for(&counters->auth[AUTH_SUCCESS], 1) == 1);
    // An endpoint that is there can't be bound; one that is not can.
    void *other = zmq_socket(house.ctx, ZMQ_ROUTER);
    CHECK(zmq_bind(other, ZAP_ENDPOINT) == 0);
    CHECK(zmq_unbind(other, ZAP_ENDPOINT) == 0);
    zmq_close(other);
    close_house(&house);
}

static void
an_open_side_that_is_closed_asks_from_then_on(void)
{
    house_t house = open_house("security = none");
    side_counters_t *counters = &house.counters.sides[SIDE_FRONTEND];
    bool connected;
    CHECK(start(&house));
    void *socket = zmq_socket(house.clients, ZMQ_PUSH);
    prepare(socket, &(login_t){ 0 });
    void *monitor = open_monitor(house.clients, socket, ENOUGH_MS);
    zmq_connect(socket, route_endpoint(house.route, SIDE_FRONTEND, 0, &connected));
    CHECK(wait_for(&counters->auth[AUTH_SUCCESS], 1) == 1);
    guard_route_t route = { house.conf->routes[0], &house.counters };
    conf_t *closed = read_conf("security = none\ndeny = 127.0.0.0/8", house.diag), *open = house.conf;
    route.conf = closed->routes[0];
    CHECK(guard_load(house.guard, &route, 1, house.diag) == 0);
    int event;
    while ((event = next_event(monitor)) != 0 && event != ZMQ_EVENT_DISCONNECTED)
        continue;
    CHECK(event == ZMQ_EVENT_DISCONNECTED);
    zmq_socket_monitor(socket, NULL, 0);
    zmq_close(monitor);
    zmq_close(socket);
    CHECK(knock(&house, &(login_t){ 0 }, ENOUGH_MS) == OUT);
    CHECK(wait_for(&counters->auth[AUTH_FAILURE], 1) >= 1);
    CHECK(counter_get(&counters->auth[AUTH_SUCCESS]) == 1);
    // And goes on to ask, when all may come in again: none counts twice.
    route.conf = open->routes[0];
    CHECK(guard_load(house.guard, &route, 1, house.diag) == 0);
    CHECK(knock(&house, &(login_t){ 0 }, ENOUGH_MS) == IN);
    CHECK(wait_for(&counters->auth[AUTH_SUCCESS], 2) == 2);
    conf_destroy(&closed);
    close_house(&house);
}

static void
the_handlers_endpoint_is_nobody_elses(void)
{
    house_t house = open_house("frontend_bind = inproc://zeromq.zap.01");
    CHECK(!load(&house));
    close_house(&house);
}

static void
a_secret_that_others_may_read_is_refused(void)
{
    write_cert("server");
    write_cert("clients/alice");
    char *lines = xasprintf("security = curve\nserver_cert = %s/server\nclient_certs = %s/clients", folder, folder);
    char *secret = xasprintf("%s/server_secret", folder);
    chmod(secret, 0640);
    house_t house = open_house(lines);
    CHECK(!load(&house));
    CHECK(diag_errors(house.diag) == 1); // both sides name it, it is said once
    diag_level_t level;
    CHECK(strstr(diag_text(house.diag, 0, &level), "server_secret") != NULL);
    close_house(&house);
    free(secret);
    free(lines);
}

// --- the words ----------------------------------------------------------------------

// Talk to the handler as libzmq does. The status, 0: no answer; only then is there nothing to wait for.
static int
ask(void *ctx, const char *const *texts, const size_t *sizes, size_t count, bool answered)
{
    int timeout = answered ? ENOUGH_MS : 300, status = 0, off = 0;
    void *socket = zmq_socket(ctx, ZMQ_DEALER);
    zmq_setsockopt(socket, ZMQ_RCVTIMEO, &timeout, sizeof timeout);
    zmq_setsockopt(socket, ZMQ_LINGER, &off, sizeof off);
    zmq_connect(socket, ZAP_ENDPOINT);
    for (size_t i = 0; i < count; i++)
        zmq_send(socket, texts[i], sizes ? sizes[i] : strlen(texts[i]), i + 1 < count ? ZMQ_SNDMORE : 0);
    char frame[300];
    for (int i = 0; zmq_recv(socket, frame, sizeof frame, 0) != -1; i++) {
        if (i == 3)
            status = (frame[0] - '0') * 100;
        int more = 0;
        size_t size = sizeof more;
        zmq_getsockopt(socket, ZMQ_RCVMORE, &more, &size);
        if (!more)
            break;
    }
    zmq_close(socket);
    return status;
}

static void
malformed_requests_are_refused_or_ignored(void)
{
    house_t house = open_house("security = none\ndeny = 192.0.2.0/24");
    CHECK(load(&house));
    static const struct {
        const char *frames[24];
        size_t count;
        int status;
    } cases[] = {
        {{"", "1.0", "1", "r.frontend", "127.0.0.1", "", "NULL"}, 7, 200},
        {{"", "1.0", "1", "r.nowhere", "127.0.0.1", "", "NULL"}, 7, 300},
        {{"", "1.0", "1", "", "127.0.0.1", "", "NULL"}, 7, 300},
        {{"", "2.0", "1", "r.frontend", "127.0.0.1", "", "NULL"}, 7, 400},
        {{"", "1.0", "1", "r.frontend", "127.0.0.1", "", "NULL", "extra"}, 8, 400},
        {{"", "1.0", "1", "r.frontend", "127.0.0.1", "", "PLAIN", "name"}, 8, 400},
        {{"", "1.0", "1", "r.frontend", "127.0.0.1", "", "PLAIN", "name", "password"}, 9, 400},
        {{"", "1.0", "1", "r.frontend", "127.0.0.1", "", "CURVE", "short"}, 8, 400},
        {{"", "1.0", "1", "r.frontend", "127.0.0.1", "", "MAGIC"}, 7, 400},
        {{"", "1.0", "1", "r.frontend"}, 4, 400},
        {{"", "1.0"}, 2, 0},
        {{""}, 1, 0},
        {{"no delimiter", "1.0", "1", "r.frontend", "127.0.0.1", "", "NULL"}, 7, 0},
        {{"", "1.0", "1", "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r", "s"}, 22, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int status = ask(house.ctx, cases[i].frames, NULL, cases[i].count, cases[i].status != 0);
        if (status != cases[i].status)
            printf("# case %zu: status %d\n", i, status);
        CHECK(status == cases[i].status);
    }
    size_t sizes[] = {0, 3, 1, 10, 10, 0, 4};
    CHECK(ask(house.ctx, (const char *const[]){"", "1.0", "1", "r.frontend", "127.0\0.0.1", "", "NULL"}, sizes, 7, true) == 400);
    close_house(&house);
}

// --- many certificates ----------------------------------------------------------------

// As a file of the folder "many".
static void
write_public(int i, const uint8_t key[32])
{
    char name[32], text[200], z85[41];
    zmq_z85_encode(z85, key, 32);
    snprintf(name, sizeof name, "many/%d", i);
    snprintf(text, sizeof text, "metadata\n    name = \"c%d\"\ncurve\n    public-key = \"%s\"\n", i, z85);
    free(write_file(folder, name, 0644, text));
}

static int
by_size(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return left < right ? -1 : left > right;
}

// Ask the running handler as a session of libzmq does; the status, 0: no answer. TOOK in nanoseconds.
static int
ask_key(void *dealer, const uint8_t key[32], int64_t *took)
{
    static const char *const before[] = {"", "1.0", "1", "r.frontend", "192.0.2.1", "", "CURVE"};
    char frame[300];
    int status = 0, more = 1;
    size_t size = sizeof more;
    int64_t start = clock_mono_ns();
    for (size_t i = 0; i < sizeof before / sizeof *before; i++)
        zmq_send(dealer, before[i], strlen(before[i]), ZMQ_SNDMORE);
    zmq_send(dealer, key, 32, 0);
    for (int i = 0; more && zmq_recv(dealer, frame, sizeof frame, 0) != -1; i++) {
        if (i == 3)
            status = (frame[0] - '0') * 100;
        zmq_getsockopt(dealer, ZMQ_RCVMORE, &more, &size);
    }
    *took = clock_mono_ns() - start;
    return status;
}

static bool
timed_load(house_t *house, const char *what)
{
    int64_t before = clock_mono_ns();
    bool loaded = load(house);
    printf("# %s: %.1f ms\n", what, (double)(clock_mono_ns() - before) / 1e6);
    return loaded;
}

// ZB_CERTIFICATES is how many; the figures are printed, not judged: the machine may be busy.
static void
many_certificates_are_asked_and_reloaded_quickly(void)
{
    enum { ASKED = 20000 };
    static int64_t took[ASKED];
    const char *wanted = getenv("ZB_CERTIFICATES");
    int count = wanted && atoi(wanted) > 10 ? atoi(wanted) : 20000;
    uint8_t (*keys)[32] = xcalloc((size_t)count, sizeof *keys), other[32];
    randombytes_buf(keys, (size_t)count * sizeof *keys);
    randombytes_buf(other, sizeof other);
    write_cert("server");
    char *many = xasprintf("%s/many", folder);
    mkdir(many, 0755);
    for (int i = 0; i < count; i++)
        write_public(i, keys[i]);
    char *lines = xasprintf("security = curve\nserver_cert = %s/server\nclient_certs = %s", folder, many);
    house_t house = open_house(lines);
    printf("# %d certificates\n", count);
    CHECK(timed_load(&house, "the first load"));

    int timeout = ENOUGH_MS, off = 0;
    void *dealer = zmq_socket(house.ctx, ZMQ_DEALER);
    zmq_setsockopt(dealer, ZMQ_RCVTIMEO, &timeout, sizeof timeout);
    zmq_setsockopt(dealer, ZMQ_LINGER, &off, sizeof off);
    zmq_connect(dealer, ZAP_ENDPOINT);
    bool right = true;
    for (int i = 0; i < ASKED; i++)
        right &= ask_key(dealer, i % 10 ? keys[i * 7 % count] : other, &took[i]) == (i % 10 ? 200 : 400);
    CHECK(right);
    qsort(took, ASKED, sizeof *took, by_size);
    printf("# %d answers through the handler's thread: p50 %lld us, p99 %lld us, max %lld us\n", ASKED,
           (long long)took[ASKED / 2] / 1000, (long long)took[ASKED * 99 / 100] / 1000, (long long)took[ASKED - 1] / 1000);

    // Files that are written now are read now, however many are not.
    CHECK(timed_load(&house, "a load after no change"));
    write_public(5, other);
    char *gone = xasprintf("many/%d", 6);
    remove_file(gone);
    CHECK(timed_load(&house, "a load after one was changed and one removed"));
    CHECK(ask_key(dealer, other, took) == 200);
    CHECK(ask_key(dealer, keys[5], took) == 400);
    CHECK(ask_key(dealer, keys[6], took) == 400);
    CHECK(ask_key(dealer, keys[7], took) == 200);
    // The same size, within the same tick of the clock.
    write_public(5, keys[5]);
    CHECK(load(&house));
    CHECK(ask_key(dealer, other, took) == 400);
    CHECK(ask_key(dealer, keys[5], took) == 200);
    zmq_close(dealer);
    close_house(&house);
    free(gone);
    free(keys);
    free(lines);
    free(many);
}

int
main(void)
{
    if (!mkdtemp(folder))
        return EXIT_FAILURE;
    char *clients = xasprintf("%s/clients", folder);
    mkdir(clients, 0755);
    free(clients);
    RUN(curve_lets_a_known_key_in_and_a_stranger_not);
    RUN(a_wrong_server_key_keeps_the_client_out);
    RUN(any_lets_every_key_in);
    RUN(a_load_changes_who_comes_in);
    RUN(a_removed_key_is_cut);
    RUN(a_damaged_certificate_leaves_the_others);
    RUN(plain_checks_the_password);
    RUN(addresses_are_denied_first);
    RUN(what_has_no_address_comes_only_where_none_is_asked_for);
    RUN(only_transports_without_addresses_have_peers_without_one);
    RUN(without_a_handler_nobody_comes_in);
    RUN(without_a_handler_null_stays_out_too);
    RUN(where_everybody_may_come_in_nobody_is_asked);
    RUN(an_open_side_that_is_closed_asks_from_then_on);
    RUN(the_handlers_endpoint_is_nobody_elses);
    RUN(a_secret_that_others_may_read_is_refused);
    RUN(malformed_requests_are_refused_or_ignored);
    RUN(many_certificates_are_asked_and_reloaded_quickly);
    char *command = xasprintf("rm -rf '%s'", folder);
    int rc = system(command);
    free(command);
    return rc == 0 ? test_done() : EXIT_FAILURE;
}
