// SPDX-License-Identifier: MPL-2.0
// connected.c - see connected.h; and broker_clients of broker.h.

#include "broker/connected.h"

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

static void
keep(const client_t *client, void *list)
{
    client_list_copy(list, client);
}

static bool
keep_all(route_t *route, void *list)
{
    route_clients(route, keep, list);
    return false;
}

void
broker_clients(broker_t *self, const char *route, client_fn_t *fn, void *arg)
{
    client_list_t clients = { 0 };
    watch_each(self->setup->services.watch, route, keep, &clients);
    any_route(self, route, keep_all, &clients);
    client_list_each(&clients, fn, arg);
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
