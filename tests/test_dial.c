// SPDX-License-Identifier: MPL-2.0
// Connecting: dial, resolver, tcp and address, against listeners on this host.
#include "base/bell.h"
#include "base/mem.h"
#include "conf/load.h"
#include "net/dial.h"
#include "net/unread.h"

#include "test.h"

#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <unistd.h>

// --- names --------------------------------------------------------------------------

// A name server that does what the test wants: NAME.test. All others are the system's.
static atomic_int slow_questions;
static sem_t slow_answers;

static int
answer(const char *first, const char *second, const struct addrinfo *hints, struct addrinfo **found,
       int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **))
{
    int rc = real(first, NULL, hints, found);
    if (rc == 0 && second) {
        struct addrinfo **last = found;
        while (*last)
            last = &(*last)->ai_next;
        rc = real(second, NULL, hints, last);
    }
    return rc;
}

int
getaddrinfo(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **found)
{
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
    if (hints->ai_flags & AI_NUMERICHOST) // is not asked of a server
        return real(host, service, hints, found);
    if (strcmp(host, "none.test") == 0)
        return EAI_NONAME;
    if (strcmp(host, "two.test") == 0)
        return answer("127.0.0.2", "127.0.0.1", hints, found, real);
    if (strcmp(host, "slow.test") == 0) {
        slow_questions++;
        while (sem_wait(&slow_answers) == -1)
            continue;
        return answer("127.0.0.1", NULL, hints, found, real);
    }
    return real(host, service, hints, found);
}

// --- what the tests are made of -------------------------------------------------------

typedef struct {
    resolver_t *resolver;
    int bell;
    dial_t *dial;
    int64_t now_ms;
} world_t;

static world_t
world_with(const char *text, const dial_options_t *options)
{
    char reason[200];
    size_t offset;
    endpoint_t endpoint;
    world_t self = { .resolver = resolver_new(), .bell = bell_new(), .now_ms = 1000000 };
    if (endpoint_parse(text, true, &endpoint, reason, sizeof reason, &offset) == -1)
        printf("# %s: %s\n", text, reason);
    self.dial = dial_new(&endpoint, options, self.resolver, self.bell);
    return self;
}

static dial_options_t
plain_options(void)
{
    dial_options_t options = { .reconnect_ms = 100 };
    side_conf_t side = { .type = 0 };
    tcp_options(&options.tcp, &side);
    return options;
}

static world_t
world(const char *text)
{
    dial_options_t options = plain_options();
    return world_with(text, &options);
}

static void
end(world_t *self)
{
    dial_free(&self->dial);
    resolver_free(&self->resolver);
    close(self->bell);
}

static const char *
reason_of(const world_t *self)
{
    int64_t since;
    return dial_reason(self->dial, &since);
}

static bool
hear(int fd, short events)
{
    struct pollfd item = { .fd = fd, .events = events };
    return poll(&item, 1, ENOUGH_MS) == 1;
}

// Until there is a descriptor, or nothing to wait for but time: FD is what dial_start or dial_tick returned.
static int
go_on(world_t *self, int fd)
{
    while (fd == -1) {
        if (dial_fd(self->dial) != -1) {
            CHECK(dial_events(self->dial) == EPOLLOUT);
            if (!hear(dial_fd(self->dial), POLLOUT))
                break;
            fd = dial_on_ready(self->dial, self->now_ms);
        } else if (hear(self->bell, POLLIN)) {
            bell_hear(self->bell);
            fd = dial_tick(self->dial, self->now_ms);
        }
        if (fd == -1 && dial_fd(self->dial) == -1)
            break;
    }
    return fd;
}

// Only what needs no name.
static int
attempt(world_t *self)
{
    int fd = dial_start(self->dial, self->now_ms);
    return fd == -1 && dial_fd(self->dial) == -1 ? -1 : go_on(self, fd);
}

static int
wait_for_turn(world_t *self)
{
    self->now_ms = dial_next_ms(self->dial);
    int fd = dial_tick(self->dial, self->now_ms);
    return fd == -1 && dial_fd(self->dial) == -1 ? -1 : go_on(self, fd);
}

static int
listen_at(const char *host, int *port)
{
    address_t address;
    address_numeric(&address, host, *port);
    int fd = socket(address.at.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int));
    if (bind(fd, (struct sockaddr *)&address.at, address.length) == -1 || listen(fd, 5) == -1)
        printf("# listen: %s\n", strerror(errno));
    getsockname(fd, (struct sockaddr *)&address.at, &address.length);
    *port = ntohs(((struct sockaddr_in *)&address.at)->sin_port);
    return fd;
}

static const char *
tcp_at(const char *host, int port)
{
    static char text[100];
    snprintf(text, sizeof text, "tcp://%s:%d", host, port);
    return text;
}

// A port at which nobody listens, and nobody else will: it is bound.
static int
closed_port(int *port)
{
    address_t address;
    address_numeric(&address, "127.0.0.1", 0);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(fd, (struct sockaddr *)&address.at, address.length) == -1)
        printf("# bind: %s\n", strerror(errno));
    getsockname(fd, (struct sockaddr *)&address.at, &address.length);
    *port = ntohs(((struct sockaddr_in *)&address.at)->sin_port);
    return fd;
}

static int
int_option(int fd, int level, int name)
{
    int value = -1;
    socklen_t size = sizeof value;
    getsockopt(fd, level, name, &value, &size);
    return value;
}

// --- connecting -----------------------------------------------------------------------

static void
a_listener_is_reached(void)
{
    int port = 0, listener = listen_at("127.0.0.1", &port);
    world_t here = world(tcp_at("127.0.0.1", port));
    CHECK(dial_next_ms(here.dial) == INT64_MAX && dial_fd(here.dial) == -1);
    int fd = attempt(&here);
    CHECK(fd != -1 && hear(listener, POLLIN));
    CHECK(int_option(fd, IPPROTO_TCP, TCP_NODELAY) == 1);
    CHECK(dial_fd(here.dial) == -1 && dial_next_ms(here.dial) == INT64_MAX);
    CHECK(dial_on_ready(here.dial, 0) == -1 && dial_tick(here.dial, INT64_MAX) == -1 && dial_start(here.dial, 0) == -1);
    CHECK_TEXT(reason_of(&here), "");
    dial_settled(here.dial);
    CHECK(reason_of(&here) == NULL);
    CHECK(dial_start(here.dial, 0) == -1);
    close(fd);
    close(listener);
    end(&here);
}

static void
a_listener_that_comes_late_is_reached(void)
{
    int port = 0, listener = closed_port(&port);
    int64_t since;
    world_t here = world(tcp_at("127.0.0.1", port));
    CHECK(attempt(&here) == -1);
    CHECK_TEXT(dial_reason(here.dial, &since), "connection refused");
    CHECK(since == here.now_ms);
    CHECK(dial_tick(here.dial, dial_next_ms(here.dial) - 1) == -1 && dial_fd(here.dial) == -1);
    CHECK(wait_for_turn(&here) == -1);
    CHECK_TEXT(dial_reason(here.dial, &since), "connection refused");
    CHECK(since == 1000000);
    listen(listener, 5);
    int fd = wait_for_turn(&here);
    CHECK(fd != -1 && hear(listener, POLLIN));
    close(fd);
    close(listener);
    end(&here);
}

static void
unix_sockets_are_reached_by_path_and_by_name(void)
{
    char folder[] = "/tmp/test_dial-XXXXXX", path[100], endpoint[120];
    CHECK(mkdtemp(folder) != NULL);
    snprintf(path, sizeof path, "%s/socket", folder);
    for (int abstract = 0; abstract < 2; abstract++) {
        snprintf(endpoint, sizeof endpoint, "ipc://%s%s", abstract ? "@" : "", path);
        world_t here = world(endpoint);
        CHECK(attempt(&here) == -1);
        CHECK_TEXT(reason_of(&here), abstract ? "connection refused" : "no such file or directory");
        address_t address;
        CHECK(address_unix(&address, endpoint + strlen("ipc://")));
        int listener = socket(AF_UNIX, SOCK_STREAM, 0);
        CHECK(bind(listener, (struct sockaddr *)&address.at, address.length) == 0 && listen(listener, 5) == 0);
        int fd = wait_for_turn(&here);
        CHECK(fd != -1 && hear(listener, POLLIN));
        close(fd);
        close(listener);
        end(&here);
    }
    unlink(path);
    rmdir(folder);
}

static void
a_unix_socket_whose_queue_is_full_is_tried_again(void)
{
    address_t address;
    char endpoint[100];
    snprintf(endpoint, sizeof endpoint, "ipc://@test_dial-%d", (int)getpid());
    address_unix(&address, endpoint + strlen("ipc://"));
    int listener = socket(AF_UNIX, SOCK_STREAM, 0), fds[8];
    CHECK(bind(listener, (struct sockaddr *)&address.at, address.length) == 0 && listen(listener, 0) == 0);
    world_t here = world(endpoint);
    size_t count = 0;
    while (count < COUNT(fds)) {
        fds[count] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
        if (connect(fds[count++], (struct sockaddr *)&address.at, address.length) == -1)
            break;
    }
    CHECK(attempt(&here) == -1);
    CHECK_TEXT(reason_of(&here), "the listener's queue is full");
    close(accept(listener, NULL, NULL));
    int fd = wait_for_turn(&here);
    CHECK(fd != -1);
    close(fd);
    while (count > 0)
        close(fds[--count]);
    close(listener);
    end(&here);
}

static void
the_source_address_is_the_one_that_was_asked_for(void)
{
    int port = 0, listener = listen_at("127.0.0.1", &port);
    char text[100], host[INET6_ADDRSTRLEN];
    snprintf(text, sizeof text, "tcp://127.0.0.3:*;127.0.0.1:%d", port);
    world_t here = world(text);
    int fd = attempt(&here);
    address_t peer = { .length = sizeof peer.at };
    int accepted = accept(listener, (struct sockaddr *)&peer.at, &peer.length);
    address_host(&peer, host, sizeof host);
    CHECK(fd != -1);
    CHECK_TEXT(host, "127.0.0.3");
    close(accepted);
    close(fd);
    end(&here);
    here = world("tcp://nosuchif0:*;127.0.0.1:5555");
    CHECK(attempt(&here) == -1);
    CHECK_TEXT(reason_of(&here), "source address nosuchif0:0: cannot assign requested address");
    end(&here);
    close(listener);
}

static void
a_device_that_is_not_there_is_named(void)
{
    dial_options_t options = plain_options();
    snprintf(options.tcp.device, sizeof options.tcp.device, "nosuchif0");
    world_t here = world_with("tcp://127.0.0.1:5555", &options);
    CHECK(attempt(&here) == -1);
    CHECK(strncmp(reason_of(&here), "device nosuchif0: ", 18) == 0);
    end(&here);
}

// Nobody accepts, and the queue is full: what more comes gets no answer.
static void
a_connect_that_takes_too_long_is_given_up(void)
{
    enum { FILLERS = 4 };
    int port = 0, listener = listen_at("127.0.0.1", &port), fillers[FILLERS];
    listen(listener, 0);
    address_t address;
    address_numeric(&address, "127.0.0.1", port);
    for (size_t i = 0; i < FILLERS; i++) {
        fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        connect(fillers[i], (struct sockaddr *)&address.at, address.length);
    }
    dial_options_t options = plain_options();
    options.timeout_ms = 5000;
    world_t here = world_with(tcp_at("127.0.0.1", port), &options);
    CHECK(dial_start(here.dial, here.now_ms) == -1 && dial_fd(here.dial) != -1);
    CHECK(dial_next_ms(here.dial) == here.now_ms + 5000);
    CHECK(dial_on_ready(here.dial, here.now_ms) == -1 && dial_fd(here.dial) != -1); // called for nothing
    CHECK(dial_tick(here.dial, here.now_ms + 4999) == -1 && dial_fd(here.dial) != -1);
    CHECK(dial_tick(here.dial, here.now_ms + 5000) == -1 && dial_fd(here.dial) == -1);
    CHECK_TEXT(reason_of(&here), "timed out");
    end(&here);
    for (size_t i = 0; i < FILLERS; i++)
        close(fillers[i]);
    close(listener);
}

// --- names ----------------------------------------------------------------------------

// A folder that debootstrap has made has no /etc/hosts.
static bool
localhost_is_known(void)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_family = AF_INET }, *found = NULL;
    bool known = getaddrinfo("localhost", NULL, &hints, &found) == 0;
    if (known)
        freeaddrinfo(found);
    return known;
}

static void
a_name_of_this_host_is_resolved(void)
{
    if (!localhost_is_known()) {
        printf("# localhost has no address here\n");
        return;
    }
    int port = 0, listener = listen_at("127.0.0.1", &port);
    world_t here = world(tcp_at("localhost", port));
    int fd = go_on(&here, dial_start(here.dial, here.now_ms));
    CHECK(fd != -1 && hear(listener, POLLIN));
    close(fd);
    close(listener);
    end(&here);
}

static void
a_name_that_is_none_is_said_and_tried_again(void)
{
    world_t here = world("tcp://none.test:5555");
    CHECK(go_on(&here, dial_start(here.dial, here.now_ms)) == -1);
    CHECK_TEXT(reason_of(&here), "name does not resolve: name or service not known");
    here.now_ms = dial_next_ms(here.dial);
    CHECK(dial_tick(here.dial, here.now_ms) == -1);
    CHECK(hear(here.bell, POLLIN));
    end(&here);
}

static void
all_addresses_of_a_name_are_tried(void)
{
    int port = 0, listener = listen_at("127.0.0.1", &port);
    world_t here = world(tcp_at("two.test", port));
    int fd = go_on(&here, dial_start(here.dial, here.now_ms));
    CHECK(fd != -1 && hear(listener, POLLIN));
    close(fd);
    close(listener);
    end(&here);
}

static void
a_name_is_asked_for_once_at_a_time(void)
{
    int port = 0, listener = listen_at("127.0.0.1", &port), other_bell = bell_new();
    slow_questions = 0;
    world_t here = world(tcp_at("slow.test", port));
    CHECK(dial_start(here.dial, here.now_ms) == -1);
    lookup_t *other = lookup_new(here.resolver, "slow.test", false, other_bell);
    lookup_t *gone = lookup_new(here.resolver, "slow.test", false, -1);
    address_t *addresses;
    size_t count;
    const char *reason;
    CHECK(!lookup_take(other, &addresses, &count, &reason));
    lookup_drop(&gone);
    sem_post(&slow_answers);
    CHECK(hear(other_bell, POLLIN) && lookup_take(other, &addresses, &count, &reason) && count == 1);
    free(addresses);
    lookup_drop(&other);
    int fd = go_on(&here, -1);
    CHECK(fd != -1 && slow_questions == 1);
    close(fd);
    close(listener);
    close(other_bell);
    end(&here);
}

// The name server has the last word still to say when nobody listens any more.
static void
a_name_server_that_does_not_answer_is_waited_for_no_longer_than_ten_seconds(void)
{
    slow_questions = 0;
    world_t here = world("tcp://slow.test:5555");
    CHECK(dial_start(here.dial, here.now_ms) == -1);
    CHECK(dial_next_ms(here.dial) == here.now_ms + 10000);
    CHECK(dial_tick(here.dial, here.now_ms + 9999) == -1);
    CHECK_TEXT(reason_of(&here), "");
    CHECK(dial_tick(here.dial, here.now_ms + 10000) == -1);
    CHECK_TEXT(reason_of(&here), "name does not resolve: no answer for 10 s");
    here.now_ms = dial_next_ms(here.dial);
    CHECK(dial_tick(here.dial, here.now_ms) == -1); // asks, and hears the answer to the first question
    sem_post(&slow_answers);
    CHECK(hear(here.bell, POLLIN) && slow_questions == 1);
    end(&here);
    here = world("tcp://slow.test:5555");
    CHECK(dial_start(here.dial, here.now_ms) == -1);
    end(&here);
    sem_post(&slow_answers);
}

// --- waiting --------------------------------------------------------------------------

static bool
waits(const world_t *self, int64_t from, int64_t to)
{
    int64_t wait = dial_next_ms(self->dial) - self->now_ms;
    if (wait < from || wait >= to)
        printf("# waits %lld ms, not %lld to %lld\n", (long long)wait, (long long)from, (long long)to);
    return wait >= from && wait < to;
}

static void
waits_double_up_to_the_longest(void)
{
    int port = 0, holder = closed_port(&port);
    dial_options_t options = plain_options();
    options.reconnect_max_ms = 350;
    world_t here = world_with(tcp_at("127.0.0.1", port), &options);
    attempt(&here);
    CHECK(waits(&here, 100, 200));
    wait_for_turn(&here);
    CHECK(waits(&here, 200, 300));
    wait_for_turn(&here);
    CHECK(waits(&here, 350, 450));
    wait_for_turn(&here);
    CHECK(waits(&here, 350, 450));
    end(&here);
    close(holder);
}

static void
without_a_longest_they_stay_as_they_are(void)
{
    int port = 0, holder = closed_port(&port), differ = 0;
    world_t here = world(tcp_at("127.0.0.1", port));
    attempt(&here);
    int64_t first = dial_next_ms(here.dial) - here.now_ms;
    for (int i = 0; i < 20; i++) {
        CHECK(waits(&here, 100, 200));
        wait_for_turn(&here);
        differ += dial_next_ms(here.dial) - here.now_ms != first;
    }
    CHECK(differ > 0);
    end(&here);
    close(holder);
}

static void
a_handshake_that_fails_does_not_make_them_short_again(void)
{
    int port = 0, listener = listen_at("127.0.0.1", &port);
    int64_t since;
    dial_options_t options = plain_options();
    options.reconnect_max_ms = 10000;
    world_t here = world_with(tcp_at("127.0.0.1", port), &options);
    close(attempt(&here));
    dial_failed(here.dial, "authentication failed", here.now_ms);
    CHECK(waits(&here, 100, 200));
    close(wait_for_turn(&here));
    dial_failed(here.dial, "authentication failed", here.now_ms);
    CHECK(waits(&here, 200, 300));
    CHECK_TEXT(dial_reason(here.dial, &since), "authentication failed");
    CHECK(since == 1000000);
    close(wait_for_turn(&here));
    dial_settled(here.dial);
    here.now_ms += 77777;
    dial_lost(here.dial, "the peer closed it", here.now_ms);
    CHECK(waits(&here, 100, 200));
    CHECK_TEXT(dial_reason(here.dial, &since), "the peer closed it");
    CHECK(since == here.now_ms);
    end(&here);
    close(listener);
}

static void
a_password_is_not_sent_twice_in_a_second(void)
{
    int port = 0, listener = listen_at("127.0.0.1", &port);
    dial_options_t options;
    side_conf_t side = { .security.mechanism = SECURITY_PLAIN };
    dial_options(&options, &side);
    world_t here = world_with(tcp_at("127.0.0.1", port), &options);
    close(attempt(&here));
    dial_failed(here.dial, "refused", here.now_ms);
    CHECK(waits(&here, 1000, 1001));
    end(&here);
    close(listener);
}

static void
without_an_interval_there_is_one_attempt(void)
{
    int port = 0, holder = closed_port(&port);
    dial_options_t options = plain_options();
    options.reconnect_ms = -1;
    world_t here = world_with(tcp_at("127.0.0.1", port), &options);
    CHECK(attempt(&here) == -1);
    CHECK_TEXT(reason_of(&here), "connection refused");
    CHECK(dial_next_ms(here.dial) == INT64_MAX && dial_tick(here.dial, INT64_MAX - 1) == -1);
    listen(holder, 5);
    int fd = attempt(&here); // but who asks for one gets one
    CHECK(fd != -1);
    close(fd);
    end(&here);
    close(holder);
}

// --- options --------------------------------------------------------------------------

static const char configuration[] = "[route a]\n"
                                    "type = streamer\n"
                                    "frontend_bind = tcp://127.0.0.1:5555\n"
                                    "backend_connect = tcp://127.0.0.1:5556\n"
                                    "backend_reconnect_ivl = 250ms\n"
                                    "backend_reconnect_ivl_max = 8s\n"
                                    "backend_connect_timeout = 3s\n"
                                    "backend_ipv6 = yes\n"
                                    "backend_tcp_keepalive = yes\n"
                                    "backend_tcp_keepalive_cnt = 3\n"
                                    "backend_tcp_keepalive_idle = 40s\n"
                                    "backend_tcp_keepalive_intvl = 5s\n"
                                    "backend_tcp_maxrt = 7s\n"
                                    "backend_tos = 16\n"
                                    "backend_sndbuf = 40000\n";

static void
options_of_a_side_reach_the_socket(void)
{
    diag_t *diag = diag_new();
    conf_t *conf = conf_load_text("test", configuration, strlen(configuration), diag);
    dial_options_t options;
    diag_print(diag, stdout);
    CHECK(conf != NULL);
    if (conf) {
        dial_options(&options, &conf->routes[0]->sides[SIDE_BACKEND]);
        CHECK(options.reconnect_ms == 250 && options.reconnect_max_ms == 8000 && options.timeout_ms == 3000);
        CHECK(options.ipv6 && options.refused_ms == 0);
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        CHECK(tcp_prepare(fd, &options.tcp) == 0);
        CHECK(int_option(fd, SOL_SOCKET, SO_SNDBUF) == 80000); // the kernel doubles it
        CHECK(int_option(fd, IPPROTO_IP, IP_TOS) == 16);
        CHECK(int_option(fd, SOL_SOCKET, SO_KEEPALIVE) == 0);
        tcp_tune(fd, &options.tcp);
        CHECK(int_option(fd, SOL_SOCKET, SO_KEEPALIVE) == 1 && int_option(fd, IPPROTO_TCP, TCP_KEEPCNT) == 3);
        CHECK(int_option(fd, IPPROTO_TCP, TCP_KEEPIDLE) == 40 && int_option(fd, IPPROTO_TCP, TCP_KEEPINTVL) == 5);
        CHECK(int_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT) == 7000 && int_option(fd, IPPROTO_TCP, TCP_NODELAY) == 1);
        close(fd);
    }
    conf_destroy(&conf);
    diag_destroy(&diag);
}

static void
what_is_not_set_stays_the_systems(void)
{
    side_conf_t side = { .type = 0 };
    tcp_options_t options;
    tcp_options(&options, &side);
    int fd = socket(AF_INET, SOCK_STREAM, 0), sndbuf = int_option(fd, SOL_SOCKET, SO_SNDBUF),
        idle = int_option(fd, IPPROTO_TCP, TCP_KEEPIDLE);
    CHECK(tcp_prepare(fd, &options) == 0);
    tcp_tune(fd, &options);
    CHECK(int_option(fd, SOL_SOCKET, SO_SNDBUF) == sndbuf && int_option(fd, IPPROTO_TCP, TCP_KEEPIDLE) == idle);
    CHECK(int_option(fd, SOL_SOCKET, SO_KEEPALIVE) == 0 && int_option(fd, IPPROTO_IP, IP_TOS) == 0);
    close(fd);
}

// --- addresses ------------------------------------------------------------------------

static void
check_source(const char *text, const char *expected)
{
    address_t address;
    char shown[100] = "none";
    if (address_source(&address, text, true))
        address_peer(&address, -1, shown, sizeof shown);
    CHECK_TEXT(shown, expected);
}

static void
addresses_are_read_and_written(void)
{
    address_t address;
    char text[INET6_ADDRSTRLEN];
    check_source("192.0.2.1:0", "192.0.2.1:0");
    check_source("[2001:db8::1]:77", "[2001:db8::1]:77");
    check_source("lo:5", "127.0.0.1:5");
    check_source("*:5", "[::]:5");
    check_source("nosuchif0:5", "none");
    check_source("192.0.2.1", "none");
    check_source(":5", "none");
    check_source("[]:5", "none");
    check_source("[", "none");
    CHECK(address_numeric(&address, "::ffff:192.0.2.7", 5));
    address_host(&address, text, sizeof text);
    CHECK_TEXT(text, "192.0.2.7"); // as the one who is allowed or denied
    CHECK(!address_numeric(&address, "localhost", 5));
    CHECK(address_unix(&address, "@a") && address.length == sizeof(sa_family_t) + 2);
    address_host(&address, text, sizeof text);
    CHECK_TEXT(text, "");
    char path[200];
    memset(path, 'x', sizeof path);
    path[108] = '\0';
    CHECK(!address_unix(&address, path));
    path[107] = '\0';
    CHECK(address_unix(&address, path));
}

static void
a_peer_over_a_unix_socket_is_named_by_its_process(void)
{
    address_t address;
    char text[100], expected[100];
    int fds[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0 && address_unix(&address, ""));
    snprintf(expected, sizeof expected, "ipc uid %u pid %d", (unsigned)getuid(), (int)getpid());
    address_peer(&address, fds[0], text, sizeof text);
    CHECK_TEXT(text, expected);
    close(fds[0]);
    close(fds[1]);
}

static void
what_the_peer_of_a_unix_socket_has_not_read_is_known_in_bytes(void)
{
    int pair[2];
    char bytes[1000] = "";
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    CHECK(unread_by_peer(pair[0]) == 0);
    CHECK(write(pair[0], bytes, sizeof bytes) == sizeof bytes);
    CHECK(write(pair[0], bytes, 1) == 1);
    CHECK(unread_by_peer(pair[0]) == 1001);
    CHECK(unread_by_peer(pair[1]) == 0);
    CHECK(read(pair[1], bytes, 300) == 300);
    CHECK(unread_by_peer(pair[0]) == 701);
    close(pair[1]);
    CHECK(unread_by_peer(pair[0]) == 0);
    CHECK(unread_by_peer(-1) == 0);
    close(pair[0]);
}

int
main(void)
{
    sem_init(&slow_answers, 0, 0);
    RUN(a_listener_is_reached);
    RUN(a_listener_that_comes_late_is_reached);
    RUN(unix_sockets_are_reached_by_path_and_by_name);
    RUN(a_unix_socket_whose_queue_is_full_is_tried_again);
    RUN(the_source_address_is_the_one_that_was_asked_for);
    RUN(a_device_that_is_not_there_is_named);
    RUN(a_connect_that_takes_too_long_is_given_up);
    RUN(a_name_of_this_host_is_resolved);
    RUN(a_name_that_is_none_is_said_and_tried_again);
    RUN(all_addresses_of_a_name_are_tried);
    RUN(a_name_is_asked_for_once_at_a_time);
    RUN(a_name_server_that_does_not_answer_is_waited_for_no_longer_than_ten_seconds);
    RUN(waits_double_up_to_the_longest);
    RUN(without_a_longest_they_stay_as_they_are);
    RUN(a_handshake_that_fails_does_not_make_them_short_again);
    RUN(a_password_is_not_sent_twice_in_a_second);
    RUN(without_an_interval_there_is_one_attempt);
    RUN(options_of_a_side_reach_the_socket);
    RUN(what_is_not_set_stays_the_systems);
    RUN(addresses_are_read_and_written);
    RUN(a_peer_over_a_unix_socket_is_named_by_its_process);
    RUN(what_the_peer_of_a_unix_socket_has_not_read_is_known_in_bytes);
    return test_done();
}
