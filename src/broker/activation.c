// SPDX-License-Identifier: MPL-2.0
// activation.c - see activation.h.

#include "base/mem.h"
#include "broker/activation.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { FIRST_FD = 3, FDS_MAX = 4096 }; // SD_LISTEN_FDS_START

typedef struct {
    int fd; // -1: taken
    char *name;
    bool wanted;
    int given; // as fd was, if it is of the program before
} offer_t;

struct activation {
    offer_t *offers;
    size_t count;
};

// How many descriptors are meant for us.
static int
read_count(void)
{
    const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
    char *end;
    if (!pid || !count || strtoll(pid, NULL, 10) != getpid())
        return 0;
    long value = strtol(count, &end, 10);
    return *end || end == count || value < 0 || value > FDS_MAX ? 0 : (int)value;
}

// The next of the names between colons; "" when there are no more.
static char *
next_name(const char **names)
{
    size_t length = strcspn(*names, ":");
    char *name = xstrndup(*names, length);
    *names += length + ((*names)[length] == ':');
    return name;
}

activation_t *
activation_new(void)
{
    activation_t *self = xcalloc(1, sizeof *self);
    const char *given = getenv("LISTEN_FDNAMES");
    char *names = xstrdup(given ? given : "");
    const char *at = names;
    self->count = (size_t)read_count();
    self->offers = xcalloc(self->count + 1, sizeof *self->offers);
    for (size_t i = 0; i < self->count; i++) {
        int fd = FIRST_FD + (int)i, flags = fcntl(fd, F_GETFD);
        self->offers[i] = (offer_t){ .fd = flags == -1 ? -1 : fd, .given = -1, .name = next_name(&at) };
        if (flags != -1)
            fcntl(fd, F_SETFD, flags | FD_CLOEXEC);
    }
    free(names);
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    return self;
}

void
activation_add(activation_t *self, int fd, const char *name)
{
    self->offers = xrealloc(self->offers, self->count + 1, sizeof *self->offers);
    self->offers[self->count++] = (offer_t){ .fd = fd, .given = fd, .name = xstrdup(name) };
}

bool
activation_is_ours(void *arg, int fd)
{
    const activation_t *self = arg;
    for (size_t i = 0; i < self->count; i++)
        if (self->offers[i].given == fd)
            return true;
    return false;
}

size_t
activation_count(const activation_t *self)
{
    size_t count = 0;
    for (size_t i = 0; i < self->count; i++)
        count += self->offers[i].fd != -1;
    return count;
}

// --- addresses -------------------------------------------------------------------------

typedef union {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_un path;
    struct sockaddr_storage room;
} bound_address_t;

static int
port_of(const bound_address_t *address)
{
    switch (address->any.sa_family) {
    case AF_INET:
        return ntohs(address->v4.sin_port);
    case AF_INET6:
        return ntohs(address->v6.sin6_port);
    default:
        return 0;
    }
}

static bool
is_listening(int fd)
{
    int on = 0, type = 0;
    socklen_t size = sizeof on;
    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &size) == 0 && on &&
           getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM;
}

static bool
same_path(const endpoint_t *endpoint, const bound_address_t *address, socklen_t size)
{
    size_t length = size - offsetof(struct sockaddr_un, sun_path);
    const char *path = address->path.sun_path;
    if (endpoint->transport != TRANSPORT_IPC || size <= offsetof(struct sockaddr_un, sun_path))
        return false;
    if (!*path) // abstract: '@' stands for the NUL in front
        return endpoint->path[0] == '@' && strlen(endpoint->path) == length && memcmp(endpoint->path + 1, path + 1, length - 1) == 0;
    length = strnlen(path, length);
    return strlen(endpoint->path) == length && memcmp(endpoint->path, path, length) == 0;
}

// The address of an interface by name, as tcp://eth0:5555 has it, is not looked
// up: give the socket unit and the endpoint the same address.
static bool
same_host(const endpoint_t *endpoint, const bound_address_t *address)
{
    struct in_addr v4;
    struct in6_addr v6;
    char host[sizeof endpoint->host];
    bool any4 = address->v4.sin_addr.s_addr == htonl(INADDR_ANY);
    bool is_v4 = address->any.sa_family == AF_INET;
    if (strcmp(endpoint->host, "*") == 0)
        return is_v4 ? any4 : IN6_IS_ADDR_UNSPECIFIED(&address->v6.sin6_addr);
    snprintf(host, sizeof host, "%s", endpoint->host);
    char *zone = strchr(host, '%');
    if (zone)
        *zone++ = '\0';
    if (is_v4)
        return inet_pton(AF_INET, host, &v4) == 1 && v4.s_addr == address->v4.sin_addr.s_addr;
    if (zone && if_nametoindex(zone) != address->v6.sin6_scope_id)
        return false;
    if (inet_pton(AF_INET6, host, &v6) == 1)
        return memcmp(&v6, &address->v6.sin6_addr, sizeof v6) == 0;
    return inet_pton(AF_INET, host, &v4) == 1 && IN6_IS_ADDR_V4MAPPED(&address->v6.sin6_addr) &&
           memcmp(&v4, address->v6.sin6_addr.s6_addr + 12, sizeof v4) == 0;
}

static bool
is_bound_to(int fd, const endpoint_t *endpoint)
{
    bound_address_t address = { 0 };
    socklen_t size = sizeof address;
    if (getsockname(fd, &address.any, &size) == -1)
        return false;
    if (address.any.sa_family == AF_UNIX)
        return same_path(endpoint, &address, size);
    if (endpoint->transport != TRANSPORT_TCP || (address.any.sa_family != AF_INET && address.any.sa_family != AF_INET6))
        return false;
    return endpoint->port == port_of(&address) && !endpoint->wildcard && same_host(endpoint, &address);
}

// A wildcard endpoint has no address of its own; the store knows it by its name.
static bool
is_named_for(const offer_t *offer, const endpoint_conf_t *endpoint)
{
    char name[256];
    activation_name(endpoint, name);
    return endpoint->at.wildcard && strcmp(offer->name, name) == 0;
}

static offer_t *
find_offer(const activation_t *self, const endpoint_conf_t *endpoint)
{
    for (size_t i = 0; i < self->count && !endpoint->connect; i++) {
        offer_t *offer = &self->offers[i];
        if (offer->fd != -1 && is_listening(offer->fd) && (is_bound_to(offer->fd, &endpoint->at) || is_named_for(offer, endpoint)))
            return offer;
    }
    return NULL;
}

int
activation_take(void *arg, const endpoint_conf_t *endpoint)
{
    offer_t *offer = find_offer(arg, endpoint);
    int fd = offer ? offer->fd : -1;
    if (offer)
        offer->fd = -1;
    return fd;
}

// --- what is left --------------------------------------------------------------------------

static void
print_path(const bound_address_t *address, socklen_t size, text_t *out)
{
    size_t length = size - offsetof(struct sockaddr_un, sun_path);
    bool abstract = !address->path.sun_path[0];
    text_add(out, "%s", abstract ? "@" : "");
    text_shown(out, address->path.sun_path + abstract, abstract ? length - 1 : strnlen(address->path.sun_path, length));
}

static void
describe(int fd, activation_left_t *left)
{
    bound_address_t address = { 0 };
    socklen_t size = sizeof address;
    char host[INET6_ADDRSTRLEN] = "";
    text_t *out = &left->address;
    text_bytes(out, "", 0);
    if (getsockname(fd, &address.any, &size) == -1) {
        text_add(out, "not a socket");
        return;
    }
    left->port = port_of(&address);
    if (address.any.sa_family == AF_INET)
        text_add(out, "%s:%d", inet_ntop(AF_INET, &address.v4.sin_addr, host, sizeof host), left->port);
    else if (address.any.sa_family == AF_INET6)
        text_add(out, "[%s]:%d", inet_ntop(AF_INET6, &address.v6.sin6_addr, host, sizeof host), left->port);
    else if (address.any.sa_family == AF_UNIX && size > offsetof(struct sockaddr_un, sun_path))
        print_path(&address, size, out);
    else
        text_add(out, "a socket of another kind");
}

static void
mark_wanted(activation_t *self, const conf_t *conf)
{
    for (size_t i = 0; i < self->count; i++)
        self->offers[i].wanted = false;
    for (size_t i = 0; i < conf->route_count; i++)
        for (size_t side = 0; side < SIDES; side++)
            for (size_t j = 0; j < conf->routes[i]->sides[side].endpoint_count; j++) {
                offer_t *offer = find_offer(self, &conf->routes[i]->sides[side].endpoints[j]);
                if (offer)
                    offer->wanted = true;
            }
}

bool
activation_drop(activation_t *self, const conf_t *conf, activation_left_t *left)
{
    *left = (activation_left_t){ 0 };
    mark_wanted(self, conf);
    for (size_t i = 0; i < self->count; i++) {
        offer_t *offer = &self->offers[i];
        if (offer->fd == -1 || offer->wanted)
            continue;
        left->name = offer->name;
        describe(offer->fd, left);
        close(offer->fd);
        offer->fd = -1;
        return true;
    }
    return false;
}

void
activation_name(const endpoint_conf_t *endpoint, char name[256])
{
    snprintf(name, 256, "%.255s", endpoint->at.text);
    for (char *at = name; *at; at++)
        if (*at == ':' || (unsigned char)*at < 0x20 || *at == 0x7f)
            *at = '_';
}

void
activation_destroy(activation_t **self_p)
{
    activation_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    for (size_t i = 0; i < self->count; i++) {
        if (self->offers[i].fd != -1)
            close(self->offers[i].fd);
        free(self->offers[i].name);
    }
    free(self->offers);
    free(self);
}
