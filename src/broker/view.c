// SPDX-License-Identifier: MPL-2.0
// view.c - what is known of the routes and of the process: broker_at, broker_find, broker_status, … of broker.h.

#include "broker/slot.h"

static route_state_t
state_of(const broker_t *self, const slot_t *slot)
{
    if ((slot->mode == ROUTE_DISABLED || slot->opening_later) && broker_is_leaving(self, slot->conf->name))
        return ROUTE_DRAINING;
    if (slot->mode == ROUTE_RUNNING && self->status.stopping)
        return ROUTE_DRAINING;
    return slot->mode;
}

static void
fill(broker_t *self, slot_t *slot, broker_route_t *out)
{
    *out = (broker_route_t){ .conf = slot->conf, .route = slot->route, .cleared = &slot->cleared, .before = &slot->before };
    out->state = state_of(self, slot);
    out->failure = slot->mode == ROUTE_FAILED && slot->failure ? slot->failure : "";
    out->counters = slot_counters(self, slot);
    out->started_wall_ns = slot->started_wall_ns;
    rates_fill(&slot->rates, out);
}

size_t
broker_count(const broker_t *self)
{
    return self->count;
}

bool
broker_at(broker_t *self, size_t i, broker_route_t *route)
{
    if (i >= self->count)
        return false;
    fill(self, self->slots[i], route);
    return true;
}

bool
broker_find(broker_t *self, const char *name, broker_route_t *route)
{
    slot_t *slot = slot_find(self, name);
    if (slot)
        fill(self, slot, route);
    return slot != NULL;
}

void
broker_status(const broker_t *self, broker_status_t *status)
{
    const memory_t *memory = self->setup->resources.memory;
    const capacity_t *capacity = self->setup->resources.capacity;
    *status = self->status;
    status->full = capacity && capacity_is_full(capacity);
    status->full_by_descriptors = status->full && capacity_most(capacity) != (size_t)self->conf->max_clients;
    status->message_bytes = memory ? memory_taken(memory) : 0;
    status->max_memory = memory ? memory_limit_of(memory) : 0;
    status->reload_problems = self->reload_problems.size ? self->reload_problems.data : "";
}

const conf_t *
broker_conf(const broker_t *self)
{
    return self->conf;
}
