// SPDX-License-Identifier: MPL-2.0
//
// Endpoints beside each other: which exclude each other, and which leads to which.
#include "conf/endpoint.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

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
           inet_pton(AF_INET, bind->host, &v4) != 1 && !strchr(bind->host, ':') &&
           inet_pton(AF_INET6, bind->host, &v6) != 1;
}
