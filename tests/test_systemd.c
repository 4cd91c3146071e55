// SPDX-License-Identifier: MPL-2.0
// test_service.c - what systemd hears, and the sockets it hands over.

#include "base/clock.h"
#include "base/mem.h"
#include "broker/activation.h"
#include "broker/systemd.h"
#include "test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[64];

// --- sd_notify --------------------------------------------------------------------------

// A socket like systemd's, and NOTIFY_SOCKET that names it.
static int
open_systemd(bool abstract)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    char name[100];
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    snprintf(name, sizeof name, abstract ? "@%s/notify" : "%s/notify", folder);
    memcpy(address.sun_path, name, strlen(name));
    if (abstract)
        address.sun_path[0] = '\0';
    else
        unlink(name);
    CHECK(bind(fd, (struct sockaddr *)&address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name) + !abstract)) == 0);
    setenv("NOTIFY_SOCKET", name, 1);
    return fd;
}

static char heard[1000];
static int heard_fd;

static const char *
hear(int fd)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr aligned;
    } control;
    struct iovec part = { heard, sizeof heard - 1 };
    struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes };
    ssize_t size = recvmsg(fd, &message, 0);
    heard[size > 0 ? size : 0] = '\0';
    heard_fd = -1;
    struct cmsghdr *header = size > 0 ? CMSG_FIRSTHDR(&message) : NULL;
    if (header && header->cmsg_type == SCM_RIGHTS)
        memcpy(&heard_fd, CMSG_DATA(header), sizeof heard_fd);
    return heard;
}

static void
test_every_state_is_one_datagram(void)
{
    for (int abstract = 0; abstract < 2; abstract++) {
        int systemd = open_systemd(abstract);
        systemd_open();
        CHECK(systemd_is_watched());
        CHECK(!getenv("NOTIFY_SOCKET"));
        systemd_ready();
        CHECK_TEXT(hear(systemd), "READY=1");
        systemd_status("3 routes\nREADY=0");
        CHECK_TEXT(hear(systemd), "STATUS=3 routes\\nREADY=0");
        systemd_extend(5000000);
        CHECK_TEXT(hear(systemd), "EXTEND_TIMEOUT_USEC=5000000");
        systemd_alive();
        CHECK_TEXT(hear(systemd), "WATCHDOG=1");
        systemd_stopping();
        CHECK_TEXT(hear(systemd), "STOPPING=1");

        int64_t before = clock_mono_ns() / 1000, usec = 0;
        systemd_reloading();
        CHECK(sscanf(hear(systemd), "RELOADING=1\nMONOTONIC_USEC=%" SCNd64, &usec) == 1);
        CHECK(usec >= before && usec <= clock_mono_ns() / 1000);
        systemd_close();
        close(systemd);
    }
}

static void
test_without_systemd_nothing_happens(void)
{
    unsetenv("NOTIFY_SOCKET");
    setenv("WATCHDOG_USEC", "1000000", 1);
    systemd_open();
    CHECK(!systemd_is_watched());
    CHECK(systemd_watchdog_usec() == 0);
    systemd_ready();
    CHECK(systemd_store(0, "x") == 0);
    setenv("NOTIFY_SOCKET", "not/absolute", 1);
    systemd_open();
    CHECK(!systemd_is_watched());
    setenv("NOTIFY_SOCKET", "/nobody/is/here", 1);
    systemd_open();
    CHECK(!systemd_is_watched());
}

static int64_t
watchdog(int systemd, const char *usec, const char *pid)
{
    (void)systemd;
    char name[100];
    snprintf(name, sizeof name, "%s/notify", folder);
    setenv("NOTIFY_SOCKET", name, 1);
    setenv("WATCHDOG_USEC", usec, 1);
    if (pid)
        setenv("WATCHDOG_PID", pid, 1);
    systemd_open();
    return systemd_watchdog_usec();
}

static void
test_the_watchdog_is_for_the_process_it_names(void)
{
    char own[20];
    int systemd = open_systemd(false);
    snprintf(own, sizeof own, "%d", (int)getpid());
    CHECK(watchdog(systemd, "30000000", own) == 30000000);
    CHECK(!getenv("WATCHDOG_USEC") && !getenv("WATCHDOG_PID"));
    CHECK(watchdog(systemd, "30000000", NULL) == 30000000);
    CHECK(watchdog(systemd, "30000000", "1") == 0);
    CHECK(watchdog(systemd, "soon", NULL) == 0);
    CHECK(watchdog(systemd, "-1", NULL) == 0);
    systemd_close();
    close(systemd);
}

static void
test_descriptors_go_to_the_store(void)
{
    int systemd = open_systemd(false), pair[2];
    systemd_open();
    CHECK(pipe(pair) == 0);
    CHECK(systemd_store(pair[0], "tcp_//0.0.0.0_5555") == 0);
    CHECK_TEXT(hear(systemd), "FDSTORE=1\nFDNAME=tcp_//0.0.0.0_5555");
    struct stat sent, got;
    CHECK(heard_fd != -1 && fstat(heard_fd, &got) == 0 && fstat(pair[0], &sent) == 0 && got.st_ino == sent.st_ino);
    close(heard_fd);
    CHECK(systemd_unstore("x") == 0);
    CHECK_TEXT(hear(systemd), "FDSTOREREMOVE=1\nFDNAME=x");
    CHECK(systemd_store(pair[0], "a:b") == -1 && errno == EINVAL);
    CHECK(systemd_store(pair[0], "") == -1);
    systemd_close();
    close(pair[0]);
    close(pair[1]);
    close(systemd);
}

// --- socket activation --------------------------------------------------------------------

static endpoint_conf_t
endpoint(const char *text)
{
    endpoint_conf_t conf = { 0 };
    char reason[200];
    size_t offset;
    CHECK(endpoint_parse(text, false, &conf.at, reason, sizeof reason, &offset) == 0);
    return conf;
}

static int
listening_tcp(int family, int *port)
{
    struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_ANY_INIT };
    int fd = socket(family, SOCK_STREAM, 0);
    socklen_t size = family == AF_INET ? sizeof v4 : sizeof v6;
    struct sockaddr *address = family == AF_INET ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6;
    CHECK(bind(fd, address, size) == 0 && listen(fd, 5) == 0 && getsockname(fd, address, &size) == 0);
    *port = ntohs(family == AF_INET ? v4.sin_port : v6.sin6_port);
    return fd;
}

static int
listening_unix(const char *name, bool abstract)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    memcpy(address.sun_path, name, strlen(name));
    if (abstract)
        address.sun_path[0] = '\0';
    CHECK(bind(fd, (struct sockaddr *)&address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name) + !abstract)) == 0);
    CHECK(listen(fd, 5) == 0);
    return fd;
}

// Put the COUNT descriptors at 3 and above, as systemd does.
static void
offer(const int *fds, size_t count, const char *names)
{
    char text[20];
    int high[10];
    for (size_t i = 0; i < count; i++)
        high[i] = fcntl(fds[i], F_DUPFD, 100);
    for (size_t i = 0; i < count; i++) {
        close(fds[i]);
        CHECK(dup2(high[i], 3 + (int)i) != -1);
        close(high[i]);
    }
    snprintf(text, sizeof text, "%d", (int)getpid());
    setenv("LISTEN_PID", text, 1);
    snprintf(text, sizeof text, "%zu", count);
    setenv("LISTEN_FDS", text, 1);
    setenv("LISTEN_FDNAMES", names, 1);
}

static void
check_activation(void)
{
    int port4, port6;
    char path[100], abstract[100], text[200];
    snprintf(path, sizeof path, "%s/a.sock", folder);
    snprintf(abstract, sizeof abstract, "@%s/b", folder);
    int fds[5] = { listening_tcp(AF_INET, &port4), listening_tcp(AF_INET6, &port6), listening_unix(path, false),
                   listening_unix(abstract, true), socket(AF_INET, SOCK_STREAM, 0) };
    offer(fds, 5, "one:two:three");
    activation_t *self = activation_new();
    CHECK(!getenv("LISTEN_FDS") && !getenv("LISTEN_PID") && !getenv("LISTEN_FDNAMES"));
    CHECK(activation_count(self) == 5);
    CHECK(fcntl(3, F_GETFD) & FD_CLOEXEC);

    snprintf(text, sizeof text, "tcp://127.0.0.1:%d", port4);
    endpoint_conf_t v4 = endpoint(text), connecting = v4;
    connecting.connect = true;
    CHECK(activation_take(self, &connecting) == -1);
    snprintf(text, sizeof text, "tcp://127.0.0.2:%d", port4);
    endpoint_conf_t other = endpoint(text);
    CHECK(activation_take(self, &other) == -1);
    snprintf(text, sizeof text, "tcp://*:%d", port4);
    endpoint_conf_t any = endpoint(text);
    CHECK(activation_take(self, &any) == -1);
    CHECK(activation_take(self, &v4) == 3);
    CHECK(activation_take(self, &v4) == -1);

    snprintf(text, sizeof text, "tcp://*:%d", port6);
    endpoint_conf_t v6 = endpoint(text);
    CHECK(activation_take(self, &v6) == 4);
    snprintf(text, sizeof text, "ipc://%s", path);
    endpoint_conf_t ipc = endpoint(text);
    CHECK(activation_take(self, &ipc) == 5);
    snprintf(text, sizeof text, "ipc://%s", abstract);
    endpoint_conf_t hidden = endpoint(text);
    CHECK(activation_take(self, &hidden) == 6);

    CHECK(activation_count(self) == 1);
    activation_left_t left;
    CHECK(activation_drop(self, &(conf_t){ 0 }, &left)); // it does not listen
    CHECK_TEXT(left.name, "");
    CHECK_TEXT(left.address.data, "0.0.0.0:0");
    CHECK(left.port == 0);
    CHECK(fcntl(7, F_GETFD) == -1);
    text_free(&left.address);
    CHECK(!activation_drop(self, &(conf_t){ 0 }, &left));
    activation_destroy(&self);
    for (int fd = 3; fd < 7; fd++)
        close(fd);
    unlink(path);
}

// In a child: it puts descriptors where the others of this process may be.
static void
in_child(void (*check)(void))
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        check();
        fflush(stdout);
        _exit(test_ok ? 0 : 1);
    }
    int status = 1;
    CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void
test_descriptors_are_matched_by_their_address(void)
{
    in_child(check_activation);
}

static void
check_wildcard(void)
{
    int port, fds[1] = { listening_tcp(AF_INET, &port) };
    char name[256];
    endpoint_conf_t conf = endpoint("tcp://127.0.0.1:*");
    activation_name(&conf, name);
    CHECK(!strchr(name, ':'));
    offer(fds, 1, name);
    activation_t *self = activation_new();
    CHECK(activation_take(self, &conf) == 3);
    activation_destroy(&self);
    close(3);
}

static void
test_a_wildcard_port_comes_back_from_the_store_by_its_name(void)
{
    in_child(check_wildcard);
}

static void
test_an_offer_to_another_process_is_not_ours(void)
{
    setenv("LISTEN_PID", "1", 1);
    setenv("LISTEN_FDS", "3", 1);
    activation_t *self = activation_new();
    CHECK(activation_count(self) == 0);
    activation_destroy(&self);
    self = activation_new();
    CHECK(activation_count(self) == 0);
    activation_destroy(&self);
}

int
main(void)
{
    snprintf(folder, sizeof folder, "/tmp/zb-service-XXXXXX");
    if (!mkdtemp(folder))
        return EXIT_FAILURE;
    RUN(test_every_state_is_one_datagram);
    RUN(test_without_systemd_nothing_happens);
    RUN(test_the_watchdog_is_for_the_process_it_names);
    RUN(test_descriptors_go_to_the_store);
    RUN(test_descriptors_are_matched_by_their_address);
    RUN(test_a_wildcard_port_comes_back_from_the_store_by_its_name);
    RUN(test_an_offer_to_another_process_is_not_ours);
    char name[100];
    snprintf(name, sizeof name, "%s/notify", folder);
    unlink(name);
    rmdir(folder);
    return test_done();
}
