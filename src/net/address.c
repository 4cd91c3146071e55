// SPDX-License-Identifier: MPL-2.0
#include "net/address.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

static void
set_any(address_t *self, bool ipv6)
{
    *self = (address_t){ .length = ipv6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in) };
    self->at.ss_family = ipv6 ? AF_INET6 : AF_INET; // the rest, zeros, is the address of all
}

void
address_set_port(address_t *self, int port)
{
    if (self->at.ss_family == AF_INET6)
        ((struct sockaddr_in6 *)&self->at)->sin6_port = htons((in_port_t)port);
    else
        ((struct sockaddr_in *)&self->at)->sin_port = htons((in_port_t)port);
}

int
address_port(const address_t *self)
{
    if (self->at.ss_family == AF_INET6)
        return ntohs(((const struct sockaddr_in6 *)&self->at)->sin6_port);
    return self->at.ss_family == AF_INET ? ntohs(((const struct sockaddr_in *)&self->at)->sin_port) : 0;
}

bool
address_bound(address_t *self, int fd)
{
    *self = (address_t){ .length = sizeof self->at };
    return getsockname(fd, (struct sockaddr *)&self->at, &self->length) == 0;
}

bool
address_numeric(address_t *self, const char *host, int port)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_PASSIVE }, *found;
    if (getaddrinfo(host, NULL, &hints, &found) != 0)
        return false;
    *self = (address_t){ .length = found->ai_addrlen };
    memcpy(&self->at, found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    address_set_port(self, port);
    return true;
}

// An interface's first address, as zmq_tcp(7) has it.
static bool
interface_address(address_t *self, const char *name, bool ipv6)
{
    struct ifaddrs *interfaces, *i;
    if (getifaddrs(&interfaces) == -1)
        return false;
    for (i = interfaces; i; i = i->ifa_next)
        if (i->ifa_addr && strcmp(i->ifa_name, name) == 0 &&
            (i->ifa_addr->sa_family == AF_INET || (ipv6 && i->ifa_addr->sa_family == AF_INET6)))
            break;
    if (i) {
        set_any(self, i->ifa_addr->sa_family == AF_INET6);
        memcpy(&self->at, i->ifa_addr, self->length);
    }
    freeifaddrs(interfaces);
    return i != NULL;
}

bool
address_local(address_t *self, const char *host, int port, bool ipv6)
{
    if (strcmp(host, "*") == 0)
        set_any(self, ipv6);
    else if (!address_numeric(self, host, port) && !interface_address(self, host, ipv6))
        return false;
    address_set_port(self, port);
    return true;
}

bool
address_source(address_t *self, const char *text, bool ipv6)
{
    char host[256];
    const char *colon = strrchr(text, ':'), *from = text + (*text == '['), *to = colon;
    if (!colon || colon == from)
        return false;
    to -= *text == '[';
    if (to < from || (size_t)(to - from) >= sizeof host)
        return false;
    memcpy(host, from, (size_t)(to - from));
    host[to - from] = '\0';
    return address_local(self, host, atoi(colon + 1), ipv6);
}

bool
address_unix(address_t *self, const char *path)
{
    struct sockaddr_un *address = (struct sockaddr_un *)&self->at;
    size_t length = strlen(path);
    *self = (address_t){ .length = 0 };
    if (length >= sizeof address->sun_path)
        return false;
    address->sun_family = AF_UNIX;
    memcpy(address->sun_path, path, length);
    bool abstract = *path == '@'; // has no NUL at its end, but one at its beginning
    if (abstract)
        address->sun_path[0] = '\0';
    self->length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + !abstract);
    return true;
}

// --- as text --------------------------------------------------------------------------

void
address_host(const address_t *self, char *text, size_t room)
{
    const struct sockaddr_in *four = (const struct sockaddr_in *)&self->at;
    const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)&self->at;
    *text = '\0';
    if (self->at.ss_family == AF_INET)
        inet_ntop(AF_INET, &four->sin_addr, text, (socklen_t)room);
    else if (self->at.ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&six->sin6_addr))
        inet_ntop(AF_INET, &six->sin6_addr.s6_addr[12], text, (socklen_t)room);
    else if (self->at.ss_family == AF_INET6)
        inet_ntop(AF_INET6, &six->sin6_addr, text, (socklen_t)room);
}

static void
name_unix_peer(int fd, char *text, size_t room)
{
    struct ucred who;
    socklen_t size = sizeof who;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) == 0)
        snprintf(text, room, "ipc uid %u pid %d", (unsigned)who.uid, (int)who.pid);
    else
        snprintf(text, room, "ipc");
}

void
address_peer(const address_t *self, int fd, char *text, size_t room)
{
    char host[INET6_ADDRSTRLEN];
    if (self->at.ss_family == AF_UNIX) {
        name_unix_peer(fd, text, room);
        return;
    }
    address_host(self, host, sizeof host);
    bool brackets = strchr(host, ':');
    snprintf(text, room, "%s%s%s:%d", brackets ? "[" : "", host, brackets ? "]" : "", address_port(self));
}
