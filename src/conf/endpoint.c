// SPDX-License-Identifier: MPL-2.0
#include "conf/endpoint.h"
#include "conf/suggest.h"
#include "conf/units.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <zmq.h>

// One parse: where we are and where the complaint goes.
typedef struct {
    const char *text;
    bool connect;
    endpoint_t *endpoint;
    char *reason;
    size_t size;
    size_t *offset;
} parse_t;

typedef struct {
    const char *name;
    const char *capability[2]; // words for zmq_has; none: every library has it
    const char *bind_refusal;  // why no route can bind it
    int (*parse)(const parse_t *self, const char *rest);
} transport_row_t;

// --- complaints --------------------------------------------------------------

__attribute__((format(printf, 3, 4))) static int
fail(const parse_t *self, const char *at, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(self->reason, self->size, format, args);
    va_end(args);
    *self->offset = (size_t)(at - self->text);
    return -1;
}

// Copy LENGTH bytes at FROM if they fit with their NUL.
static bool
copy(char *to, size_t room, const char *from, size_t length)
{
    if (length >= room)
        return false;
    memcpy(to, from, length);
    to[length] = '\0';
    return true;
}

// --- hosts and ports ---------------------------------------------------------

static bool
is_name_char(char c)
{
    return isalnum((unsigned char)c) || c == '-' || c == '_';
}

// RFC 1123 with underscores, as resolvers take them.
static bool
is_host_name(const char *host)
{
    size_t label = 0;
    for (const char *at = host; *at; at++) {
        if (*at == '.' ? label == 0 : !is_name_char(*at) || label == 63)
            return false;
        if (label == 0 && *at == '-')
            return false;
        label = *at == '.' ? 0 : label + 1;
    }
    return *host && strlen(host) <= 253;
}

static bool
is_interface_name(const char *host)
{
    for (const char *at = host; *at; at++)
        if (!is_name_char(*at) && *at != '.' && *at != '@')
            return false;
    return *host && strlen(host) <= 15 && strcasecmp(host, "localhost") != 0;
}

static bool
looks_numeric(const char *host)
{
    return host[strspn(host, "0123456789.")] == '\0';
}

// [V6] or [V6%zone] between BRACKET and the byte after the closing one.
static int
read_ipv6(const parse_t *self, const char *bracket, const char **end, char host[256])
{
    const char *close = strchr(bracket, ']');
    if (!close)
        return fail(self, bracket, "a closing ] is missing");
    char text[128];
    if (!copy(text, sizeof text, bracket + 1, (size_t)(close - bracket - 1)))
        return fail(self, bracket, "the address between brackets is too long");
    char *zone = strchr(text, '%');
    if (zone)
        *zone++ = '\0';
    struct in6_addr address;
    if (strcmp(text, "*") == 0)
        snprintf(text, sizeof text, "::");
    if (inet_pton(AF_INET6, text, &address) != 1)
        return fail(self, bracket + 1, "\"%s\" is not an IPv6 address", text);
    if (zone && !is_interface_name(zone))
        return fail(self, bracket + 1, "\"%s\" is not an interface", zone);
    char canonical[INET6_ADDRSTRLEN];
    inet_ntop(AF_INET6, &address, canonical, sizeof canonical);
    snprintf(host, 256, "%s%s%s", canonical, zone ? "%" : "", zone ? zone : "");
    *end = close + 1;
    return 0;
}

// "a:b" without brackets, more than one colon before the port: an IPv6 address?
static bool
bare_ipv6(const char *at, size_t length)
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr address;
    return copy(text, sizeof text, at, length) && inet_pton(AF_INET6, text, &address) == 1;
}

static void
lower(char *text)
{
    for (; *text; text++)
        *text = (char)tolower((unsigned char)*text);
}

static int
check_host(const parse_t *self, const char *at, char host[256], bool local)
{
    struct in_addr v4;
    if (strcmp(host, "*") == 0)
        return local ? 0 : fail(self, at, "* can be bound, not connected to; write a host");
    if (looks_numeric(host)) {
        if (inet_pton(AF_INET, host, &v4) != 1)
            return fail(self, at, "\"%s\" is not an IPv4 address", host);
        inet_ntop(AF_INET, &v4, host, INET_ADDRSTRLEN);
        return 0;
    }
    if (local && !is_interface_name(host))
        return fail(self, at, "\"%s\" is not an address, interface or *; a host name cannot be bound", host);
    if (!local && !is_host_name(host))
        return fail(self, at, "\"%s\" is not a host name or address", host);
    if (!local)
        lower(host);
    return 0;
}

static int
read_port(const parse_t *self, const char *at, size_t length, bool local, int *port, bool *wildcard)
{
    char text[16];
    int64_t number;
    if (length == 0)
        return fail(self, at, "the port is missing");
    bool digits = copy(text, sizeof text, at, length) && text[strspn(text, "0123456789")] == '\0';
    *wildcard = length == 1 && strchr("*!0", *at);
    *port = 0;
    if (*wildcard)
        return local ? 0 : fail(self, at, "a free port can be bound, not connected to; write a number");
    if (!digits && length < sizeof text)
        return fail(self, at, "\"%s\" is not a port, 1 to 65535%s", text, local ? ", or * for a free one" : "");
    if (!digits || units_number(text, &number) != 0 || number < 1 || number > 65535)
        return fail(self, at, "port %.*s is out of range, 1 to 65535", (int)(length > 20 ? 20 : length), at);
    *port = (int)number;
    return 0;
}

// HOST:PORT up to END. LOCAL: ours, an address, interface or *; else a peer's.
static int
read_host_port(const parse_t *self, const char *at, const char *end, bool local, char host[256], int *port,
               bool *wildcard)
{
    const char *colon = NULL;
    if (*at == '[') {
        if (read_ipv6(self, at, &colon, host) == -1)
            return -1;
        if (colon > end)
            return fail(self, at, "a closing ] is missing");
        if (colon == end || *colon != ':')
            return fail(self, colon, "the port is missing, as in [::1]:5555");
    } else {
        colon = memrchr(at, ':', (size_t)(end - at));
        if (!colon)
            return fail(self, at, "the port is missing, as in %s:5555", local ? "*" : "host");
        size_t length = (size_t)(colon - at);
        if (length == 0)
            return fail(self, at, "the %s before the port is missing", local ? "address" : "host");
        if (memchr(at, ':', length) && (bare_ipv6(at, length) || bare_ipv6(at, (size_t)(end - at))))
            return fail(self, at, "an IPv6 address needs brackets, as in [::1]:5555");
        if (!copy(host, 256, at, length))
            return fail(self, at, "the host is too long");
        if (check_host(self, at, host, local) == -1)
            return -1;
    }
    return read_port(self, colon + 1, (size_t)(end - colon - 1), local, port, wildcard);
}

static bool
is_loopback(const char *host)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (strcmp(host, "localhost") == 0 || strcmp(host, "lo") == 0)
        return true;
    if (inet_pton(AF_INET, host, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == 127;
    if (inet_pton(AF_INET6, host, &v6) != 1)
        return false;
    return IN6_IS_ADDR_LOOPBACK(&v6) || (IN6_IS_ADDR_V4MAPPED(&v6) && v6.s6_addr[12] == 127);
}

static void
print_host_port(char *text, size_t size, const char *host, int port)
{
    bool brackets = strchr(host, ':');
    size_t used = (size_t)snprintf(text, size, "%s%s%s:", brackets ? "[" : "", host, brackets ? "]" : "");
    if (used >= size)
        return;
    if (port)
        snprintf(text + used, size - used, "%d", port);
    else
        snprintf(text + used, size - used, "*");
}

// --- one function a transport ------------------------------------------------

static int
parse_tcp(const parse_t *self, const char *rest)
{
    endpoint_t *endpoint = self->endpoint;
    char source[300] = "", target[300];
    const char *semicolon = strchr(rest, ';');
    if (semicolon) {
        int port;
        bool any;
        char host[256];
        if (!self->connect)
            return fail(self, rest, "a source address is for connects only");
        if (read_host_port(self, rest, semicolon, true, host, &port, &any) == -1)
            return -1;
        print_host_port(source, sizeof source, host, port);
        // libzmq knows a free source port as 0, not as *.
        size_t length = strlen(source);
        if (any)
            source[length - 1] = '0';
        if (!copy(endpoint->source, sizeof endpoint->source, source, length))
            return fail(self, rest, "the source address is too long");
        rest = semicolon + 1;
    }
    if (read_host_port(self, rest, rest + strlen(rest), !self->connect, endpoint->host, &endpoint->port,
                       &endpoint->wildcard) == -1)
        return -1;
    print_host_port(target, sizeof target, endpoint->host, endpoint->port);
    int length = snprintf(endpoint->text, sizeof endpoint->text, "tcp://%s%s%s", source, *source ? ";" : "", target);
    if ((size_t)length >= sizeof endpoint->text)
        return fail(self, rest, "the endpoint is too long");
    endpoint->loopback = is_loopback(endpoint->host);
    return 0;
}

static int
parse_ws(const parse_t *self, const char *rest)
{
    endpoint_t *endpoint = self->endpoint;
    char target[300];
    const char *path = strchr(rest, '/');
    if (!path)
        path = rest + strlen(rest);
    if (read_host_port(self, rest, path, !self->connect, endpoint->host, &endpoint->port, &endpoint->wildcard) == -1)
        return -1;
    for (const char *at = path; *at; at++)
        if (*at <= ' ' || *at == 0x7f)
            return fail(self, at, "a blank in the path");
    if (strlen(path) > 200)
        return fail(self, path, "the path is too long, at most 200 bytes");
    print_host_port(target, sizeof target, endpoint->host, endpoint->port);
    snprintf(endpoint->text, sizeof endpoint->text, "%s://%s%s", transport_name(endpoint->transport), target, path);
    endpoint->loopback = is_loopback(endpoint->host);
    return 0;
}

// Two spellings of one path would be one file: /run//a and /run/./a are /run/a.
static void
squeeze_path(char *path)
{
    char *to = path;
    for (const char *from = path; *from; from++) {
        if (*from == '/' && from[1] == '/')
            continue;
        if (*from == '/' && from[1] == '.' && from[2] == '/') {
            from++;
            continue;
        }
        *to++ = *from;
    }
    *to = '\0';
}

static int
parse_ipc(const parse_t *self, const char *rest)
{
    endpoint_t *endpoint = self->endpoint;
    size_t length = strlen(rest);
    if (length == 0 || strcmp(rest, "@") == 0)
        return fail(self, rest, "the path is missing");
    if (!copy(endpoint->path, sizeof endpoint->path, rest, length))
        return fail(self, rest, "the path has %zu bytes, a UNIX socket's has at most %zu", length,
                    sizeof endpoint->path - 1);
    endpoint->wildcard = strcmp(rest, "*") == 0;
    if (endpoint->wildcard && self->connect)
        return fail(self, rest, "* can be bound, not connected to; write a path");
    if (*rest != '@' && rest[length - 1] == '/')
        return fail(self, rest, "the path is that of a folder");
    if (*rest != '@')
        squeeze_path(endpoint->path);
    snprintf(endpoint->text, sizeof endpoint->text, "ipc://%s", endpoint->path);
    endpoint->loopback = true;
    return 0;
}

static int
parse_inproc(const parse_t *self, const char *rest)
{
    if (!*rest)
        return fail(self, rest, "the name is missing");
    if (strlen(rest) > 255)
        return fail(self, rest, "the name has %zu bytes, at most 255", strlen(rest));
    snprintf(self->endpoint->text, sizeof self->endpoint->text, "inproc://%s", rest);
    self->endpoint->loopback = true;
    return 0;
}

// [ID,][INTERFACE;]GROUP:PORT; the id is norm's.
static int
parse_multicast(const parse_t *self, const char *rest)
{
    endpoint_t *endpoint = self->endpoint;
    const char *group = strchr(rest, ';');
    group = group ? group + 1 : rest;
    const char *comma = memchr(rest, ',', group > rest ? (size_t)(group - rest) : strlen(rest));
    if (comma && endpoint->transport != TRANSPORT_NORM)
        return fail(self, rest, "only norm has an id before the interface");
    int64_t id;
    char number[12];
    if (comma && (!copy(number, sizeof number, rest, (size_t)(comma - rest)) || !isdigit((unsigned char)*rest) ||
                  units_number(number, &id) != 0 || id < 1 || id > UINT32_MAX))
        return fail(self, rest, "the id is 1 to 4294967295");
    const char *interface = comma ? comma + 1 : rest;
    if (comma && group == rest)
        group = interface;
    if (group > interface) {
        if (!copy(endpoint->source, sizeof endpoint->source, interface, (size_t)(group - 1 - interface)))
            return fail(self, interface, "the interface is too long");
        if (check_host(self, interface, endpoint->source, true) == -1)
            return -1;
    }
    bool free_port;
    if (read_host_port(self, group, group + strlen(group), false, endpoint->host, &endpoint->port, &free_port) == -1)
        return -1;
    struct in_addr v4;
    struct in6_addr v6;
    bool multicast = inet_pton(AF_INET, endpoint->host, &v4) == 1
                         ? IN_MULTICAST(ntohl(v4.s_addr))
                         : inet_pton(AF_INET6, endpoint->host, &v6) == 1 && IN6_IS_ADDR_MULTICAST(&v6);
    if (!multicast && endpoint->transport != TRANSPORT_NORM)
        return fail(self, group, "\"%s\" is not a multicast address", endpoint->host);
    char target[300];
    print_host_port(target, sizeof target, endpoint->host, endpoint->port);
    snprintf(endpoint->text, sizeof endpoint->text, "%s://%.*s%s", transport_name(endpoint->transport),
             (int)(group - rest), rest, target);
    return 0;
}

// COUNT numbers of 32 bits, SEPARATORS[i] after the i-th. The whole of AT.
static bool
is_number_list(const char *at, const char *separators)
{
    for (; *separators; separators++) {
        size_t digits = strspn(at, "0123456789");
        char number[12];
        int64_t value;
        if (digits == 0 || !copy(number, sizeof number, at, digits) || units_number(number, &value) != 0 ||
            value > UINT32_MAX)
            return false;
        at += digits;
        if (*at++ != *separators)
            return false;
    }
    return *at == '\0';
}

static int
parse_tipc(const parse_t *self, const char *rest)
{
    if (strlen(rest) > 100)
        return fail(self, rest, "the address is too long");
    if (!self->connect && strcmp(rest, "<*>") != 0 && (*rest != '{' || !is_number_list(rest + 1, ",,}")))
        return fail(self, rest, "\"%s\" is not {TYPE,LOWER,UPPER} or <*>", rest);
    char name[104];
    snprintf(name, sizeof name, "%s", rest);
    char *domain = strchr(name, '@');
    if (domain)
        *domain++ = '\0';
    bool by_name = *name == '{' && is_number_list(name + 1, ",}");
    bool by_address = *name == '<' && is_number_list(name + 1, "..:>") && !domain;
    if (self->connect && !by_name && !by_address)
        return fail(self, rest, "\"%s\" is not {TYPE,INSTANCE}, {TYPE,INSTANCE}@Z.C.N or <Z.C.N:REF>", rest);
    char dotted[104];
    snprintf(dotted, sizeof dotted, "%s.", domain ? domain : "");
    if (self->connect && domain && !is_number_list(dotted, "..."))
        return fail(self, rest, "\"%s\" is not a domain Z.C.N", domain);
    self->endpoint->wildcard = strcmp(rest, "<*>") == 0;
    snprintf(self->endpoint->text, sizeof self->endpoint->text, "tipc://%s", rest);
    return 0;
}

static const transport_row_t transports[] = {
    [TRANSPORT_TCP] = { "tcp", { NULL, NULL }, NULL, parse_tcp },
    [TRANSPORT_IPC] = { "ipc", { "ipc", NULL }, NULL, parse_ipc },
    [TRANSPORT_INPROC] = { "inproc", { NULL, NULL }, NULL, parse_inproc },
    [TRANSPORT_PGM] = { "pgm", { "pgm", NULL }, NULL, parse_multicast },
    [TRANSPORT_EPGM] = { "epgm", { "pgm", NULL }, NULL, parse_multicast },
    [TRANSPORT_NORM] = { "norm", { "norm", NULL }, NULL, parse_multicast },
    [TRANSPORT_TIPC] = { "tipc", { "tipc", NULL }, NULL, parse_tipc },
    [TRANSPORT_WS] = { "ws", { "WS", "ws" }, NULL, parse_ws },
    [TRANSPORT_WSS] = { "wss", { "WSS", "wss" },
                        "libzmq ends the process where wss has no certificate, and a file cannot give it one; "
                        "let a TLS proxy lead to ws on the loopback",
                        parse_ws },
};

#define TRANSPORTS (sizeof transports / sizeof *transports)

const char *
transport_name(transport_t transport)
{
    return transport < TRANSPORTS ? transports[transport].name : "?";
}

// Asking zmq_has, never trying an endpoint: 4.3.4 aborts on some bad ones.
bool
transport_works(transport_t transport)
{
    const char *const *words = transports[transport].capability;
    return !words[0] || zmq_has(words[0]) || (words[1] && zmq_has(words[1]));
}

const char *
transport_bind_refusal(transport_t transport)
{
    return transports[transport].bind_refusal;
}

static int
unknown_transport(const parse_t *self, const char *name)
{
    suggest_t suggest = suggest_for(name);
    for (size_t i = 0; i < TRANSPORTS; i++)
        suggest_offer(&suggest, transports[i].name);
    if (strcmp(name, "udp") == 0 || strcmp(name, "vmci") == 0)
        return fail(self, self->text, "no route can use %s", name);
    if (*suggest.best)
        return fail(self, self->text, "unknown transport \"%s\"; did you mean %s://?", name, suggest.best);
    return fail(self, self->text, "unknown transport \"%s\"", name);
}

int
endpoint_parse(const char *text, bool connect, endpoint_t *endpoint, char *reason, size_t size, size_t *offset)
{
    *endpoint = (endpoint_t){ 0 };
    parse_t self = { text, connect, endpoint, reason, size, offset };
    *offset = 0;
    *reason = '\0';
    if (!*text)
        return fail(&self, text, "the endpoint is missing");
    for (const char *at = text; *at; at++)
        if ((unsigned char)*at < ' ' || *at == 0x7f)
            return fail(&self, at, "a control character in the endpoint");
    const char *colon = strstr(text, "://");
    char name[16];
    if (!colon || !copy(name, sizeof name, text, (size_t)(colon - text)) || !*name)
        return fail(&self, text, "\"%.80s\" is not TRANSPORT://ADDRESS", text);
    if (strlen(text) >= sizeof endpoint->text)
        return fail(&self, text, "the endpoint has %zu bytes, at most %zu", strlen(text), sizeof endpoint->text - 1);
    for (size_t i = 0; i < TRANSPORTS; i++)
        if (strcmp(transports[i].name, name) == 0) {
            endpoint->transport = (transport_t)i;
            return transports[i].parse(&self, colon + 3);
        }
    return unknown_transport(&self, name);
}

// --- clashes -----------------------------------------------------------------

// libzmq binds * and [::] for both families.
static bool
is_everything(const char *host)
{
    return strcmp(host, "*") == 0 || strcmp(host, "::") == 0;
}

static const char *
unaliased(const char *host)
{
    return strcmp(host, "lo") == 0 ? "127.0.0.1" : strncasecmp(host, "::ffff:", 7) == 0 ? host + 7 : host;
}

static bool
hosts_clash(const char *a, const char *b)
{
    if (is_everything(a) || is_everything(b))
        return true;
    a = unaliased(a);
    b = unaliased(b);
    if (strcmp(a, "0.0.0.0") == 0)
        return !strchr(b, ':');
    if (strcmp(b, "0.0.0.0") == 0)
        return !strchr(a, ':');
    return strcmp(a, b) == 0;
}

bool
endpoint_clash(const endpoint_t *a, const endpoint_t *b)
{
    if (a->wildcard || b->wildcard)
        return false;
    if (transport_is_over_tcp(a->transport) && transport_is_over_tcp(b->transport))
        return a->port == b->port && hosts_clash(a->host, b->host);
    return strcmp(a->text, b->text) == 0;
}

bool
endpoint_reaches(const endpoint_t *connect, const endpoint_t *bind)
{
    endpoint_t local = *connect;
    if (strcmp(local.host, "localhost") == 0)
        snprintf(local.host, sizeof local.host, "127.0.0.1");
    return endpoint_clash(&local, bind) && (connect->loopback || strcmp(connect->host, bind->host) == 0);
}

bool
endpoint_names_interface(const endpoint_t *bind)
{
    struct in_addr v4;
    struct in6_addr v6;
    return transport_is_over_tcp(bind->transport) && strcmp(bind->host, "*") != 0 &&
           inet_pton(AF_INET, bind->host, &v4) != 1 && !strchr(bind->host, ':') && inet_pton(AF_INET6, bind->host, &v6) != 1;
}

bool
transport_is_multicast(transport_t transport)
{
    return transport == TRANSPORT_PGM || transport == TRANSPORT_EPGM || transport == TRANSPORT_NORM;
}

bool
transport_is_over_tcp(transport_t transport)
{
    return transport == TRANSPORT_TCP || transport == TRANSPORT_WS || transport == TRANSPORT_WSS;
}
