// SPDX-License-Identifier: MPL-2.0
#include "broker/prepare.h"

#include "broker/slot.h"
#include "store/store.h"

#include <stdlib.h>
#include <string.h>

static bool
binds_without_descriptor(const route_conf_t *conf)
{
    for (side_t side = 0; side < SIDES; side++)
        for (size_t i = 0; i < conf->sides[side].endpoint_count; i++) {
            const endpoint_conf_t *endpoint = &conf->sides[side].endpoints[i];
            if (!endpoint->connect && !transport_is_over_tcp(endpoint->at.transport) && endpoint->at.transport != TRANSPORT_IPC)
                return true;
        }
    return false;
}

static void
share_others(broker_t *self, const slot_t *own, listeners_t *shared)
{
    for (size_t i = 0; i < self->count; i++)
        if (self->slots[i] != own && self->slots[i]->route)
            route_share_listeners(self->slots[i]->route, shared);
    for (const retired_t *i = self->retired; i; i = i->next)
        route_share_listeners(i->route, shared);
}

// What CONF binds and somebody has bound already: the route's own, or that of
// another route, for an endpoint may move from one route to another.
static void
keep_wanted(listeners_t *own, listeners_t *others, listeners_t *to, const route_conf_t *conf)
{
    for (side_t side = 0; side < SIDES; side++)
        for (size_t i = 0; i < conf->sides[side].endpoint_count; i++) {
            const endpoint_conf_t *endpoint = &conf->sides[side].endpoints[i];
            if (endpoint->connect)
                continue;
            listener_t *listener = listeners_take(own, side, endpoint->at.text);
            if (!listener)
                listener = listeners_take_any(others, endpoint->at.text);
            if (listener)
                listeners_add(to, listener, side);
        }
}

// Whoever is of that name, and delivers still, keeps its consumers meanwhile.
static bool
is_named(const broker_t *self, const char *name)
{
    const slot_t *slot = slot_find(self, name);
    bool named = slot && slot->route;
    for (const retired_t *i = self->retired; i; i = i->next)
        named |= strcmp(i->name, name) == 0;
    return named;
}

void
prepare_gather(broker_t *self, const slot_t *slot, const route_conf_t *wanted, listeners_t *to)
{
    listeners_t own = { 0 }, others = { 0 };
    if (slot)
        route_share_listeners(slot->route, &own);
    share_others(self, slot, &others);
    keep_wanted(&own, &others, to, wanted);
    to->wait = is_named(self, wanted->name);
    listeners_close(&own, false);
    listeners_close(&others, false);
}

// The listeners that the running route of this name has already need not be given to it again.
static void
leave_out_own(const slot_t *slot, listeners_t *listeners)
{
    listeners_t own = { 0 };
    route_share_listeners(slot->route, &own);
    for (size_t i = 0; i < own.count; i++) {
        listener_t *twin = listeners_take(listeners, own.side[i], listener_wanted(own.at[i]));
        listener_close(&twin, false);
    }
    listeners_close(&own, false);
}

// Disabled or failed routes stay so, with the new configuration.
static slot_t *
slot_of(const broker_t *self, const plan_step_t *step)
{
    return step->running ? slot_find(self, step->running->name) : NULL;
}

static bool
needs_sockets(const broker_t *self, const plan_step_t *step)
{
    const slot_t *slot = slot_of(self, step);
    return step->action != PLAN_KEEP && step->action != PLAN_STOP && (!slot || slot->route);
}

int
prepare_bind(broker_t *self, const plan_step_t *step, prepared_t *ready, diag_t *diag)
{
    if (!needs_sockets(self, step))
        return 0;
    const slot_t *slot = slot_of(self, step);
    prepare_gather(self, slot, step->wanted, &ready->listeners);
    if (listeners_bind(&ready->listeners, step->wanted, &self->setup->resources, diag) == -1)
        return -1;
    if (step->action == PLAN_CHANGE)
        leave_out_own(slot, &ready->listeners);
    ready->later = step->action == PLAN_REPLACE && binds_without_descriptor(step->wanted);
    return 0;
}

static bool
opens_a_store(const plan_step_t *step)
{
    return step->action != PLAN_CHANGE && step->wanted->store;
}

int
prepare_try(broker_t *self, const plan_step_t *step, diag_t *diag)
{
    const route_conf_t *wanted = step->wanted;
    if (!needs_sockets(self, step))
        return 0;
    listeners_t kept = { 0 };
    prepare_gather(self, slot_of(self, step), wanted, &kept);
    int rc = listeners_try(&kept, wanted, diag);
    listeners_close(&kept, false);
    if (opens_a_store(step))
        rc |= store_could_open(wanted->name, wanted->store_dir, diag, wanted->place);
    return rc;
}

int
prepare_open(broker_t *self, const plan_step_t *step, prepared_t *ready, diag_t *diag)
{
    if (!needs_sockets(self, step) || step->action == PLAN_CHANGE || ready->later)
        return 0;
    ready->route = slot_open_route(self, step->wanted, &ready->listeners, &ready->counters, diag);
    return ready->route ? 0 : -1;
}

void
prepare_undo(prepared_t *ready)
{
    route_close(&ready->route, NULL);
    listeners_close(&ready->listeners, false);
    free(ready->counters);
}
