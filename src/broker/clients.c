// SPDX-License-Identifier: MPL-2.0
// clients.c - broker_clients and broker_kick of broker.h: a route's engine knows who is connected, or the watch does.

#include "base/event.h"
#include "broker/slot.h"

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
    watch_each(self->setup->resources.watch, route, keep, &clients);
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
broker_kick(broker_t *self, const char *route, const char *client, text_t *error)
{
    if (!slot_find(self, route)) {
        broker_unknown_route(self, route, error);
        return -1;
    }
    char *end;
    uint64_t id = strtoull(client, &end, 10);
    bool is_number = *client && *client != '-' && !*end;
    if (is_number && (any_route(self, route, kick, &id) || watch_kick(self->setup->resources.watch, route, id) == 0)) {
        log_event(EVENT_CLIENT_KICKED, EVENT_TEXT("route", route), EVENT_NUMBER("client", id));
        return 0;
    }
    text_add(error, "route %s has no client %s", route, client);
    return -1;
}
