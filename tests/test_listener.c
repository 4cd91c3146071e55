// SPDX-License-Identifier: MPL-2.0
// Listening descriptors of ours: opened, held by several, not accepting, closed.
#include "base/mem.h"
#include "conf/load.h"
#include "net/listener.h"

#include "test.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static char folder[] = "/tmp/zb-listener-XXXXXX";
static diag_t *diag;
static conf_t *conf;

// The frontend of a route that binds ENDPOINT, and has the lines MORE.
static const side_conf_t *
side_with(const char *endpoint, const char *more)
{
    char ini[512];
    conf_destroy(&conf);
    snprintf(ini, sizeof ini, "[route r]\ntype = streamer\nfrontend_bind = %s\nbackend_bind = ipc://%s/back\n%s", endpoint, folder, more);
    conf = conf_load_text("test.ini", ini, strlen(ini), diag);
    if (!conf) {
        diag_print(diag, stdout);
        abort();
    }
    return &conf->routes[0]->sides[SIDE_FRONTEND];
}

static const side_conf_t *
side_of(const char *endpoint)
{
    return side_with(endpoint, "");
}

static listener_t *
open_at(const char *endpoint)
{
    const side_conf_t *side = side_of(endpoint);
    return listener_open(&side->endpoints[0], side, -1, false, diag);
}

static listener_t *
open_path(const char *name)
{
    char endpoint[256];
    snprintf(endpoint, sizeof endpoint, "ipc://%s/%s", folder, name);
    return open_at(endpoint);
}

static bool
is_there(const char *name)
{
    char path[256];
    struct stat status;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return lstat(path, &status) == 0;
}

static bool
connects_to(const char *name)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    snprintf(address.sun_path, sizeof address.sun_path, "%s/%s", folder, name);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    bool connected = connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
    close(fd);
    return connected;
}

static void
test_wildcard_port_is_known_once_it_is_bound(void)
{
    listener_t *listener = open_at("tcp://127.0.0.1:*");
    CHECK(listener && listener_is_wildcard(listener));
    CHECK_TEXT(listener_wanted(listener), "tcp://127.0.0.1:*");
    int port = 0;
    CHECK(sscanf(listener_endpoint(listener), "tcp://127.0.0.1:%d", &port) == 1 && port > 0);
    listener_close(&listener, false);
    CHECK(!listener);
}

static void
test_wildcard_path_and_its_folder_go_with_the_listener(void)
{
    listener_t *listener = open_at("ipc://*");
    struct stat status;
    char *path = xstrdup(listener_endpoint(listener) + strlen("ipc://"));
    CHECK(lstat(path, &status) == 0 && S_ISSOCK(status.st_mode));
    listener_close(&listener, false);
    CHECK(lstat(path, &status) == -1);
    *strrchr(path, '/') = '\0';
    CHECK(lstat(path, &status) == -1);
    free(path);
}

static void
test_last_of_several_holders_closes(void)
{
    listener_t *one = open_path("held"), *other = listener_share(one);
    CHECK(listener_is_shared(one));
    listener_close(&one, false);
    CHECK(!one && !listener_is_shared(other) && connects_to("held"));
    listener_close(&other, false);
    CHECK(!is_there("held") && !is_there("held.lock"));
}

static void
test_file_stays_for_whoever_has_the_descriptor(void)
{
    listener_t *listener = open_path("kept");
    listener_close(&listener, true);
    CHECK(is_there("kept") && !is_there("kept.lock"));
    listener = open_path("kept"); // nobody listens there any more
    CHECK(listener && connects_to("kept"));
    listener_close(&listener, false);
}

static void
test_listener_accepts_again_when_every_reason_has_gone(void)
{
    listener_t *listener = open_path("paused");
    listener_accept(listener, CLOSED_FOR_DRAIN, false);
    listener_full(listener, true);
    CHECK(!connects_to("paused"));
    listener_accept(listener, CLOSED_FOR_DRAIN, true);
    CHECK(!connects_to("paused"));
    listener_accept_all(CLOSED_PROCESS_FULL, false);
    listener_full(listener, false);
    CHECK(!connects_to("paused"));
    listener_accept_all(CLOSED_PROCESS_FULL, true);
    CHECK(connects_to("paused"));
    listener_accept(listener, CLOSED_FOR_DRAIN, false);
    listener_close(&listener, false);
    CHECK(!is_there("paused") && !is_there("paused.closed"));
}

static void
test_file_that_somebody_removed_is_told_once(void)
{
    listener_t *listener = open_path("gone");
    const char *wanted = listener_wanted(listener);
    CHECK(!listener_is_missing(wanted) && !listener_note_missing(wanted));
    unlink(listener_endpoint(listener) + strlen("ipc://"));
    CHECK(listener_is_missing(wanted) && listener_note_missing(wanted) && !listener_note_missing(wanted));
    listener_close(&listener, false);
}

static void
test_trying_an_endpoint_leaves_nothing_there(void)
{
    char endpoint[256];
    snprintf(endpoint, sizeof endpoint, "ipc://%s/tried", folder);
    const side_conf_t *side = side_of(endpoint);
    CHECK(listener_try(&side->endpoints[0], side, diag) == 0);
    CHECK(!is_there("tried") && !is_there("tried.lock"));
}

static void
test_port_that_is_ours_already_is_named_in_the_reason(void)
{
    listener_t *listener = open_at("tcp://127.0.0.1:*");
    char *taken = xstrdup(listener_endpoint(listener));
    listener_close(&listener, false);
    listener = open_at(taken);
    CHECK(listener);
    char *said =
        xasprintf("test.ini:3:17: error: cannot bind %s: Address already in use, by zbroker itself (%s)", taken, taken);
    CHECK(!open_at(taken));
    CHECK_TEXT(diag_text(diag, 0, NULL), said);
    listener_close(&listener, false);
    free(said);
    free(taken);
}

static int
option_of(const listener_t *listener, int level, int name)
{
    int value = -1;
    socklen_t size = sizeof value;
    getsockopt(listener_fd(listener), level, name, &value, &size);
    return value;
}

static unsigned
backlog_of(const listener_t *listener)
{
    struct tcp_info info = { 0 };
    socklen_t size = sizeof info;
    getsockopt(listener_fd(listener), IPPROTO_TCP, TCP_INFO, &info, &size);
    return info.tcpi_sacked; // of one that listens
}

static int
change_to(listener_t *listener, const char *more)
{
    const side_conf_t *side = side_with("tcp://127.0.0.1:*", more);
    CHECK(listener_could_change(listener, &side->endpoints[0], side, diag) == 0);
    return listener_change(listener, &side->endpoints[0], side, diag);
}

static void
test_listener_that_stays_becomes_as_a_new_one(void)
{
    listener_t *listener = open_at("tcp://127.0.0.1:*");
    CHECK(change_to(listener, "backlog = 7\nrcvbuf = 20000\nsndbuf = 30000\ntos = 16\nbindtodevice = lo\n") == 0);
    CHECK(backlog_of(listener) == 7);
    CHECK(option_of(listener, SOL_SOCKET, SO_RCVBUF) == 2 * 20000 && option_of(listener, SOL_SOCKET, SO_SNDBUF) == 2 * 30000);
    CHECK(option_of(listener, IPPROTO_IP, IP_TOS) == 16);
    char device[16] = "";
    socklen_t size = sizeof device;
    CHECK(getsockopt(listener_fd(listener), SOL_SOCKET, SO_BINDTODEVICE, device, &size) == 0);
    CHECK_TEXT(device, "lo");
    if (geteuid() == 0) { // nobody else may take it away again
        CHECK(change_to(listener, "backlog = 9\n") == 0);
        CHECK(backlog_of(listener) == 9 && option_of(listener, IPPROTO_IP, IP_TOS) == 0);
        size = sizeof device;
        CHECK(getsockopt(listener_fd(listener), SOL_SOCKET, SO_BINDTODEVICE, device, &size) == 0 && size == 0);
    }
    listener_close(&listener, false);
}

static void
test_device_that_is_not_there_is_told_beforehand(void)
{
    listener_t *listener = open_at("tcp://127.0.0.1:*");
    const side_conf_t *side = side_with("tcp://127.0.0.1:*", "frontend_bindtodevice = nosuch0\n");
    CHECK(listener_could_change(listener, &side->endpoints[0], side, diag) == -1);
    CHECK(strstr(diag_text(diag, 1, NULL), "cannot change tcp://127.0.0.1:*: bindtodevice: "));
    listener_close(&listener, false);
}

int
main(void)
{
    if (!mkdtemp(folder))
        return EXIT_FAILURE;
    diag = diag_new();
    RUN(test_wildcard_port_is_known_once_it_is_bound);
    RUN(test_wildcard_path_and_its_folder_go_with_the_listener);
    RUN(test_last_of_several_holders_closes);
    RUN(test_file_stays_for_whoever_has_the_descriptor);
    RUN(test_listener_accepts_again_when_every_reason_has_gone);
    RUN(test_file_that_somebody_removed_is_told_once);
    RUN(test_trying_an_endpoint_leaves_nothing_there);
    RUN(test_port_that_is_ours_already_is_named_in_the_reason);
    RUN(test_listener_that_stays_becomes_as_a_new_one);
    RUN(test_device_that_is_not_there_is_told_beforehand);
    conf_destroy(&conf);
    diag_destroy(&diag);
    rmdir(folder);
    return test_done();
}
