// SPDX-License-Identifier: MPL-2.0
#include "net/dial.h"

#include "base/hash.h"
#include "base/mem.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum {
    RESOLVE_MS = 10000,
    PASSWORD_MS = 1000, // between two attempts that hand out a password
};

typedef enum { IDLE, RESOLVING, CONNECTING, HANDED_OUT, SETTLED, WAITING, GIVEN_UP } state_t;

struct dial {
    endpoint_t endpoint;
    dial_options_t options;
    resolver_t *resolver;
    int bell;
    state_t state;
    int64_t due_ms;  // in RESOLVING, CONNECTING and WAITING
    int64_t wait_ms; // the next wait, without what is random
    int64_t since_ms;
    char reason[200];
    uint32_t waits;

    lookup_t *lookup;
    address_t *addresses; // of this attempt
    size_t count, next;   // NEXT: to be tried
    int fd;
};

void
dial_options(dial_options_t *self, const side_conf_t *side)
{
    *self = (dial_options_t){
        .reconnect_ms = side_option(side, "reconnect_ivl", 100),
        .reconnect_max_ms = side_option(side, "reconnect_ivl_max", 0),
        .timeout_ms = side_option(side, "connect_timeout", 0),
        .refused_ms = side->security.mechanism == SECURITY_PLAIN ? PASSWORD_MS : 0,
        .ipv6 = side_option(side, "ipv6", 0) != 0,
    };
    tcp_options(&self->tcp, side);
}

dial_t *
dial_new(const endpoint_t *endpoint, const dial_options_t *options, resolver_t *resolver, int bell)
{
    dial_t *self = xcalloc(1, sizeof *self);
    self->endpoint = *endpoint;
    self->options = *options;
    self->resolver = resolver;
    self->bell = bell;
    self->wait_ms = options->reconnect_ms;
    self->fd = -1;
    return self;
}

void
dial_configure(dial_t *self, const dial_options_t *options)
{
    self->options = *options;
    self->wait_ms = options->reconnect_ms;
}

// --- what has failed ------------------------------------------------------------------

static void
end_attempt(dial_t *self)
{
    lookup_drop(&self->lookup);
    free(self->addresses);
    self->addresses = NULL;
    self->count = self->next = 0;
}

__attribute__((format(printf, 2, 3))) static void
set_reason(dial_t *self, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(self->reason, sizeof self->reason, format, args);
    va_end(args);
}

// TEXT of the C library, as the end of a sentence: "connection refused".
static const char *
in_words(const char *text, char words[160])
{
    snprintf(words, 160, "%s", text);
    if (isupper((unsigned char)words[0]) && islower((unsigned char)words[1]))
        words[0] = (char)tolower((unsigned char)words[0]);
    return words;
}

static int64_t
some_of(dial_t *self, int64_t ms)
{
    return ms > 0 ? hash_number(self->waits++) % ms : 0;
}

// The reason is set.
static void
wait_at_least(dial_t *self, int64_t least_ms, int64_t now_ms)
{
    const dial_options_t *options = &self->options;
    int64_t wait = self->wait_ms + some_of(self, options->reconnect_ms);
    end_attempt(self);
    self->state = options->reconnect_ms > 0 ? WAITING : GIVEN_UP;
    self->due_ms = now_ms + (wait > least_ms ? wait : least_ms);
    if (options->reconnect_max_ms > self->wait_ms)
        self->wait_ms = self->wait_ms * 2 < options->reconnect_max_ms ? self->wait_ms * 2 : options->reconnect_max_ms;
}

// --- connecting -----------------------------------------------------------------------

static int
bind_source(const dial_t *self, int fd)
{
    address_t source;
    if (!*self->endpoint.source)
        return 0;
    if (!address_source(&source, self->endpoint.source, self->options.ipv6)) {
        errno = EADDRNOTAVAIL;
        return -1;
    }
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int));
    return bind(fd, (const struct sockaddr *)&source.at, source.length);
}

static int
prepare(dial_t *self, int fd)
{
    char words[160];
    if (self->endpoint.transport != TRANSPORT_TCP)
        return 0;
    if (tcp_prepare(fd, &self->options.tcp) == -1)
        set_reason(self, "device %s: %s", self->options.tcp.device, in_words(strerror(errno), words));
    else if (bind_source(self, fd) == -1)
        set_reason(self, "source address %s: %s", self->endpoint.source, in_words(strerror(errno), words));
    else
        return 0;
    return -1;
}

static void
say_errno(dial_t *self, int error)
{
    char words[160];
    bool is_full = error == EAGAIN && self->endpoint.transport == TRANSPORT_IPC;
    set_reason(self, "%s", is_full ? "the listener's queue is full" : in_words(strerror(error), words));
}

// A socket that is connected to ADDRESS, or on the way: errno is EINPROGRESS then, else 0. -1: the reason is set.
static int
open_socket(dial_t *self, const address_t *address)
{
    int fd = socket(address->at.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd == -1) {
        say_errno(self, errno);
        return -1;
    }
    if (prepare(self, fd) == 0) {
        errno = 0;
        if (connect(fd, (const struct sockaddr *)&address->at, address->length) == 0 || errno == EINPROGRESS)
            return fd;
        say_errno(self, errno);
    }
    close(fd);
    return -1;
}

static int
hand_out(dial_t *self, int fd)
{
    if (self->endpoint.transport == TRANSPORT_TCP)
        tcp_tune(fd, &self->options.tcp);
    end_attempt(self);
    self->state = HANDED_OUT;
    return fd;
}

// Whoever watches tells descriptors apart by their numbers: the old one is closed when there is another.
static int
try_next_address(dial_t *self, int64_t now_ms)
{
    int old = self->fd, fd = -1;
    while (fd == -1 && self->next < self->count)
        fd = open_socket(self, &self->addresses[self->next++]);
    bool is_connected = fd != -1 && errno == 0;
    if (old != -1)
        close(old);
    self->fd = is_connected ? -1 : fd;
    if (is_connected)
        return hand_out(self, fd);
    if (fd == -1) {
        wait_at_least(self, 0, now_ms);
        return -1;
    }
    self->state = CONNECTING;
    self->due_ms = self->options.timeout_ms > 0 ? now_ms + self->options.timeout_ms : INT64_MAX;
    return -1;
}

static int
connect_to(dial_t *self, address_t *addresses, size_t count, int64_t now_ms)
{
    lookup_drop(&self->lookup);
    self->addresses = addresses;
    self->count = count;
    self->next = 0;
    for (size_t i = 0; self->endpoint.transport == TRANSPORT_TCP && i < count; i++)
        address_set_port(&addresses[i], self->endpoint.port);
    return try_next_address(self, now_ms);
}

static int
take_names(dial_t *self, int64_t now_ms)
{
    address_t *addresses;
    size_t count;
    const char *reason;
    char words[160];
    if (!lookup_take(self->lookup, &addresses, &count, &reason)) {
        if (now_ms < self->due_ms)
            return -1;
        set_reason(self, "name does not resolve: no answer for %d s", RESOLVE_MS / 1000);
        wait_at_least(self, 0, now_ms);
        return -1;
    }
    if (count > 0)
        return connect_to(self, addresses, count, now_ms);
    free(addresses);
    set_reason(self, "name does not resolve: %s", in_words(reason, words));
    wait_at_least(self, 0, now_ms);
    return -1;
}

static int
begin(dial_t *self, int64_t now_ms)
{
    const endpoint_t *endpoint = &self->endpoint;
    address_t address;
    bool is_known = endpoint->transport == TRANSPORT_IPC ? address_unix(&address, endpoint->path)
                                                         : address_numeric(&address, endpoint->host, endpoint->port);
    if (self->state == IDLE)
        self->since_ms = now_ms;
    if (is_known) {
        address_t *only = xcalloc(1, sizeof *only);
        *only = address;
        return connect_to(self, only, 1, now_ms);
    }
    self->state = RESOLVING;
    self->due_ms = now_ms + RESOLVE_MS;
    self->lookup = lookup_new(self->resolver, endpoint->host, self->options.ipv6, self->bell);
    return -1;
}

// A port of our own that the kernel chose as the source may be the very one: then we are connected to ourselves.
static bool
is_own(int fd, const address_t *peer)
{
    address_t own = { .length = sizeof own.at };
    return peer->at.ss_family != AF_UNIX && getsockname(fd, (struct sockaddr *)&own.at, &own.length) == 0 &&
           own.length == peer->length && memcmp(&own.at, &peer->at, own.length) == 0;
}

// --- what the loop calls --------------------------------------------------------------

int
dial_start(dial_t *self, int64_t now_ms)
{
    return self->state == IDLE || self->state == WAITING || self->state == GIVEN_UP ? begin(self, now_ms) : -1;
}

int
dial_on_ready(dial_t *self, int64_t now_ms)
{
    int error = 0;
    socklen_t size = sizeof error;
    address_t peer = { .length = sizeof peer.at };
    if (self->state != CONNECTING)
        return -1;
    getsockopt(self->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (!error && getpeername(self->fd, (struct sockaddr *)&peer.at, &peer.length) == -1)
        return -1; // called too early
    if (!error && is_own(self->fd, &peer))
        error = ECONNREFUSED;
    if (error) {
        say_errno(self, error);
        return try_next_address(self, now_ms);
    }
    int fd = self->fd;
    self->fd = -1;
    return hand_out(self, fd);
}

int
dial_tick(dial_t *self, int64_t now_ms)
{
    bool is_due = now_ms >= dial_next_ms(self);
    if (self->state == RESOLVING)
        return take_names(self, now_ms);
    if (self->state == WAITING && is_due)
        return begin(self, now_ms);
    if (self->state != CONNECTING || !is_due)
        return -1;
    set_reason(self, "timed out");
    return try_next_address(self, now_ms);
}

int
dial_fd(const dial_t *self)
{
    return self->fd;
}

uint32_t
dial_events(const dial_t *self)
{
    return self->fd == -1 ? 0 : EPOLLOUT;
}

int64_t
dial_next_ms(const dial_t *self)
{
    bool is_timed = self->state == RESOLVING || self->state == CONNECTING || self->state == WAITING;
    return is_timed ? self->due_ms : INT64_MAX;
}

// --- what became of it ----------------------------------------------------------------

void
dial_settled(dial_t *self)
{
    self->state = SETTLED;
    self->wait_ms = self->options.reconnect_ms;
    *self->reason = '\0';
}

void
dial_failed(dial_t *self, const char *reason, int64_t now_ms)
{
    set_reason(self, "%s", reason);
    wait_at_least(self, self->options.refused_ms, now_ms);
}

void
dial_lost(dial_t *self, const char *reason, int64_t now_ms)
{
    self->since_ms = now_ms;
    set_reason(self, "%s", reason);
    wait_at_least(self, 0, now_ms);
}

const char *
dial_reason(const dial_t *self, int64_t *since_ms)
{
    *since_ms = self->since_ms;
    return self->state == SETTLED ? NULL : self->reason;
}

const char *
dial_endpoint(const dial_t *self)
{
    return self->endpoint.text;
}

void
dial_free(dial_t **self_p)
{
    dial_t *self = *self_p;
    if (!self)
        return;
    end_attempt(self);
    if (self->fd != -1)
        close(self->fd);
    free(self);
    *self_p = NULL;
}
