// SPDX-License-Identifier: MPL-2.0
#include "net/origin.h"

#include "base/hash.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

enum { NETWORK = 8 }; // bytes of an IPv6 address that say whose it is

typedef struct {
    sa_family_t family;
    uint8_t bytes[NETWORK];
} origin_t;

static void
take_ipv4(origin_t *self, const void *address)
{
    self->family = AF_INET;
    memcpy(self->bytes, address, sizeof(struct in_addr));
}

static void
take_ipv6(origin_t *self, const struct in6_addr *address)
{
    if (IN6_IS_ADDR_V4MAPPED(address)) {
        take_ipv4(self, &address->s6_addr[12]);
        return;
    }
    self->family = AF_INET6;
    memcpy(self->bytes, address, NETWORK);
}

static void
take_user(origin_t *self, int fd)
{
    struct ucred who = { 0 };
    socklen_t size = sizeof who;
    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size);
    self->family = AF_UNIX;
    memcpy(self->bytes, &who.uid, sizeof who.uid);
}

static origin_t
nowhere(void)
{
    origin_t origin;
    memset(&origin, 0, sizeof origin); // also between the fields
    return origin;
}

uint64_t
origin_of_peer(int fd)
{
    origin_t origin = nowhere();
    struct sockaddr_storage from = { 0 };
    socklen_t size = sizeof from;
    getpeername(fd, (struct sockaddr *)&from, &size);
    if (from.ss_family == AF_INET)
        take_ipv4(&origin, &((const struct sockaddr_in *)&from)->sin_addr);
    else if (from.ss_family == AF_INET6)
        take_ipv6(&origin, &((const struct sockaddr_in6 *)&from)->sin6_addr);
    else
        take_user(&origin, fd);
    return hash_bytes(&origin, sizeof origin);
}

uint64_t
origin_of_host(const char *host)
{
    origin_t origin = nowhere();
    struct in_addr four;
    struct in6_addr six;
    char address[INET6_ADDRSTRLEN];
    snprintf(address, sizeof address, "%.*s", (int)strcspn(host, "%"), host); // without its interface
    if (inet_pton(AF_INET, address, &four) == 1)
        take_ipv4(&origin, &four);
    else if (inet_pton(AF_INET6, address, &six) == 1)
        take_ipv6(&origin, &six);
    return hash_bytes(&origin, sizeof origin);
}
