// SPDX-License-Identifier: MPL-2.0
// libmicrohttpd gets connections that we have accepted: so it never spins when
// descriptors run out, and we know how long each request has taken to arrive. A
// client that sends a byte now and then must not hold its place.

#include "admin/http_internal.h"
#include "admin/problems.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/address.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    ACCEPTS_MAX = 16, // a turn
    RUNS_MAX = 8,     // a turn
    TICK_MS = 500,
    PATIENCE_MS = 1000, // whose request has not arrived by then makes room for others
};

// --- places -----------------------------------------------------------------------------------

place_in_time_t *
http_place(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

// libmicrohttpd tells no length of what it has decoded, and a NUL would end it
// early. A URL with one stays as it was sent, which names no resource.
static size_t
decode(void *arg, struct MHD_Connection *connection, char *url)
{
    (void)arg, (void)connection;
    return strstr(url, "%00") ? strlen(url) : MHD_http_unescape(url);
}

static void
on_completed(void *arg, struct MHD_Connection *connection, void **request, enum MHD_RequestTerminationCode how)
{
    (void)arg, (void)how;
    *request = NULL;
    place_in_time_t *place = http_place(connection);
    if (place) {
        place->answering = false; // the next request has its own time
        place->since_ms = clock_mono_ms();
    }
}

static void
on_connection(void *arg, struct MHD_Connection *connection, void **context, enum MHD_ConnectionNotificationCode what)
{
    http_t *self = arg;
    if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
        place_in_time_t *place = *context;
        if (place) {
            place->used = false;
            self->count--;
        }
        return;
    }
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    for (size_t i = 0; info && i < HTTP_CONNECTIONS_MAX; i++)
        if (!self->places[i].used) {
            self->places[i] = (place_in_time_t){ .used = true, .fd = info->connect_fd, .since_ms = clock_mono_ms() };
            self->count++;
            *context = &self->places[i];
            return;
        }
}

// --- the loop ---------------------------------------------------------------------------------

static int on_soon(zloop_t *loop, int timer, void *arg);

static void
poll_listener(http_t *self, bool on)
{
    loop_change(&self->loop, self->listener, on ? EPOLLIN : 0, &self->clients);
    self->full = !on;
}

// Let libmicrohttpd work; what it has left for later, a timer comes back for.
static void
run(http_t *self)
{
    MHD_UNSIGNED_LONG_LONG wait_ms = 0;
    bool more = true;
    for (int i = 0; i < RUNS_MAX && more; i++) {
        MHD_run(self->daemon);
        more = MHD_get_timeout(self->daemon, &wait_ms) == MHD_YES && wait_ms == 0;
    }
    if (more && self->soon == -1)
        self->soon = zloop_timer(self->main, 1, 1, on_soon, self);
    if (self->full && self->count < HTTP_CONNECTIONS_MAX)
        poll_listener(self, true);
}

static int
on_soon(zloop_t *loop, int timer, void *arg)
{
    (void)loop, (void)timer;
    http_t *self = arg;
    self->soon = -1;
    run(self);
    return 0;
}

// All places are taken and somebody waits: whoever has kept us waiting longest goes.
static bool
make_room(http_t *self)
{
    const place_in_time_t *slowest = NULL;
    int64_t limit = clock_mono_ms() - PATIENCE_MS;
    for (size_t i = 0; i < HTTP_CONNECTIONS_MAX; i++) {
        const place_in_time_t *place = &self->places[i];
        if (place->used && !place->answering && place->since_ms < limit) {
            slowest = place;
            limit = place->since_ms;
        }
    }
    if (!slowest)
        return false;
    shutdown(slowest->fd, SHUT_RDWR);
    for (int i = 0; i < RUNS_MAX && slowest->used; i++)
        MHD_run(self->daemon);
    return !slowest->used;
}

static void
accept_connections(http_t *self)
{
    for (int i = 0; i < ACCEPTS_MAX; i++) {
        if (self->count == HTTP_CONNECTIONS_MAX && !make_room(self)) {
            poll_listener(self, false); // until somebody goes, or the next tick
            return;
        }
        struct sockaddr_storage peer;
        socklen_t length = sizeof peer;
        int fd = accept4(self->listener, (struct sockaddr *)&peer, &length, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd == -1 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)) {
            log_event(EVENT_HTTP_ACCEPT, EVENT_PROSE("reason", strerror(errno)));
            poll_listener(self, false); // until the next tick
        }
        if (fd == -1)
            return;
        MHD_add_connection(self->daemon, fd, (struct sockaddr *)&peer, length); // closes it if it fails
        MHD_run(self->daemon); // so that it is counted
    }
}

static void
on_clients(watched_t *watched, uint32_t events)
{
    (void)events;
    accept_connections((http_t *)watched);
}

// It runs after every turn anyway.
static void
on_requests(watched_t *watched, uint32_t events)
{
    (void)watched, (void)events;
}

static int
on_events(zloop_t *loop, zmq_pollitem_t *item, void *arg)
{
    (void)loop, (void)item;
    http_t *self = arg;
    loop_run(&self->loop, 0);
    run(self);
    return 0;
}

static int
on_tick(zloop_t *loop, int timer, void *arg)
{
    (void)loop, (void)timer;
    http_t *self = arg;
    int64_t now = clock_mono_ms();
    problems_tick(self->broker);
    for (size_t i = 0; i < HTTP_CONNECTIONS_MAX; i++) {
        const place_in_time_t *place = &self->places[i];
        if (place->used && now - place->since_ms > (place->answering ? HTTP_ANSWER_MS : HTTP_REQUEST_MS))
            shutdown(place->fd, SHUT_RDWR); // libmicrohttpd sees the end and closes it
    }
    if (self->full)
        poll_listener(self, true);
    run(self);
    return 0;
}

// --- opening ------------------------------------------------------------------------------------

static int
open_listener(http_t *self, int port, int before, const char **reason)
{
    address_t bound;
    self->listener = before != -1 ? before : http_listen(self->host, port, reason);
    if (self->listener == -1 || !address_bound(&bound, self->listener))
        return -1;
    self->port = address_port(&bound);
    return 0;
}

static void
log_it(void *arg, const char *format, va_list args)
{
    (void)arg;
    text_t text = { 0 };
    text_vadd(&text, format, args);
    while (text.size && text.data[text.size - 1] == '\n')
        text.data[--text.size] = '\0';
    log_event(EVENT_HTTP_MESSAGE, EVENT_TEXT("message", text.data));
    text_free(&text);
}

static int
open_daemon(http_t *self)
{
    self->daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_USE_ERROR_LOG, 0, NULL, NULL, http_on_request, self,
                                    MHD_OPTION_EXTERNAL_LOGGER, log_it, self,
                                    MHD_OPTION_CONNECTION_LIMIT, (unsigned)HTTP_CONNECTIONS_MAX,
                                    MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HTTP_MEMORY,
                                    MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)(HTTP_REQUEST_MS / 1000),
                                    MHD_OPTION_UNESCAPE_CALLBACK, decode, NULL,
                                    MHD_OPTION_NOTIFY_COMPLETED, on_completed, self,
                                    MHD_OPTION_NOTIFY_CONNECTION, on_connection, self,
                                    MHD_OPTION_END);
    const union MHD_DaemonInfo *info = self->daemon ? MHD_get_daemon_info(self->daemon, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
    if (!info || loop_open(&self->loop) == -1)
        return -1;
    if (loop_watch(&self->loop, self->listener, EPOLLIN, &self->clients) == -1 ||
        loop_watch(&self->loop, info->epoll_fd, EPOLLIN, &self->requests) == -1)
        return -1;
    zmq_pollitem_t item = { .fd = self->loop.epoll, .events = ZMQ_POLLIN };
    if (zloop_poller(self->main, &item, on_events, self) == -1)
        return -1;
    self->timer = zloop_timer(self->main, TICK_MS, 0, on_tick, self);
    return 0;
}

// "[::1]" -> "::1"
static char *
without_brackets(const char *host)
{
    size_t length = strlen(host);
    bool brackets = length > 2 && host[0] == '[' && host[length - 1] == ']';
    return brackets ? xstrndup(host + 1, length - 2) : xstrdup(host);
}

http_t *
http_new(zloop_t *loop, broker_t *broker, const char *host, int port, int before, diag_t *diag)
{
    http_t *self = xcalloc(1, sizeof *self);
    const char *reason = NULL;
    *self = (http_t){ .clients.ready = on_clients,
                      .requests.ready = on_requests,
                      .main = loop,
                      .loop.epoll = -1,
                      .broker = broker,
                      .host = without_brackets(host),
                      .listener = -1,
                      .timer = -1,
                      .soon = -1 };
    gethostname(self->hostname, sizeof self->hostname - 1);
    if (open_listener(self, port, before, &reason) == 0 && open_daemon(self) == 0)
        return self;
    int error = errno;
    const char *cure = error == EACCES && port < IPPORT_RESERVED ? ": ports below 1024 need CAP_NET_BIND_SERVICE, see SERVICE in zbroker(8)" : "";
    diag_error(diag, (place_t){ 0 }, "http %s:%d: %s%s", host, port, self->listener == -1 ? reason : strerror(error), cure);
    diag_cause(diag, error);
    http_destroy(&self);
    return NULL;
}

int
http_port(const http_t *self)
{
    return self->port;
}

int
http_listener(const http_t *self)
{
    return self->listener;
}

void
http_destroy(http_t **self_p)
{
    http_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    if (self->timer != -1)
        zloop_timer_end(self->main, self->timer);
    if (self->soon != -1)
        zloop_timer_end(self->main, self->soon);
    if (self->loop.epoll != -1) {
        zmq_pollitem_t item = { .fd = self->loop.epoll, .events = ZMQ_POLLIN };
        zloop_poller_end(self->main, &item);
        loop_close(&self->loop);
    }
    if (self->listener != -1)
        close(self->listener);
    if (self->daemon)
        MHD_stop_daemon(self->daemon);
    free(self->host);
    free(self);
}
