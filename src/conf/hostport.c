// SPDX-License-Identifier: MPL-2.0
//
// Hosts and ports in endpoints.
#include "conf/endpoint_internal.h"
#include "conf/units.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

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
read_ipv6(const endpoint_parse_t *self, const char *bracket, const char **end, char host[256])
{
    const char *close = strchr(bracket, ']');
    if (!close)
        return endpoint_fail(self, bracket, "a closing ] is missing");
    char text[128];
    if (!endpoint_copy(text, sizeof text, bracket + 1, (size_t)(close - bracket - 1)))
        return endpoint_fail(self, bracket, "the address between brackets is too long");
    char *zone = strchr(text, '%');
    if (zone)
        *zone++ = '\0';
    struct in6_addr address;
    if (strcmp(text, "*") == 0)
        snprintf(text, sizeof text, "::");
    if (inet_pton(AF_INET6, text, &address) != 1)
        return endpoint_fail(self, bracket + 1, "\"%s\" is not an IPv6 address", text);
    if (zone && !is_interface_name(zone))
        return endpoint_fail(self, bracket + 1, "\"%s\" is not an interface", zone);
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
    return endpoint_copy(text, sizeof text, at, length) && inet_pton(AF_INET6, text, &address) == 1;
}

static void
lower(char *text)
{
    for (; *text; text++)
        *text = (char)tolower((unsigned char)*text);
}

int
endpoint_check_host(const endpoint_parse_t *self, const char *at, char host[256], bool local)
{
    struct in_addr v4;
    if (strcmp(host, "*") == 0)
        return local ? 0 : endpoint_fail(self, at, "* can be bound, not connected to; write a host");
    if (looks_numeric(host)) {
        if (inet_pton(AF_INET, host, &v4) != 1)
            return endpoint_fail(self, at, "\"%s\" is not an IPv4 address", host);
        inet_ntop(AF_INET, &v4, host, INET_ADDRSTRLEN);
        return 0;
    }
    if (local && !is_interface_name(host))
        return endpoint_fail(self, at, "\"%s\" is not an address, interface or *; a host name cannot be bound", host);
    if (!local && !is_host_name(host))
        return endpoint_fail(self, at, "\"%s\" is not a host name or address", host);
    if (!local)
        lower(host);
    return 0;
}

static int
read_port(const endpoint_parse_t *self, const char *at, size_t length, bool local, int *port, bool *wildcard)
{
    char text[16];
    int64_t number;
    if (length == 0)
        return endpoint_fail(self, at, "the port is missing");
    bool digits = endpoint_copy(text, sizeof text, at, length) && text[strspn(text, "0123456789")] == '\0';
    *wildcard = length == 1 && strchr("*!0", *at);
    *port = 0;
    if (*wildcard)
        return local ? 0 : endpoint_fail(self, at, "a free port can be bound, not connected to; write a number");
    if (!digits && length < sizeof text)
        return endpoint_fail(self, at, "\"%s\" is not a port, 1 to 65535%s", text,
                             local ? ", or * for a free one" : "");
    if (!digits || units_number(text, &number) != 0 || number < 1 || number > 65535)
        return endpoint_fail(self, at, "port %.*s is out of range, 1 to 65535", (int)(length > 20 ? 20 : length), at);
    *port = (int)number;
    return 0;
}

int
endpoint_read_host_port(const endpoint_parse_t *self, const char *at, const char *end, bool local, char host[256],
                        int *port, bool *wildcard)
{
    const char *colon = NULL;
    if (*at == '[') {
        if (read_ipv6(self, at, &colon, host) == -1)
            return -1;
        if (colon > end)
            return endpoint_fail(self, at, "a closing ] is missing");
        if (colon == end || *colon != ':')
            return endpoint_fail(self, colon, "the port is missing, as in [::1]:5555");
    } else {
        colon = memrchr(at, ':', (size_t)(end - at));
        if (!colon)
            return endpoint_fail(self, at, "the port is missing, as in %s:5555", local ? "*" : "host");
        size_t length = (size_t)(colon - at);
        if (length == 0)
            return endpoint_fail(self, at, "the %s before the port is missing", local ? "address" : "host");
        if (memchr(at, ':', length) && (bare_ipv6(at, length) || bare_ipv6(at, (size_t)(end - at))))
            return endpoint_fail(self, at, "an IPv6 address needs brackets, as in [::1]:5555");
        if (!endpoint_copy(host, 256, at, length))
            return endpoint_fail(self, at, "the host is too long");
        if (endpoint_check_host(self, at, host, local) == -1)
            return -1;
    }
    return read_port(self, colon + 1, (size_t)(end - colon - 1), local, port, wildcard);
}

bool
endpoint_is_loopback(const char *host)
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

void
endpoint_print_host_port(char *text, size_t size, const char *host, int port)
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
