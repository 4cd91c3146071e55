// SPDX-License-Identifier: MPL-2.0
#include "flow/listener.h"

#include "base/clock.h"
#include "base/mem.h"
#include "flow/ipcpath.h"
#include "net/address.h"
#include "net/tcp.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

struct listener {
    char *wanted;
    char *endpoint;
    transport_t transport;
    int fd;        // -1: libzmq's
    char *path;    // of a filesystem ipc socket, else NULL
    char *folder;  // made for a wildcard ipc socket
    int lock;
    bool bound;    // we made a file at `path`…
    dev_t device;  // …and this is it
    ino_t inode;
    bool missing;  // that it has gone was told
    bool wildcard;
    bool adopted;  // systemd made it
    int port;      // of tcp, else 0
    bool leaving;  // the configuration that is on its way does not bind it
    bool tried;    // only bound, to see whether that works
    bool listens; // it could be bound
    unsigned closed; // not accepting: closed_for_t
    unsigned full;   // holders who have no room
    _Atomic unsigned holders; // a route that leaves looks from its thread
    char *bound_as;
    listener_t *next; // of all
};

// Every listener of the process, so that the watch thread can close them all when descriptors run short.
static pthread_mutex_t all_lock = PTHREAD_MUTEX_INITIALIZER;
static listener_t *all;
static unsigned all_closed;
static int backlog_cap;
static void (*on_gone)(const char *wanted, void *arg);
static void *gone_arg;

// --- tcp, also below WebSockets ----------------------------------------------

static int
backlog(const side_conf_t *side)
{
    int wanted = (int)side_option(side, "backlog", 100);
    return backlog_cap && wanted > backlog_cap ? backlog_cap : wanted;
}

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
    while ((rc = bind(self->fd, (const struct sockaddr *)&address->at, address->length)) == -1 && errno == EADDRINUSE
           && may_be_closing(self->port) && clock_mono_ms() - start < PATIENCE_MS)
        usleep(1000);
    return rc;
}

// For as long as both ends of a port have SO_REUSEPORT, one may be bound where the other listens; only then, for
// with it another program of the same user could join them.
static void
share_port(const listener_t *self, bool on)
{
    bool shared = false;
    pthread_mutex_lock(&all_lock);
    for (const listener_t *i = all; i; i = i->next)
        if (i->leaving && i->port == self->port && i->fd != -1) {
            set_int(i->fd, SOL_SOCKET, SO_REUSEPORT, on);
            shared = true;
        }
    pthread_mutex_unlock(&all_lock);
    if (shared)
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

// What is ours is in the way only where it is systemd's too, which made it for another user.
static void
say_why(const listener_t *self, int error, char *reason, size_t size)
{
    const listener_t *own = NULL;
    pthread_mutex_lock(&all_lock);
    for (const listener_t *i = all; i && error == EADDRINUSE; i = i->next)
        if (i->port == self->port)
            own = i;
    if (own)
        snprintf(reason, size, "%s, by zbroker itself (%s)", strerror(error), own->wanted);
    else
        snprintf(reason, size, "%s%s", strerror(error), error == EACCES && self->port < IPPORT_RESERVED ? PORT_OF_ROOT : "");
    pthread_mutex_unlock(&all_lock);
}

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
    if (self->fd == -1 || prepare(self->fd, side, address.at.ss_family) == -1
        || bind_and_listen(self, &address, backlog(side)) == -1) {
        say_why(self, errno, reason, size);
        return -1;
    }
    self->listens = !self->tried;
    return 0;
}

// --- ipc ---------------------------------------------------------------------

static int
wildcard_path(listener_t *self, char *reason, size_t size)
{
    const char *tmp = getenv("TMPDIR");
    self->folder = xasprintf("%s/zbroker-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (!mkdtemp(self->folder)) {
        snprintf(reason, size, "cannot make a folder for it: %s", strerror(errno));
        free(self->folder);
        self->folder = NULL;
        return -1;
    }
    self->path = xasprintf("%s/socket", self->folder);
    return 0;
}

static char *
aside(const listener_t *self)
{
    return xasprintf("%s.closed", self->path);
}

// A process that was killed while it did not accept left its socket there.
static void
clear_aside(const listener_t *self)
{
    char ignored[256];
    char *name = aside(self);
    ipcpath_clear(name, ignored, sizeof ignored);
    free(name);
}

static void
remember_file(listener_t *self)
{
    struct stat there;
    if (!self->path || lstat(self->path, &there) == -1)
        return;
    self->bound = true;
    self->device = there.st_dev;
    self->inode = there.st_ino;
}

// Somebody may have put something else there meanwhile: that is not ours to move or remove.
static bool
is_ours(const listener_t *self, const char *name)
{
    struct stat there;
    return lstat(name, &there) == 0 && there.st_dev == self->device && there.st_ino == self->inode;
}

static int
open_ipc(listener_t *self, const endpoint_t *endpoint, const side_conf_t *side, char *reason, size_t size)
{
    const char *path = endpoint->path;
    if (endpoint->wildcard) {
        if (wildcard_path(self, reason, size) == -1)
            return -1;
        path = self->path;
    } else if (path[0] != '@')
        self->path = xstrdup(path);

    if (self->path) {
        self->lock = ipcpath_lock(path, reason, size);
        if (self->lock == -1 || ipcpath_clear(path, reason, size) == -1)
            return -1;
        clear_aside(self);
    }
    self->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (self->fd == -1) {
        snprintf(reason, size, "%s", strerror(errno));
        return -1;
    }
    if (ipcpath_bind(self->fd, path, side->ipc_mode, side->ipc_group, reason, size) == -1)
        return -1;
    remember_file(self);
    if (!self->tried && listen(self->fd, backlog(side)) == -1) {
        snprintf(reason, size, "%s", strerror(errno));
        return -1;
    }
    return 0;
}

// --- all ---------------------------------------------------------------------

static void
detach_filter(int fd)
{
    set_int(fd, SOL_SOCKET, SO_DETACH_FILTER, 0);
}

static void
move_path(const listener_t *self, bool away)
{
    char *name = aside(self);
    const char *from = away ? self->path : name;
    // If it is not there any more nobody can connect, which is what was wanted.
    int rc = is_ours(self, from) ? rename(from, away ? name : self->path) : -1;
    (void)rc;
    free(name);
}

static void
apply_closed(const listener_t *self)
{
    if (self->bound)
        move_path(self, self->closed);
    else if (transport_is_over_tcp(self->transport) && self->closed) {
        struct sock_filter drop_all = BPF_STMT(BPF_RET | BPF_K, 0);
        struct sock_fprog program = { .len = 1, .filter = &drop_all };
        setsockopt(self->fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
    } else if (transport_is_over_tcp(self->transport))
        detach_filter(self->fd);
}

static void
set_closed(listener_t *self, unsigned closed)
{
    bool was = self->closed;
    self->closed = closed;
    if (self->fd != -1 && was != (bool)closed)
        apply_closed(self);
}

void
listener_accept(listener_t *self, closed_for_t reason, bool on)
{
    pthread_mutex_lock(&all_lock);
    set_closed(self, on ? self->closed & ~(unsigned)reason : self->closed | reason);
    pthread_mutex_unlock(&all_lock);
}

void
listener_full(listener_t *self, bool full)
{
    pthread_mutex_lock(&all_lock);
    self->full += full ? 1u : -1u;
    unsigned others = self->closed & ~(unsigned)CLOSED_SIDE_FULL;
    set_closed(self, self->full ? others | CLOSED_SIDE_FULL : others);
    pthread_mutex_unlock(&all_lock);
}

void
listener_accept_all(closed_for_t reason, bool on)
{
    pthread_mutex_lock(&all_lock);
    all_closed = on ? all_closed & ~(unsigned)reason : all_closed | reason;
    for (listener_t *i = all; i; i = i->next)
        set_closed(i, on ? i->closed & ~(unsigned)reason : i->closed | reason);
    pthread_mutex_unlock(&all_lock);
}

// Caller holds the lock. While it does not accept, the file is elsewhere.
static listener_t *
find_missing(const char *wanted)
{
    for (listener_t *i = all; i; i = i->next)
        if (i->bound && !i->tried && !i->closed && strcmp(i->wanted, wanted) == 0 && !is_ours(i, i->path))
            return i;
    return NULL;
}

bool
listener_is_missing(const char *wanted)
{
    pthread_mutex_lock(&all_lock);
    bool is_missing = find_missing(wanted);
    pthread_mutex_unlock(&all_lock);
    return is_missing;
}

bool
listener_note_missing(const char *wanted)
{
    pthread_mutex_lock(&all_lock);
    listener_t *missing = find_missing(wanted);
    bool is_news = missing && !missing->missing;
    if (missing)
        missing->missing = true;
    pthread_mutex_unlock(&all_lock);
    return is_news;
}

static bool
binds(const conf_t *conf, const char *endpoint)
{
    for (size_t i = 0; i < conf->route_count; i++)
        for (side_t side = 0; side < SIDES; side++)
            if (side_has_endpoint(&conf->routes[i]->sides[side], endpoint, false))
                return true;
    return false;
}

void
listener_make_way_for(const conf_t *wanted)
{
    pthread_mutex_lock(&all_lock);
    for (listener_t *i = all; i; i = i->next)
        i->leaving = wanted && i->port && !binds(wanted, i->wanted);
    pthread_mutex_unlock(&all_lock);
}

void
listener_backlog_cap(int backlog_most)
{
    backlog_cap = backlog_most;
}

static void
enlist(listener_t *self)
{
    pthread_mutex_lock(&all_lock);
    self->next = all;
    all = self;
    set_closed(self, all_closed);
    pthread_mutex_unlock(&all_lock);
}

static void
delist(listener_t *self)
{
    pthread_mutex_lock(&all_lock);
    for (listener_t **at = &all; *at; at = &(*at)->next)
        if (*at == self) {
            *at = self->next;
            break;
        }
    pthread_mutex_unlock(&all_lock);
}

static void
adopt(listener_t *self, int fd)
{
    self->fd = fd;
    self->adopted = true;
    self->listens = true;
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    detach_filter(fd); // the process before may have stopped accepting on it
}

// It may have been moved aside, so that nobody connects.
static void
adopt_file(listener_t *self)
{
    char ignored[256];
    struct sockaddr_un address = { 0 };
    struct stat there;
    socklen_t size = sizeof address - 1;
    if (self->transport != TRANSPORT_IPC || getsockname(self->fd, (struct sockaddr *)&address, &size) == -1 ||
        address.sun_path[0] != '/')
        return;
    self->path = xstrdup(address.sun_path);
    self->lock = ipcpath_lock(self->path, ignored, sizeof ignored);
    if (self->wildcard)
        self->folder = xstrndup(self->path, (size_t)(strrchr(self->path, '/') - self->path));
    char *name = aside(self);
    int rc = lstat(self->path, &there) == -1 ? rename(name, self->path) : 0; // where it has gone nobody can connect
    (void)rc;
    free(name);
    remember_file(self);
}

// A port that was free, or a path that was made, is news.
static void
resolve_wildcard(listener_t *self)
{
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    if (self->path) {
        self->endpoint = xasprintf("ipc://%s", self->path);
    } else if (getsockname(self->fd, (struct sockaddr *)&address, &length) == 0) {
        bool ipv6 = address.ss_family == AF_INET6;
        in_port_t port = ipv6 ? ((struct sockaddr_in6 *)&address)->sin6_port : ((struct sockaddr_in *)&address)->sin_port;
        size_t star = strlen(self->wanted) - 1;
        self->endpoint = xasprintf("%.*s%u", (int)star, self->wanted, ntohs(port));
    }
}

static listener_t *
new_listener(const endpoint_conf_t *endpoint, const side_conf_t *side, int fd, bool ours, bool tried, diag_t *diag)
{
    char reason[256] = "";
    listener_t *self = xcalloc(1, sizeof *self);
    self->tried = tried;
    self->wanted = xstrdup(endpoint->at.text);
    self->transport = endpoint->at.transport;
    self->port = transport_is_over_tcp(self->transport) ? endpoint->at.port : 0;
    self->wildcard = endpoint->at.wildcard;
    self->holders = 1;
    self->fd = self->lock = -1;

    int rc = 0;
    if (fd != -1)
        adopt(self, fd);
    else if (transport_is_over_tcp(self->transport))
        rc = open_tcp(self, &endpoint->at, side, reason, sizeof reason);
    else if (self->transport == TRANSPORT_IPC)
        rc = open_ipc(self, &endpoint->at, side, reason, sizeof reason);
    int error = errno;
    if (ours)
        adopt_file(self);
    enlist(self);
    if (rc == 0 && self->wildcard && self->fd != -1)
        resolve_wildcard(self);
    if (rc == 0)
        return self;
    diag_error(diag, endpoint->place, "cannot bind %s: %s", endpoint->at.text, reason);
    diag_cause(diag, error);
    listener_close(&self, false);
    return NULL;
}

listener_t *
listener_open(const endpoint_conf_t *endpoint, const side_conf_t *side, int fd, bool ours, diag_t *diag)
{
    return new_listener(endpoint, side, fd, ours, false, diag);
}

int
listener_try(const endpoint_conf_t *endpoint, const side_conf_t *side, diag_t *diag)
{
    listener_t *self = new_listener(endpoint, side, -1, false, true, diag);
    int rc = self ? 0 : -1;
    listener_close(&self, false);
    return rc;
}

// libzmq resolves an ipc path even when it is given a descriptor.
char *
listener_bind_text(const listener_t *self)
{
    return self->path ? xasprintf("ipc://%s", self->path) : xstrdup(self->wanted);
}

// A route that shares the listener may be reading the text.
static void
keep_text(char **text, const char *wanted)
{
    if (*text && strcmp(*text, wanted) == 0)
        return;
    free(*text);
    *text = xstrdup(wanted);
}

void
listener_bound(listener_t *self, const char *name)
{
    if (self->wildcard && self->fd == -1)
        keep_text(&self->endpoint, name);
    keep_text(&self->bound_as, name);
}

void
listener_resolve(listener_t *self)
{
    struct sockaddr_storage at = { 0 };
    socklen_t size = sizeof at;
    if (!self->wildcard || self->endpoint || self->fd == -1)
        return;
    if (self->path) {
        self->endpoint = listener_bind_text(self);
        return;
    }
    if (getsockname(self->fd, (struct sockaddr *)&at, &size) == -1)
        return;
    in_port_t port = at.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&at)->sin6_port : ((struct sockaddr_in *)&at)->sin_port;
    int host = (int)(strrchr(self->wanted, ':') - self->wanted);
    self->endpoint = xasprintf("%.*s:%u", host, self->wanted, (unsigned)ntohs(port));
}

const char *
listener_endpoint(const listener_t *self)
{
    return self->endpoint ? self->endpoint : self->wanted;
}

bool
listener_is_wildcard(const listener_t *self)
{
    return self->wildcard;
}

const char *
listener_bound_as(const listener_t *self)
{
    return self->bound_as ? self->bound_as : self->wanted;
}

const char *
listener_wanted(const listener_t *self)
{
    return self->wanted;
}

int
listener_fd(const listener_t *self)
{
    return self->fd;
}

static void
remove_file(const listener_t *self)
{
    char *name = self->closed ? aside(self) : xstrdup(self->path);
    if (is_ours(self, name))
        unlink(name);
    free(name);
}

listener_t *
listener_share(listener_t *self)
{
    self->holders++;
    return self;
}

bool
listener_is_shared(const listener_t *self)
{
    return self->holders > 1;
}

void
listener_on_gone(void (*gone)(const char *wanted, void *arg), void *arg)
{
    on_gone = gone;
    gone_arg = arg;
}

static void
tell_gone(const listener_t *self)
{
    if (!transport_is_over_tcp(self->transport) || !self->listens)
        return;
    listener_port_closes(self->port);
    if (on_gone)
        on_gone(self->wanted, gone_arg);
}

void
listener_close(listener_t **self_p, bool keep_file)
{
    listener_t *self = *self_p;
    *self_p = NULL;
    if (!self || --self->holders > 0)
        return;
    delist(self);
    tell_gone(self);
    if (self->bound && !keep_file)
        remove_file(self);
    if (self->lock != -1)
        ipcpath_unlock(self->path, &self->lock);
    if (self->fd != -1)
        close(self->fd);
    if (self->folder)
        rmdir(self->folder);
    free(self->folder);
    free(self->path);
    free(self->bound_as);
    free(self->endpoint);
    free(self->wanted);
    free(self);
}
