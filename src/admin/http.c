// SPDX-License-Identifier: MPL-2.0
// http.c - see http.h.
//
// libmicrohttpd gets connections that we have accepted: so it never spins when
// descriptors run out, and we know how long each request has taken to arrive. A
// client that sends a byte now and then must not hold its place.

#include "admin/http.h"

#ifdef ZB_HAVE_HTTP

#include "admin/metrics.h"
#include "admin/page.h"
#include "admin/problems.h"
#include "admin/stats.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/event.h"
#include "base/mem.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <microhttpd.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define JSON_TYPE "application/json; charset=utf-8"
#define TEXT_TYPE "text/plain; charset=utf-8"

enum {
    ACCEPTS_MAX = 16, // a turn
    RUNS_MAX = 8,     // a turn
    TICK_MS = 500,
    BACKLOG = 64,
    PATIENCE_MS = 1000, // whose request has not arrived by then makes room for others
};

// A connection's place: who has come and how long its request, or our answer, takes.
typedef struct {
    bool used, answering;
    int fd;
    int64_t since_ms;
} place_in_time_t;

struct http {
    zloop_t *loop;
    broker_t *broker;
    struct MHD_Daemon *daemon;
    int listener, epoll, timer, soon;
    int port;
    bool full; // the listener is not polled
    char hostname[HOST_NAME_MAX + 1];
    char *host; // as configured
    place_in_time_t places[HTTP_CONNECTIONS_MAX];
    size_t count;
};

// --- answers ------------------------------------------------------------------------------

typedef struct {
    unsigned status;
    const char *content_type;
    const char *cache;
    text_t body;                // what we have written, or
    const page_asset_t *asset;  // what is compiled in
    const char *allow;
    char etag[24];
} answer_t;

static const struct {
    const char *name, *value;
} headers[] = {
    { "X-Content-Type-Options", "nosniff" },
    { "Content-Security-Policy",
      "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
      "base-uri 'none'; form-action 'none'; frame-ancestors 'none'" },
    { "Referrer-Policy", "no-referrer" },
    { "Cross-Origin-Resource-Policy", "same-origin" },
};

static enum MHD_Result
send_answer(struct MHD_Connection *connection, answer_t *answer)
{
    struct MHD_Response *response;
    if (answer->asset && answer->status == MHD_HTTP_OK) {
        response = MHD_create_response_from_buffer(answer->asset->size, (void *)(uintptr_t)answer->asset->bytes, MHD_RESPMEM_PERSISTENT);
    } else {
        size_t size = answer->body.size;
        response = MHD_create_response_from_buffer(size, text_take(&answer->body), MHD_RESPMEM_MUST_FREE);
    }
    if (!response)
        return MHD_NO;
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++)
        MHD_add_response_header(response, headers[i].name, headers[i].value);
    MHD_add_response_header(response, "Content-Type", answer->content_type);
    MHD_add_response_header(response, "Cache-Control", answer->cache);
    if (*answer->etag)
        MHD_add_response_header(response, "ETag", answer->etag);
    if (answer->allow)
        MHD_add_response_header(response, "Allow", answer->allow);
    enum MHD_Result result = MHD_queue_response(connection, answer->status, response);
    MHD_destroy_response(response);
    return result;
}

static void
refuse(answer_t *answer, unsigned status, const char *text)
{
    answer->status = status;
    answer->content_type = TEXT_TYPE;
    text_add(&answer->body, "%s\n", text);
}

// --- resources ------------------------------------------------------------------------------

typedef struct {
    http_t *http;
    struct MHD_Connection *connection;
    answer_t *answer;
} exchange_t;

static void
serve_page(exchange_t *exchange)
{
    exchange->answer->content_type = "text/html; charset=utf-8";
    page_write(exchange->http->broker, &exchange->answer->body);
}

static void
serve_metrics(exchange_t *exchange)
{
    exchange->answer->content_type = METRICS_CONTENT_TYPE;
    metrics_write(exchange->http->broker, &exchange->answer->body);
}

static void
serve_status(exchange_t *exchange)
{
    json_t json = json_on(&exchange->answer->body);
    json_object(&json, NULL);
    stats_status(&json, exchange->http->broker);
    json_object_end(&json);
    text_char(&exchange->answer->body, '\n');
}

static void
serve_routes(exchange_t *exchange)
{
    broker_t *broker = exchange->http->broker;
    const char *only = MHD_lookup_connection_value(exchange->connection, MHD_GET_ARGUMENT_KIND, "route");
    char now[32];
    broker_route_t route;
    json_t json = json_on(&exchange->answer->body);
    clock_rfc3339(clock_wall_ns(), now);
    json_object(&json, NULL);
    json_string(&json, "time", now);
    json_array(&json, "routes");
    for (size_t i = 0; broker_at(broker, i, &route); i++)
        if (!only || strcmp(route.conf->name, only) == 0)
            stats_route(&json, broker, &route, only ? STATS_DETAIL : STATS_HISTORY);
    json_array_end(&json);
    json_object_end(&json);
    text_char(&exchange->answer->body, '\n');
}

static void
serve_events(exchange_t *exchange)
{
    json_t json = json_on(&exchange->answer->body);
    json_object(&json, NULL);
    stats_events(&json, NULL);
    json_object_end(&json);
    text_char(&exchange->answer->body, '\n');
}

static void
serve_health(exchange_t *exchange)
{
    exchange->answer->content_type = TEXT_TYPE;
    text_add(&exchange->answer->body, "ok\n");
}

static void
serve_ready(exchange_t *exchange)
{
    text_t *body = &exchange->answer->body;
    broker_status_t status;
    broker_route_t route;
    broker_status(exchange->http->broker, &status);
    if (status.stopping)
        text_add(body, "stopping\n");
    for (size_t i = 0; broker_at(exchange->http->broker, i, &route); i++)
        if (route.state == ROUTE_FAILED)
            text_add(body, "route %s has failed\n", route.conf->name);
    exchange->answer->content_type = TEXT_TYPE;
    if (body->size)
        exchange->answer->status = MHD_HTTP_SERVICE_UNAVAILABLE;
    else
        text_add(body, "ready\n");
}

static const struct {
    const char *path;
    void (*serve)(exchange_t *exchange);
} resources[] = {
    { "/", serve_page },
    { "/metrics", serve_metrics },
    { "/api/v1/status", serve_status },
    { "/api/v1/routes", serve_routes },
    { "/api/v1/events", serve_events },
    { "/healthz", serve_health },
    { "/readyz", serve_ready },
};

// A file of the page: asked for again by every load, sent only when it has changed.
static void
serve_asset(exchange_t *exchange, const page_asset_t *asset)
{
    answer_t *answer = exchange->answer;
    uint64_t hash = UINT64_C(14695981039346656037); // FNV-1a
    for (size_t i = 0; i < asset->size; i++)
        hash = (hash ^ asset->bytes[i]) * UINT64_C(1099511628211);
    snprintf(answer->etag, sizeof answer->etag, "\"%016" PRIx64 "\"", hash);
    const char *known = MHD_lookup_connection_value(exchange->connection, MHD_HEADER_KIND, "If-None-Match");
    answer->asset = asset;
    answer->content_type = asset->content_type;
    answer->cache = "no-cache";
    if (known && strstr(known, answer->etag))
        answer->status = MHD_HTTP_NOT_MODIFIED;
}

// --- Host -----------------------------------------------------------------------------------

static bool
is_address(const char *name)
{
    unsigned char address[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1;
}

// The name in "name:port", "[v6]:port" or either without a port. False: it is none of these.
static bool
host_name(const char *header, char *name, size_t size)
{
    const char *end;
    if (*header == '[') {
        header++;
        end = strchr(header, ']');
        if (!end)
            return false;
    } else {
        end = header + strcspn(header, ":");
    }
    size_t length = (size_t)(end - header);
    end += *end == ']';
    if (*end && *end != ':')
        return false;
    for (const char *digit = *end ? end + 1 : end; *digit; digit++)
        if (!isdigit((unsigned char)*digit))
            return false;
    if (!length || length >= size)
        return false;
    memcpy(name, header, length);
    name[length] = '\0';
    return true;
}

// An attacker's name can be made to resolve to us, an address cannot: addresses
// are let in, and of names only those that are ours.
static bool
host_is_ours(const http_t *self, const char *header)
{
    char name[256];
    if (!host_name(header, name, sizeof name))
        return false;
    size_t length = strlen(name);
    if (length > 1 && name[length - 1] == '.')
        name[length - 1] = '\0';
    return is_address(name) || strcasecmp(name, "localhost") == 0 || strcasecmp(name, self->host) == 0 ||
           strcasecmp(name, self->hostname) == 0;
}

// Every value of `Host': a second one is an error (RFC 9112), whichever of them is ours.
typedef struct {
    const char *value; // of the last one, NULL: there is none
    size_t count;
} hosts_t;

static enum MHD_Result
see_header(void *arg, enum MHD_ValueKind kind, const char *name, const char *value)
{
    (void)kind;
    hosts_t *hosts = arg;
    if (strcasecmp(name, "Host") == 0) {
        hosts->value = value ? value : "";
        hosts->count++;
    }
    return MHD_YES;
}

// --- one request ------------------------------------------------------------------------------

static place_in_time_t *
place_of(struct MHD_Connection *connection)
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
fill_answer(exchange_t *exchange, const char *url)
{
    for (size_t i = 0; i < sizeof resources / sizeof *resources; i++)
        if (strcmp(url, resources[i].path) == 0) {
            resources[i].serve(exchange);
            return;
        }
    const page_asset_t *asset = page_find(url);
    if (asset)
        serve_asset(exchange, asset);
    else
        refuse(exchange->answer, MHD_HTTP_NOT_FOUND, "not found");
}

static enum MHD_Result
on_request(void *arg, struct MHD_Connection *connection, const char *url, const char *method, const char *version,
           const char *upload, size_t *upload_size, void **request)
{
    (void)upload, (void)upload_size;
    http_t *self = arg;
    bool reads = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
    if (reads && !*request) { // an answer to the first call would end the connection
        *request = self;
        return MHD_YES;
    }
    answer_t answer = { .status = MHD_HTTP_OK, .content_type = JSON_TYPE, .cache = "no-store" };
    exchange_t exchange = { self, connection, &answer };
    hosts_t hosts = { 0 };
    MHD_get_connection_values(connection, MHD_HEADER_KIND, see_header, &hosts);
    place_in_time_t *place = place_of(connection);
    if (place) {
        place->answering = true;
        place->since_ms = clock_mono_ms();
    }
    if (!reads) {
        refuse(&answer, MHD_HTTP_METHOD_NOT_ALLOWED, "this server only answers GET and HEAD");
        answer.allow = "GET, HEAD";
    } else if (hosts.count > 1) {
        refuse(&answer, MHD_HTTP_BAD_REQUEST, "more than one Host");
    } else if (!hosts.count && strcmp(version, "HTTP/1.0") != 0) {
        refuse(&answer, MHD_HTTP_BAD_REQUEST, "no Host");
    } else if (hosts.count && !host_is_ours(self, hosts.value)) {
        refuse(&answer, MHD_HTTP_MISDIRECTED_REQUEST, "not a host of this server: use its address, its own name or localhost");
    } else {
        fill_answer(&exchange, url);
    }
    enum MHD_Result result = send_answer(connection, &answer);
    text_free(&answer.body);
    return result;
}

static void
on_completed(void *arg, struct MHD_Connection *connection, void **request, enum MHD_RequestTerminationCode how)
{
    (void)arg, (void)how;
    *request = NULL;
    place_in_time_t *place = place_of(connection);
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
    struct epoll_event event = { .events = on ? EPOLLIN : 0, .data.fd = self->listener };
    epoll_ctl(self->epoll, EPOLL_CTL_MOD, self->listener, &event);
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
        self->soon = zloop_timer(self->loop, 1, 1, on_soon, self);
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

static int
on_events(zloop_t *loop, zmq_pollitem_t *item, void *arg)
{
    (void)loop, (void)item;
    http_t *self = arg;
    struct epoll_event events[2];
    int count = epoll_wait(self->epoll, events, 2, 0);
    for (int i = 0; i < count; i++)
        if (events[i].data.fd == self->listener)
            accept_connections(self);
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
listen_at(const struct addrinfo *address)
{
    int on = 1, fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd == -1)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    int off = 0;
    if (address->ai_family == AF_INET6) // "*" is for both families
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    if (bind(fd, address->ai_addr, address->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    int why = errno;
    close(fd);
    errno = why;
    return -1;
}

// 0, or -1 with the reason.
static int
bind_listener(http_t *self, int port, const char **reason)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE }, *found = NULL;
    char service[16];
    snprintf(service, sizeof service, "%d", port);
    int rc = getaddrinfo(strcmp(self->host, "*") == 0 ? NULL : self->host, service, &hints, &found);
    if (rc != 0) {
        errno = rc == EAI_SYSTEM ? errno : EADDRNOTAVAIL;
        *reason = rc == EAI_SYSTEM ? strerror(errno) : gai_strerror(rc);
        return -1;
    }
    // For "*" the IPv6 one first: it takes IPv4 too.
    for (int pass = 0; pass < 2 && self->listener == -1; pass++)
        for (const struct addrinfo *at = found; at && self->listener == -1; at = at->ai_next)
            if ((at->ai_family == AF_INET6) == (strcmp(self->host, "*") == 0 ? pass == 0 : pass == 1))
                self->listener = listen_at(at);
    *reason = strerror(errno);
    freeaddrinfo(found);
    return self->listener == -1 ? -1 : 0;
}

static int
open_listener(http_t *self, int port, int before, const char **reason)
{
    struct sockaddr_storage bound;
    socklen_t length = sizeof bound;
    self->listener = before;
    if (self->listener == -1 && bind_listener(self, port, reason) == -1)
        return -1;
    if (getsockname(self->listener, (struct sockaddr *)&bound, &length) == -1)
        return -1;
    self->port = ntohs(bound.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&bound)->sin6_port : ((struct sockaddr_in *)&bound)->sin_port);
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
    self->daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_USE_ERROR_LOG, 0, NULL, NULL, on_request, self,
                                    MHD_OPTION_EXTERNAL_LOGGER, log_it, self,
                                    MHD_OPTION_CONNECTION_LIMIT, (unsigned)HTTP_CONNECTIONS_MAX,
                                    MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HTTP_MEMORY,
                                    MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)(HTTP_REQUEST_MS / 1000),
                                    MHD_OPTION_UNESCAPE_CALLBACK, decode, NULL,
                                    MHD_OPTION_NOTIFY_COMPLETED, on_completed, self,
                                    MHD_OPTION_NOTIFY_CONNECTION, on_connection, self,
                                    MHD_OPTION_END);
    const union MHD_DaemonInfo *info = self->daemon ? MHD_get_daemon_info(self->daemon, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
    self->epoll = info ? epoll_create1(EPOLL_CLOEXEC) : -1;
    if (self->epoll == -1)
        return -1;
    struct epoll_event ours = { .events = EPOLLIN, .data.fd = self->listener }, its = { .events = EPOLLIN, .data.fd = info->epoll_fd };
    if (epoll_ctl(self->epoll, EPOLL_CTL_ADD, self->listener, &ours) == -1 || epoll_ctl(self->epoll, EPOLL_CTL_ADD, info->epoll_fd, &its) == -1)
        return -1;
    zmq_pollitem_t item = { .fd = self->epoll, .events = ZMQ_POLLIN };
    if (zloop_poller(self->loop, &item, on_events, self) == -1)
        return -1;
    self->timer = zloop_timer(self->loop, TICK_MS, 0, on_tick, self);
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
    *self = (http_t){ .loop = loop, .broker = broker, .host = without_brackets(host), .listener = -1, .epoll = -1, .timer = -1, .soon = -1 };
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
        zloop_timer_end(self->loop, self->timer);
    if (self->soon != -1)
        zloop_timer_end(self->loop, self->soon);
    if (self->epoll != -1) {
        zmq_pollitem_t item = { .fd = self->epoll, .events = ZMQ_POLLIN };
        zloop_poller_end(self->loop, &item);
        close(self->epoll);
    }
    if (self->listener != -1)
        close(self->listener);
    if (self->daemon)
        MHD_stop_daemon(self->daemon);
    free(self->host);
    free(self);
}

#else // built without libmicrohttpd

http_t *
http_new(zloop_t *loop, broker_t *broker, const char *host, int port, int before, diag_t *diag)
{
    (void)loop, (void)broker, (void)before;
    diag_error(diag, (place_t){ 0 }, "http %s:%d: this zbroker was built without HTTP (libmicrohttpd)", host, port);
    return NULL;
}

int
http_port(const http_t *self)
{
    (void)self;
    return 0;
}

int
http_listener(const http_t *self)
{
    (void)self;
    return -1;
}

void
http_destroy(http_t **self_p)
{
    *self_p = NULL;
}

#endif
