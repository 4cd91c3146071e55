// SPDX-License-Identifier: MPL-2.0
// test_http.c - HTTP in a loop of its own, with a broker that has no sockets;
// what a running daemon answers is in web.py.

#include "admin/http.h"
#include "admin/httphost.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "fake_broker.h"
#include "test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

static const char ini[] = "[route a]\n"
                          "type = streamer\n"
                          "frontend_bind = tcp://127.0.0.1:15557\n"
                          "backend_bind = tcp://127.0.0.1:15558\n";

static broker_t *broker;
static zloop_t *loop;
static char answered[1 << 16];

static int
end_turn(zloop_t *ending, int timer, void *arg)
{
    (void)ending, (void)timer, (void)arg;
    return -1;
}

static void
turn(void)
{
    zloop_timer(loop, 5, 1, end_turn, NULL);
    zloop_start(loop);
}

static http_t *
open_http(const char *host, int port, const char *complaint)
{
    diag_t *diag = diag_new();
    http_t *http = http_new(loop, broker, host, port, -1, diag);
    CHECK(http ? !complaint : diag_errors(diag) == 1);
    if (!http && complaint)
        CHECK(strstr(diag_text(diag, 0, NULL), complaint));
    diag_destroy(&diag);
    return http;
}

static int
client(int port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(connect(fd, (struct sockaddr *)&address, sizeof address) == 0);
    return fd;
}

static bool
is_closed(int fd)
{
    ssize_t got;
    while ((got = recv(fd, answered, sizeof answered, MSG_DONTWAIT)) > 0)
        ;
    return got == 0 || (got == -1 && errno != EAGAIN);
}

// Everything that comes for REQUEST until the other end closes.
static const char *
ask(int port, const char *request)
{
    int fd = client(port);
    size_t size = 0;
    CHECK(send(fd, request, strlen(request), MSG_NOSIGNAL) == (ssize_t)strlen(request));
    for (int64_t end = clock_mono_ms() + ENOUGH_MS; clock_mono_ms() < end;) {
        turn();
        ssize_t got;
        while ((got = recv(fd, answered + size, sizeof answered - 1 - size, MSG_DONTWAIT)) > 0)
            size += (size_t)got;
        if (got == 0)
            break;
    }
    answered[size] = '\0';
    close(fd);
    return answered;
}

static void
test_readiness_follows_the_routes(void)
{
    static const char request[] = "GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    http_t *http = open_http("127.0.0.1", 0, NULL);
    int port = http_port(http);
    CHECK(port > 0);
    CHECK(strncmp(ask(port, request), "HTTP/1.1 200 ", 13) == 0);
    broker->routes[0].state = ROUTE_FAILED;
    CHECK(strncmp(ask(port, request), "HTTP/1.1 503 ", 13) == 0);
    CHECK(strstr(answered, "\r\n\r\nroute a has failed\n"));
    broker->routes[0].state = ROUTE_PAUSED;
    CHECK(strncmp(ask(port, request), "HTTP/1.1 200 ", 13) == 0);
    broker->routes[0].state = ROUTE_RUNNING;
    broker->status.stopping = true;
    CHECK(strncmp(ask(port, request), "HTTP/1.1 503 ", 13) == 0);
    broker->status.stopping = false;
    CHECK(strncmp(ask(port, "GET /healthz HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n"), "HTTP/1.1 421 ", 13) == 0);
    http_destroy(&http);
}

static void
test_what_cannot_be_bound_is_said(void)
{
    http_t *http = open_http("127.0.0.1", 0, NULL);
    http_t *second = open_http("127.0.0.1", http_port(http), "Address already in use");
    CHECK(!second);
    CHECK(!open_http("192.0.2.1", 0, "http 192.0.2.1:0: "));
    http_destroy(&http);
    CHECK(!http);
}

static void
test_a_full_house_lets_the_slowest_go(void)
{
    http_t *http = open_http("127.0.0.1", 0, NULL);
    int fds[HTTP_CONNECTIONS_MAX], port = http_port(http);
    for (int i = 0; i < HTTP_CONNECTIONS_MAX; i++) {
        fds[i] = client(port);
        CHECK(send(fds[i], "GET", 3, MSG_NOSIGNAL) == 3);
    }
    for (int64_t end = clock_mono_ms() + 1200; clock_mono_ms() < end;)
        turn();
    for (int i = 0; i < HTTP_CONNECTIONS_MAX; i++)
        CHECK(!is_closed(fds[i]));
    CHECK(strstr(ask(port, "GET /healthz HTTP/1.0\r\n\r\n"), " 200 "));
    int gone = 0;
    for (int i = 0; i < HTTP_CONNECTIONS_MAX; i++)
        gone += is_closed(fds[i]);
    CHECK(gone == 1);
    for (int i = 0; i < HTTP_CONNECTIONS_MAX; i++)
        close(fds[i]);
    http_destroy(&http);
}

static void
test_host_header_names_an_address_or_one_of_our_names(void)
{
    static const struct {
        const char *header;
        bool ours;
    } rows[] = {
        { "127.0.0.1", true },      { "127.0.0.1:80", true },     { "[::1]", true },        { "[::1]:9555", true },
        { "localhost", true },      { "LOCALHOST:9555", true },   { "localhost.", true },   { "status.lan:1", true },
        { "machine", true },        { "evil.example", false },    { "localhost.evil", false }, { "", false },
        { ".", false },             { ":80", false },             { "[::1", false },        { "[::1]x", false },
        { "localhost:8o", false },  { "localhost:80:80", false }, { "user@localhost", false }, { "::1", false },
        { "[127.0.0.1]", true },    { "*", false },               { "local host", false },  { "1.2.3", false },
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        if (httphost_is_ours(rows[i].header, "status.lan", "machine") != rows[i].ours) {
            printf("# Host: %s\n", rows[i].header);
            CHECK(false);
        }
    char longest[300];
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    CHECK(!httphost_is_ours(longest, longest, longest));
}

int
main(void)
{
    log_set_level(LOG_LEVEL_ERROR);
    zsys_handler_set(NULL);
    loop = zloop_new();
    zloop_set_nonstop(loop, true);
    broker = fake_broker_new(ini);
    RUN(test_host_header_names_an_address_or_one_of_our_names);
    RUN(test_readiness_follows_the_routes);
    RUN(test_what_cannot_be_bound_is_said);
    RUN(test_a_full_house_lets_the_slowest_go);
    fake_broker_destroy(&broker);
    zloop_destroy(&loop);
    return test_done();
}
