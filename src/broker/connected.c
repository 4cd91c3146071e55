// SPDX-License-Identifier: MPL-2.0
// connected.c - see connected.h; and broker_clients of broker.h.

#include "broker/connected.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

// Call FN for each route NAME (NULL: for all) whose engine knows its clients, those on their way out included. True
// as soon as FN says so.
static bool
any_route(broker_t *self, const char *name, bool (*fn)(route_t *route, void *arg), void *arg)
{
    for (size_t i = 0; i < self->count; i++) {
        const slot_t *slot = self->slots[i];
        bool is_meant = slot->route && (!name || strcmp(slot->conf->name, name) == 0);
        if (is_meant && route_knows_clients(slot->route) && fn(slot->route, arg))
            return true;
    }
    for (retired_t *leaving = self->retired; leaving; leaving = leaving->next) {
        bool is_meant = !name || strcmp(leaving->name, name) == 0;
        if (is_meant && route_knows_clients(leaving->route) && fn(leaving->route, arg))
            return true;
    }
    return false;
}

// --- listing -------------------------------------------------------------------------------

typedef struct {
    client_t *at;
    size_t count, room;
} clients_t;

static void
keep(const client_t *client, void *arg)
{
    clients_t *self = arg;
    mem_grow(self->at, self->count, self->room);
    client_t *kept = &self->at[self->count++];
    *kept = *client;
    kept->route = xstrdup(client->route);
    if (client->routing_id)
        kept->routing_id = memcpy(xcalloc(client->routing_id_size + 1, 1), client->routing_id, client->routing_id_size);
}

static bool
keep_all(route_t *route, void *clients)
{
    route_clients(route, keep, clients);
    return false;
}

static int
by_id(const void *a, const void *b)
{
    const client_t *left = a, *right = b;
    return left->id < right->id ? -1 : left->id > right->id;
}

void
broker_clients(broker_t *self, const char *route, client_fn_t *fn, void *arg)
{
    clients_t clients = { 0 };
    watch_each(self->setup->services.watch, route, keep, &clients);
    any_route(self, route, keep_all, &clients);
    if (clients.count)
        qsort(clients.at, clients.count, sizeof *clients.at, by_id);
    for (size_t i = 0; i < clients.count; i++) {
        fn(&clients.at[i], arg);
        free((char *)clients.at[i].route);
        free((void *)clients.at[i].routing_id);
    }
    free(clients.at);
}

// --- cutting -------------------------------------------------------------------------------

static bool
kick(route_t *route, void *id)
{
    return route_kick(route, *(uint64_t *)id) == 0;
}

int
connected_kick(broker_t *self, const char *name, uint64_t id)
{
    return any_route(self, name, kick, &id) ? 0 : watch_kick(self->setup->services.watch, name, id);
}
