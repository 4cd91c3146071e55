// SPDX-License-Identifier: MPL-2.0
#include "conf/endpoint.h"
#include "conf/endpoint_internal.h"
#include "conf/suggest.h"
#include "conf/units.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <zmq.h>

typedef struct {
    const char *name;
    const char *capability[2]; // words for zmq_has; none: every library has it
    const char *bind_refusal;  // why no route can bind it
    int (*parse)(const endpoint_parse_t *self, const char *rest);
} transport_row_t;

// --- complaints --------------------------------------------------------------

int
endpoint_fail(const endpoint_parse_t *self, const char *at, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(self->reason, self->size, format, args);
    va_end(args);
    *self->offset = (size_t)(at - self->text);
    return -1;
}

bool
endpoint_copy(char *to, size_t room, const char *from, size_t length)
{
    if (length >= room)
        return false;
    memcpy(to, from, length);
    to[length] = '\0';
    return true;
}

// --- one function a transport ------------------------------------------------

static int
parse_tcp(const endpoint_parse_t *self, const char *rest)
{
    endpoint_t *endpoint = self->endpoint;
    char source[300] = "", target[300];
    const char *semicolon = strchr(rest, ';');
    if (semicolon) {
        int port;
        bool any;
        char host[256];
        if (!self->connect)
            return endpoint_fail(self, rest, "a source address is for connects only");
        if (endpoint_read_host_port(self, rest, semicolon, true, host, &port, &any) == -1)
            return -1;
        endpoint_print_host_port(source, sizeof source, host, port);
        // libzmq knows a free source port as 0, not as *.
        size_t length = strlen(source);
        if (any)
            source[length - 1] = '0';
        if (!endpoint_copy(endpoint->source, sizeof endpoint->source, source, length))
            return endpoint_fail(self, rest, "the source address is too long");
        rest = semicolon + 1;
    }
    if (endpoint_read_host_port(self, rest, rest + strlen(rest), !self->connect, endpoint->host, &endpoint->port,
                                &endpoint->wildcard) == -1)
        return -1;
    endpoint_print_host_port(target, sizeof target, endpoint->host, endpoint->port);
    int length = snprintf(endpoint->text, sizeof endpoint->text, "tcp://%s%s%s", source, *source ? ";" : "", target);
    if ((size_t)length >= sizeof endpoint->text)
        return endpoint_fail(self, rest, "the endpoint is too long");
    endpoint->loopback = endpoint_is_loopback(endpoint->host);
    return 0;
}

static int
parse_ws(const endpoint_parse_t *self, const char *rest)
{
    endpoint_t *endpoint = self->endpoint;
    char target[300];
    const char *path = strchr(rest, '/');
    if (!path)
        path = rest + strlen(rest);
    if (endpoint_read_host_port(self, rest, path, !self->connect, endpoint->host, &endpoint->port,
                                &endpoint->wildcard) == -1)
        return -1;
    for (const char *at = path; *at; at++)
        if (*at <= ' ' || *at == 0x7f)
            return endpoint_fail(self, at, "a blank in the path");
    if (strlen(path) > 200)
        return endpoint_fail(self, path, "the path is too long, at most 200 bytes");
    endpoint_print_host_port(target, sizeof target, endpoint->host, endpoint->port);
    snprintf(endpoint->text, sizeof endpoint->text, "%s://%s%s", transport_name(endpoint->transport), target, path);
    endpoint->loopback = endpoint_is_loopback(endpoint->host);
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
parse_ipc(const endpoint_parse_t *self, const char *rest)
{
    endpoint_t *endpoint = self->endpoint;
    size_t length = strlen(rest);
    if (length == 0 || strcmp(rest, "@") == 0)
        return endpoint_fail(self, rest, "the path is missing");
    if (!endpoint_copy(endpoint->path, sizeof endpoint->path, rest, length))
        return endpoint_fail(self, rest, "the path has %zu bytes, a UNIX socket's has at most %zu", length,
                             sizeof endpoint->path - 1);
    endpoint->wildcard = strcmp(rest, "*") == 0;
    if (endpoint->wildcard && self->connect)
        return endpoint_fail(self, rest, "* can be bound, not connected to; write a path");
    if (*rest != '@' && rest[length - 1] == '/')
        return endpoint_fail(self, rest, "the path is that of a folder");
    if (*rest != '@')
        squeeze_path(endpoint->path);
    snprintf(endpoint->text, sizeof endpoint->text, "ipc://%s", endpoint->path);
    endpoint->loopback = true;
    return 0;
}

static int
parse_inproc(const endpoint_parse_t *self, const char *rest)
{
    if (!*rest)
        return endpoint_fail(self, rest, "the name is missing");
    if (strlen(rest) > 255)
        return endpoint_fail(self, rest, "the name has %zu bytes, at most 255", strlen(rest));
    snprintf(self->endpoint->text, sizeof self->endpoint->text, "inproc://%s", rest);
    self->endpoint->loopback = true;
    return 0;
}

// [ID,][INTERFACE;]GROUP:PORT; the id is norm's.
static int
parse_multicast(const endpoint_parse_t *self, const char *rest)
{
    endpoint_t *endpoint = self->endpoint;
    const char *group = strchr(rest, ';');
    group = group ? group + 1 : rest;
    const char *comma = memchr(rest, ',', group > rest ? (size_t)(group - rest) : strlen(rest));
    if (comma && endpoint->transport != TRANSPORT_NORM)
        return endpoint_fail(self, rest, "only norm has an id before the interface");
    int64_t id;
    char number[12];
    if (comma && (!endpoint_copy(number, sizeof number, rest, (size_t)(comma - rest)) ||
                  !isdigit((unsigned char)*rest) || units_number(number, &id) != 0 || id < 1 || id > UINT32_MAX))
        return endpoint_fail(self, rest, "the id is 1 to 4294967295");
    const char *interface = comma ? comma + 1 : rest;
    if (comma && group == rest)
        group = interface;
    if (group > interface) {
        if (!endpoint_copy(endpoint->source, sizeof endpoint->source, interface, (size_t)(group - 1 - interface)))
            return endpoint_fail(self, interface, "the interface is too long");
        if (endpoint_check_host(self, interface, endpoint->source, true) == -1)
            return -1;
    }
    bool free_port;
    if (endpoint_read_host_port(self, group, group + strlen(group), false, endpoint->host, &endpoint->port,
                                &free_port) == -1)
        return -1;
    struct in_addr v4;
    struct in6_addr v6;
    bool multicast = inet_pton(AF_INET, endpoint->host, &v4) == 1
                         ? IN_MULTICAST(ntohl(v4.s_addr))
                         : inet_pton(AF_INET6, endpoint->host, &v6) == 1 && IN6_IS_ADDR_MULTICAST(&v6);
    if (!multicast && endpoint->transport != TRANSPORT_NORM)
        return endpoint_fail(self, group, "\"%s\" is not a multicast address", endpoint->host);
    char target[300];
    endpoint_print_host_port(target, sizeof target, endpoint->host, endpoint->port);
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
        if (digits == 0 || !endpoint_copy(number, sizeof number, at, digits) || units_number(number, &value) != 0 ||
            value > UINT32_MAX)
            return false;
        at += digits;
        if (*at++ != *separators)
            return false;
    }
    return *at == '\0';
}

static int
parse_tipc(const endpoint_parse_t *self, const char *rest)
{
    if (strlen(rest) > 100)
        return endpoint_fail(self, rest, "the address is too long");
    if (!self->connect && strcmp(rest, "<*>") != 0 && (*rest != '{' || !is_number_list(rest + 1, ",,}")))
        return endpoint_fail(self, rest, "\"%s\" is not {TYPE,LOWER,UPPER} or <*>", rest);
    char name[104];
    snprintf(name, sizeof name, "%s", rest);
    char *domain = strchr(name, '@');
    if (domain)
        *domain++ = '\0';
    bool by_name = *name == '{' && is_number_list(name + 1, ",}");
    bool by_address = *name == '<' && is_number_list(name + 1, "..:>") && !domain;
    if (self->connect && !by_name && !by_address)
        return endpoint_fail(self, rest, "\"%s\" is not {TYPE,INSTANCE}, {TYPE,INSTANCE}@Z.C.N or <Z.C.N:REF>", rest);
    char dotted[104];
    snprintf(dotted, sizeof dotted, "%s.", domain ? domain : "");
    if (self->connect && domain && !is_number_list(dotted, "..."))
        return endpoint_fail(self, rest, "\"%s\" is not a domain Z.C.N", domain);
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
    [TRANSPORT_WSS] = { "wss",
                        { "WSS", "wss" },
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

static int
unknown_transport(const endpoint_parse_t *self, const char *name)
{
    suggest_t suggest = suggest_for(name);
    for (size_t i = 0; i < TRANSPORTS; i++)
        suggest_offer(&suggest, transports[i].name);
    if (strcmp(name, "udp") == 0 || strcmp(name, "vmci") == 0)
        return endpoint_fail(self, self->text, "no route can use %s", name);
    if (*suggest.best)
        return endpoint_fail(self, self->text, "unknown transport \"%s\"; did you mean %s://?", name, suggest.best);
    return endpoint_fail(self, self->text, "unknown transport \"%s\"", name);
}

int
endpoint_parse(const char *text, bool connect, endpoint_t *endpoint, char *reason, size_t size, size_t *offset)
{
    *endpoint = (endpoint_t){ 0 };
    endpoint_parse_t self = { text, connect, endpoint, reason, size, offset };
    *offset = 0;
    *reason = '\0';
    if (!*text)
        return endpoint_fail(&self, text, "the endpoint is missing");
    for (const char *at = text; *at; at++)
        if ((unsigned char)*at < ' ' || *at == 0x7f)
            return endpoint_fail(&self, at, "a control character in the endpoint");
    const char *colon = strstr(text, "://");
    char name[16];
    if (!colon || !endpoint_copy(name, sizeof name, text, (size_t)(colon - text)) || !*name)
        return endpoint_fail(&self, text, "\"%.80s\" is not TRANSPORT://ADDRESS", text);
    if (strlen(text) >= sizeof endpoint->text)
        return endpoint_fail(&self, text, "the endpoint has %zu bytes, at most %zu", strlen(text),
                             sizeof endpoint->text - 1);
    for (size_t i = 0; i < TRANSPORTS; i++)
        if (strcmp(transports[i].name, name) == 0) {
            endpoint->transport = (transport_t)i;
            return transports[i].parse(&self, colon + 3);
        }
    return unknown_transport(&self, name);
}
