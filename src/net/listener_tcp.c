// SPDX-License-Identifier: MPL-2.0
// listener_tcp.c - TCP, also below WebSockets.

#include "net/listener_internal.h"

#include "base/clock.h"
#include "base/mem.h"
#include "net/address.h"
#include "net/tcp.h"

#include <errno.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void
set_int(int fd, int level, int name, int64_t value)
{
    int number = (int)value;
    setsockopt(fd, level, name, &number, sizeof number);
}

// What an accepted connection inherits, and what libzmq would have set before bind.
static int
prepare(int fd, const side_conf_t *side, int family)
{
    tcp_options_t options;
    set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (family == AF_INET6)
        set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
    tcp_options(&options, side);
    return tcp_prepare(fd, &options);
}

// --- a port that may be ours still -------------------------------------------------

// libzmq closes its copy of a descriptor when it gets round to it. Whoever binds
// again what was given up a moment ago waits that long.
#define CLOSING 16
#define CLOSING_MS 1000
#define PATIENCE_MS 200

static struct {
    int port;
    int64_t closed_ms;
} closing[CLOSING];
static unsigned newest_closing;

void
listener_port_closes(int port)
{
    newest_closing = (newest_closing + 1) % CLOSING;
    closing[newest_closing].port = port;
    closing[newest_closing].closed_ms = clock_mono_ms();
}

static bool
may_be_closing(int port)
{
    for (size_t i = 0; i < CLOSING; i++)
        if (closing[i].port == port && clock_mono_ms() - closing[i].closed_ms < CLOSING_MS)
            return true;
    return false;
}

static int
bind_patiently(const listener_t *self, const address_t *address)
{
    int64_t start = clock_mono_ms();
    int rc;
    while ((rc = bind(self->fd, (const struct sockaddr *)&address->at, address->length)) == -1 && errno == EADDRINUSE &&
           may_be_closing(self->port) && clock_mono_ms() - start < PATIENCE_MS)
        usleep(1000);
    return rc;
}

// For as long as both ends of a port have SO_REUSEPORT, one may be bound where the other listens; only then, for
// with it another program of the same user could join them.
typedef struct {
    bool on, shared;
} sharing_t;

static void
share_with(const listener_t *other, void *arg)
{
    sharing_t *sharing = arg;
    if (!other->leaving || other->fd == -1)
        return;
    set_int(other->fd, SOL_SOCKET, SO_REUSEPORT, sharing->on);
    sharing->shared = true;
}

static void
share_port(const listener_t *self, bool on)
{
    sharing_t sharing = { .on = on };
    listener_each_at(self->port, share_with, &sharing);
    if (sharing.shared)
        set_int(self->fd, SOL_SOCKET, SO_REUSEPORT, on);
}

static int
bind_and_listen(const listener_t *self, const address_t *address, int backlog)
{
    share_port(self, true);
    int rc = bind_patiently(self, address);
    if (rc == 0 && !self->tried)
        rc = listen(self->fd, backlog);
    int error = errno;
    share_port(self, false);
    errno = error;
    return rc;
}

#define PORT_OF_ROOT ": ports below 1024 need zbroker.socket or CAP_NET_BIND_SERVICE, see SERVICE in zbroker(8)"

typedef struct {
    char *text;
    size_t size;
} reason_t;

// What is ours is in the way only where it is systemd's too, which made it for another user.
static void
blame(const listener_t *other, void *arg)
{
    const reason_t *reason = arg;
    snprintf(reason->text, reason->size, "%s, by zbroker itself (%s)", strerror(EADDRINUSE), other->wanted);
}

static void
say_why(const listener_t *self, int error, char *text, size_t size)
{
    reason_t reason = { text, size };
    snprintf(text, size, "%s%s", strerror(error), error == EACCES && self->port < IPPORT_RESERVED ? PORT_OF_ROOT : "");
    if (error == EADDRINUSE)
        listener_each_at(self->port, blame, &reason);
}

// --- the record --------------------------------------------------------------------

static int
open_tcp(listener_t *self, const endpoint_t *endpoint, const side_conf_t *side, char *reason, size_t size)
{
    address_t address;
    if (!address_local(&address, endpoint->host, endpoint->port, side_option(side, "ipv6", 0) != 0)) {
        snprintf(reason, size, "no such address or interface here");
        errno = EADDRNOTAVAIL;
        return -1;
    }
    self->fd = socket(address.at.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (self->fd == -1 || prepare(self->fd, side, address.at.ss_family) == -1 ||
        bind_and_listen(self, &address, listener_backlog(side)) == -1) {
        int error = errno;
        say_why(self, error, reason, size);
        errno = error;
        return -1;
    }
    self->listens = !self->tried;
    return 0;
}

static void
accept_all(int fd)
{
    set_int(fd, SOL_SOCKET, SO_DETACH_FILTER, 0);
}

// The process before may have stopped accepting on it.
static void
adopt_tcp(listener_t *self, bool ours)
{
    (void)ours;
    accept_all(self->fd);
}

static void
accept_tcp(const listener_t *self)
{
    struct sock_filter drop_all = BPF_STMT(BPF_RET | BPF_K, 0);
    struct sock_fprog program = { .len = 1, .filter = &drop_all };
    if (self->closed)
        setsockopt(self->fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
    else
        accept_all(self->fd);
}

// A port that was free is news.
static char *
resolve_tcp(const listener_t *self)
{
    struct sockaddr_storage at = { 0 };
    socklen_t size = sizeof at;
    if (getsockname(self->fd, (struct sockaddr *)&at, &size) == -1)
        return NULL;
    in_port_t port =
        at.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&at)->sin6_port : ((struct sockaddr_in *)&at)->sin_port;
    int host = (int)(strrchr(self->wanted, ':') - self->wanted);
    return xasprintf("%.*s:%u", host, self->wanted, (unsigned)ntohs(port));
}

// A socket is of one family for good.
static bool
is_of_family(const listener_t *self, const endpoint_t *endpoint, const side_conf_t *side)
{
    address_t wanted, now = { .length = sizeof now.at };
    return !address_local(&wanted, endpoint->host, endpoint->port, side_option(side, "ipv6", 0) != 0) ||
           getsockname(self->fd, (struct sockaddr *)&now.at, &now.length) == -1 || wanted.at.ss_family == now.at.ss_family;
}

static int
change_tcp(const listener_t *self, const endpoint_t *endpoint, const side_conf_t *side, bool really, char *reason, size_t size)
{
    tcp_options_t options;
    tcp_options(&options, side);
    if ((really ? tcp_change : tcp_could_change)(self->fd, &options) == -1) {
        int error = errno;
        snprintf(reason, size, "bindtodevice: %s", strerror(error));
        errno = error;
        return -1;
    }
    if (!really)
        return 0;
    listen(self->fd, listener_backlog(side));
    if (is_of_family(self, endpoint, side))
        return 0;
    snprintf(reason, size, "ipv6 comes into force when the route is disabled and enabled");
    errno = EISCONN;
    return -1;
}

static void
close_tcp(listener_t *self, bool keep_file)
{
    (void)keep_file;
    if (!self->listens)
        return;
    listener_port_closes(self->port);
    listener_tell_gone(self);
}

const listener_kind_t listener_tcp = { open_tcp, adopt_tcp, accept_tcp, resolve_tcp, change_tcp, close_tcp };
