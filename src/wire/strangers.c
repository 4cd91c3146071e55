// SPDX-License-Identifier: MPL-2.0
#include "wire/strangers.h"

#include "base/hash.h"
#include "base/mem.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
    STRANGERS = 256,
    FORGIVEN_EVERY_MS = 20,
    NETWORK = 8, // bytes of an IPv6 address that say whose it is
};

struct stranger {
    uint32_t waiting, failures;
    int64_t since_ms; // until when failures were forgiven
};

// --- where from ------------------------------------------------------------------------

typedef struct {
    sa_family_t family;
    uint8_t bytes[NETWORK];
} origin_t;

static void
take_address(origin_t *origin, const struct sockaddr_storage *address)
{
    const struct sockaddr_in *four = (const struct sockaddr_in *)address;
    const struct in6_addr *six = &((const struct sockaddr_in6 *)address)->sin6_addr;
    bool mapped = address->ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(six);
    origin->family = mapped ? AF_INET : address->ss_family;
    if (mapped)
        memcpy(origin->bytes, &six->s6_addr[12], sizeof four->sin_addr);
    else if (origin->family == AF_INET)
        memcpy(origin->bytes, &four->sin_addr, sizeof four->sin_addr);
    else
        memcpy(origin->bytes, six, sizeof origin->bytes);
}

static void
take_user(origin_t *origin, int fd)
{
    struct ucred who = { 0 };
    socklen_t size = sizeof who;
    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size);
    memcpy(origin->bytes, &who.uid, sizeof who.uid);
}

static origin_t
origin_of(int fd)
{
    origin_t origin;
    struct sockaddr_storage address = { 0 };
    socklen_t size = sizeof address;
    memset(&origin, 0, sizeof origin); // also between the fields
    getpeername(fd, (struct sockaddr *)&address, &size);
    if (address.ss_family == AF_INET || address.ss_family == AF_INET6)
        take_address(&origin, &address);
    else
        take_user(&origin, fd);
    return origin;
}

stranger_t *
strangers_find(wire_t *self, int fd)
{
    origin_t origin = origin_of(fd);
    if (!self->strangers)
        self->strangers = xcalloc(STRANGERS, sizeof *self->strangers);
    return &self->strangers[hash_bytes(&origin, sizeof origin) % STRANGERS];
}

void
strangers_free(wire_t *self)
{
    free(self->strangers);
    self->strangers = NULL;
}

// --- what they do ------------------------------------------------------------------------

static void
forgive(stranger_t *self, int64_t now_ms)
{
    int64_t forgiven = (now_ms - self->since_ms) / FORGIVEN_EVERY_MS;
    bool all = forgiven >= self->failures;
    self->failures -= all ? self->failures : (uint32_t)forgiven;
    self->since_ms = all ? now_ms : self->since_ms + forgiven * FORGIVEN_EVERY_MS;
}

bool
strangers_may_come(stranger_t *self, int64_t now_ms)
{
    forgive(self, now_ms);
    return self->failures < STRANGERS_FAILURES_MOST;
}

void
strangers_failed(stranger_t *self, int64_t now_ms)
{
    forgive(self, now_ms);
    if (self->failures < STRANGERS_FAILURES_MOST)
        self->failures++;
}

uint32_t
strangers_waiting(const stranger_t *self)
{
    return self->waiting;
}

void
strangers_wait(stranger_t *self, int change)
{
    self->waiting += (uint32_t)change;
}
