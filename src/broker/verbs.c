// SPDX-License-Identifier: MPL-2.0
// verbs.c - what an operator does to one route: broker_verb and broker_clear of broker.h.

#include "base/clock.h"
#include "base/log.h"
#include "broker/retire.h"
#include "broker/slot.h"

#include <string.h>

static slot_t *
ask_slot(broker_t *self, const char *name, text_t *error)
{
    slot_t *slot = slot_find(self, name);
    if (!slot)
        broker_unknown_route(self, name, error);
    return slot;
}

static int
refuse(text_t *error, const slot_t *slot, const char *why)
{
    text_add(error, "route %s %s", slot->conf->name, why);
    return -1;
}

// A verb asks a running route to take a mode, or needs a function of its own.
typedef struct {
    route_state_t mode;
    int (*act)(broker_t *self, slot_t *slot, text_t *error);
} verb_row_t;

static const char *
why_not_open(const slot_t *slot)
{
    if (slot->opening_later)
        return "still drains before it opens again; enable it to wait for that";
    return slot->mode == ROUTE_FAILED ? "has failed; enable it to try again" : "is disabled; enable it first";
}

static int
set_mode(slot_t *slot, const verb_row_t *verb, text_t *error)
{
    if (!slot->route)
        return refuse(error, slot, why_not_open(slot));
    if (slot->conf->engine == ENGINE_ZMQ_PROXY && verb->mode != ROUTE_RUNNING)
        return refuse(error, slot, "runs zmq_proxy, which cannot be paused or drained");
    if (slot->mode == verb->mode)
        return 0;
    slot->mode = verb->mode;
    route_set_mode(slot->route, verb->mode);
    log_event(EVENT_ROUTE_STATE, EVENT_TEXT("route", slot->conf->name), EVENT_TEXT("state", route_state_name(verb->mode)));
    return 0;
}

static int
disable(broker_t *self, slot_t *slot, text_t *error)
{
    (void)error;
    if (slot->route) {
        route_stop_accepting(slot->route, CLOSED_FOR_MOVE, NULL);
        retire_slot(self, slot, "disabled");
    }
    slot->mode = ROUTE_DISABLED;
    slot->opening_later = false;
    listeners_close(&slot->waiting, false);
    return 0;
}

static int
enable(broker_t *self, slot_t *slot, text_t *error)
{
    if (slot->route)
        return set_mode(slot, &(verb_row_t){ .mode = ROUTE_RUNNING }, error);
    slot->mode = ROUTE_RUNNING;
    if (broker_is_leaving(self, slot->conf->name)) {
        slot->opening_later = true; // as soon as what is draining has gone
        return 0;
    }
    diag_t *diag = diag_new();
    int rc = slot_bring_up(self, slot, "enabled", diag);
    if (rc == -1)
        text_add(error, "route %s: %s", slot->conf->name, slot->failure);
    diag_destroy(&diag);
    return rc;
}

static const verb_row_t verbs[] = {
    [VERB_PAUSE] = { .mode = ROUTE_PAUSED },
    [VERB_RESUME] = { .mode = ROUTE_RUNNING },
    [VERB_DRAIN] = { .mode = ROUTE_DRAINING },
    [VERB_DISABLE] = { .act = disable },
    [VERB_ENABLE] = { .act = enable },
};

int
broker_verb(broker_t *self, verb_t verb, const char *route, text_t *error)
{
    slot_t *slot = ask_slot(self, route, error);
    if (!slot)
        return -1;
    if (self->status.stopping)
        return refuse(error, slot, "is stopping with the process");
    if (self->leaving)
        return refuse(error, slot, "is being handed over to another program");
    const verb_row_t *row = &verbs[verb];
    return row->act ? row->act(self, slot, error) : set_mode(slot, row, error);
}

static void
clear(broker_t *self, slot_t *slot)
{
    memcpy(&slot->cleared, slot_counters(self, slot), sizeof slot->cleared);
    for (int side = 0; side < SIDES; side++) { // a spell that lasts is cleared up to now
        side_counters_t *at = &slot->cleared.sides[side];
        uint64_t since = counter_get(&at->blocked_since_ns);
        if (since)
            counter_add(&at->blocked_ns, (uint64_t)clock_mono_ns() - since);
    }
}

int
broker_clear(broker_t *self, const char *route, text_t *error)
{
    slot_t *slot = route ? ask_slot(self, route, error) : NULL;
    if (route && !slot)
        return -1;
    for (size_t i = 0; i < self->count; i++)
        if (!slot || self->slots[i] == slot)
            clear(self, self->slots[i]);
    return 0;
}
