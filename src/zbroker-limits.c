// SPDX-License-Identifier: MPL-2.0
#include "zbroker-limits.h"

#include "base/log.h"
#include "net/listener.h"
#include "zbroker-process.h"
#include "zmq/shield.h"

#include <limits.h>

#define RESERVE 64       // descriptors
#define UNNAMED_MAX 1024 // clients in their handshake

// In the thread of whoever comes or goes.
static void
on_full(bool full, void *arg)
{
    const limits_t *self = arg;
    listener_accept_all(CLOSED_PROCESS_FULL, !full);
    if (!full) {
        log_fields(EVENT_PROCESS_ROOM, NULL);
        return;
    }
    bool asked_for = atomic_load(&self->limit_asked_for);
    log_event(EVENT_PROCESS_FULL, EVENT_WORDS("why", asked_for ? "max_clients" : "no more descriptors"),
              EVENT_TEXT("reason", asked_for ? "max_clients" : "descriptors"));
}

// What whoever is in its handshake takes is not for clients. With libzmq's sockets those are clients.
static uint64_t
room_for_clients(const limits_t *self, broker_t *broker)
{
    broker_route_t route;
    for (size_t i = 0; broker_at(broker, i, &route); i++)
        if (route.conf->engine == ENGINE_WIRE)
            return self->room > self->unnamed ? self->room - self->unnamed : 1;
    return self->room;
}

static void
limit_clients(limits_t *self, const conf_t *conf, broker_t *broker)
{
    uint64_t wanted = (uint64_t)conf->max_clients, room = room_for_clients(self, broker);
    if (wanted > room)
        log_event(EVENT_MAX_CLIENTS, EVENT_NUMBER("wanted", wanted), EVENT_NUMBER("descriptors", self->descriptors),
                  EVENT_NUMBER("room", room));
    atomic_store(&self->limit_asked_for, wanted && wanted <= room);
    capacity_limit(self->capacity, wanted && wanted < room ? wanted : room, on_full, self);
}

static void
limit_memory(const limits_t *self, const conf_t *conf)
{
    memory_limit(self->memory, conf->max_memory ? (uint64_t)conf->max_memory : process_memory() / 2);
}

// Control and HTTP always answer: they have a reserve that no client gets.
static void
plan_descriptors(limits_t *self)
{
    self->descriptors = process_raise_descriptor_limit();
    if (self->descriptors > INT_MAX)
        self->descriptors = INT_MAX;
    self->reserve = self->descriptors / 4 < RESERVE ? self->descriptors / 4 : RESERVE;
    shield_limit((int)(self->descriptors - self->reserve));
    uint64_t tenth = self->descriptors / 10;
    self->unnamed = tenth < 1 ? 1 : tenth < UNNAMED_MAX ? tenth : UNNAMED_MAX;
    capacity_limit_unnamed(self->capacity, self->unnamed);
    // Whoever waits in the kernel's queue comes in when the cap is reached already.
    uint64_t backlog = self->descriptors / 32;
    listener_backlog_cap(backlog ? (int)backlog : 1);
}

void
limits_open(limits_t *self, const conf_t *conf)
{
    self->capacity = capacity_new();
    self->memory = memory_new();
    limit_memory(self, conf);
    plan_descriptors(self);
}

void
limits_count(limits_t *self)
{
    uint64_t taken = process_descriptors() + self->reserve;
    self->room = taken < self->descriptors ? self->descriptors - taken : 1;
}

void
limits_apply(limits_t *self, const conf_t *conf, broker_t *broker)
{
    limit_clients(self, conf, broker);
    limit_memory(self, conf);
}

void
limits_close(limits_t *self)
{
    capacity_destroy(&self->capacity);
    memory_free(&self->memory);
}
