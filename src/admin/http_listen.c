// SPDX-License-Identifier: MPL-2.0
// http_listen.c - the socket that the HTTP server listens on.

#include "admin/http_internal.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 64 };

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

int
http_listen(const char *host, int port, const char **reason)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE }, *found = NULL;
    bool any = strcmp(host, "*") == 0;
    int fd = -1;
    char service[16];
    snprintf(service, sizeof service, "%d", port);
    int rc = getaddrinfo(any ? NULL : host, service, &hints, &found);
    if (rc != 0) {
        errno = rc == EAI_SYSTEM ? errno : EADDRNOTAVAIL;
        *reason = rc == EAI_SYSTEM ? strerror(errno) : gai_strerror(rc);
        return -1;
    }
    // For "*" the IPv6 one first: it takes IPv4 too.
    for (int pass = 0; pass < 2 && fd == -1; pass++)
        for (const struct addrinfo *at = found; at && fd == -1; at = at->ai_next)
            if ((at->ai_family == AF_INET6) == (pass == (any ? 0 : 1)))
                fd = listen_at(at);
    *reason = strerror(errno);
    freeaddrinfo(found);
    return fd;
}
