// SPDX-License-Identifier: MPL-2.0
#include "base/mem.h"
#include "broker/activation.h"
#include "net/address.h"

#include <fcntl.h>
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

static bool
is_listening(int fd)
{
    int on = 0, type = 0;
    socklen_t size = sizeof on;
    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &size) == 0 && on &&
           getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM;
}

static bool
same_path(const endpoint_t *endpoint, const address_t *bound)
{
    address_t wanted;
    return endpoint->transport == TRANSPORT_IPC && address_unix(&wanted, endpoint->path) &&
           wanted.length == bound->length && memcmp(&wanted.at, &bound->at, wanted.length) == 0;
}

static uint32_t
scope_of(const address_t *address)
{
    return address->at.ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)&address->at)->sin6_scope_id : 0;
}

// The address of an interface by name, as tcp://eth0:5555 has it, is not looked
// up: give the socket unit and the endpoint the same address.
static bool
same_host(const endpoint_t *endpoint, const address_t *bound)
{
    address_t wanted;
    char host[INET6_ADDRSTRLEN], wanted_host[INET6_ADDRSTRLEN];
    address_host(bound, host, sizeof host);
    if (strcmp(endpoint->host, "*") == 0)
        return strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0;
    if (!address_numeric(&wanted, endpoint->host, endpoint->port))
        return false;
    address_host(&wanted, wanted_host, sizeof wanted_host);
    bool same_zone = !strchr(endpoint->host, '%') || scope_of(&wanted) == scope_of(bound);
    return same_zone && strcmp(wanted_host, host) == 0;
}

static bool
is_bound_to(int fd, const endpoint_t *endpoint)
{
    address_t bound;
    if (!address_bound(&bound, fd))
        return false;
    if (bound.at.ss_family == AF_UNIX)
        return same_path(endpoint, &bound);
    return endpoint->transport == TRANSPORT_TCP && endpoint->port == address_port(&bound) && !endpoint->wildcard &&
           same_host(endpoint, &bound);
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
print_path(const address_t *address, text_t *out)
{
    const char *path = ((const struct sockaddr_un *)&address->at)->sun_path;
    size_t length = address->length - offsetof(struct sockaddr_un, sun_path);
    bool abstract = !*path;
    text_add(out, "%s", abstract ? "@" : "");
    text_shown(out, path + abstract, abstract ? length - 1 : strnlen(path, length));
}

static void
describe(int fd, activation_left_t *left)
{
    address_t address;
    char text[INET6_ADDRSTRLEN + 16];
    text_bytes(&left->address, "", 0);
    if (!address_bound(&address, fd)) {
        text_add(&left->address, "not a socket");
    } else if (address.at.ss_family == AF_INET || address.at.ss_family == AF_INET6) {
        left->port = address_port(&address);
        address_peer(&address, fd, text, sizeof text);
        text_add(&left->address, "%s", text);
    } else if (address.at.ss_family == AF_UNIX && address.length > offsetof(struct sockaddr_un, sun_path)) {
        print_path(&address, &left->address);
    } else {
        text_add(&left->address, "a socket of another kind");
    }
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
