// SPDX-License-Identifier: MPL-2.0
// takeover.c - the broker's part of an upgrade (broker.h): its routes are written
// down, and those of another program are taken over.

#include "broker/takeover.h"

#include "base/log.h"
#include "base/mem.h"
#include "broker/activation.h"
#include "broker/authpolicy.h"
#include "broker/prepare.h"
#include "broker/program.h"
#include "broker/retire.h"
#include "broker/slot.h"
#include "conf/load.h"
#include "flow/savedcounters.h"
#include "flow/savedroute.h"
#include "guard/policy.h"

#include <stdlib.h>
#include <string.h>

// Of a route. Never used for anything else again.
enum { TAG_NAME = 1, TAG_MODE, TAG_SAVEDROUTE = 5, TAG_COUNTERS, TAG_CLEARED }; // 3 and 4: counters without names

// Of a listener.
enum { TAG_FD = 1, TAG_LISTENER_NAME };

// --- leaving -------------------------------------------------------------------------

// The other program reads the file again. If we understand it, we know what becomes of our routes; from now on it is
// judged by what it names.
static void
read_successor(broker_t *self)
{
    diag_t *diag = diag_new();
    const broker_setup_t *setup = self->setup;
    conf_t *conf = conf_load(self->conf->file, setup->overrides, setup->override_count, diag);
    policy_t *policy = NULL;
    const route_conf_t *const *confs = conf ? (const route_conf_t *const *)conf->routes : NULL;
    if (conf && authpolicy_read(self, confs, conf->route_count, &policy, diag) == -1)
        conf_destroy(&conf);
    if (conf)
        authpolicy_use(self, &policy);
    self->successor = conf;
    self->given_up = policy;
    diag_destroy(&diag);
}

static void
forget_successor(broker_t *self)
{
    conf_destroy(&self->successor);
    authpolicy_use(self, &self->given_up);
    policy_free(&self->given_up);
}

// The route of the other program; NULL: it has none.
static const route_conf_t *
heir_of(const broker_t *self, const slot_t *slot)
{
    return self->successor ? conf_route(self->successor, slot->conf->name) : slot->conf;
}

// Its peers cannot go elsewhere.
static bool
has_to_drain(const broker_t *self, const slot_t *slot, bool all)
{
    const route_conf_t *heir = heir_of(self, slot);
    return slot->route && (all || !heir || !route_can_save(slot->route, heir));
}

static void
drain_others(broker_t *self, bool all)
{
    for (size_t i = 0; i < self->count; i++) {
        slot_t *slot = self->slots[i];
        slot->opening_later = false; // the other program opens it
        if (!has_to_drain(self, slot, all))
            continue;
        prepare_gather(self, slot, slot->conf, &slot->waiting);
        route_stop_accepting(slot->route, CLOSED_FOR_MOVE, NULL);
        retire_slot(self, slot, "upgraded");
    }
}

// What is queued is there several times while it is handed over.
static bool
memory_suffices(const broker_t *self, text_t *error)
{
    broker_status_t status;
    broker_status(self, &status);
    if (status.message_bytes <= status.max_memory / 4)
        return true;
    text_add(error, "messages take %llu bytes, more than a quarter of max_memory: there is no room to hand them over",
             (unsigned long long)status.message_bytes);
    return false;
}

int
broker_upgrade(broker_t *self, text_t *error)
{
    if (self->status.stopping || self->leaving) {
        text_add(error, self->leaving ? "an upgrade is under way" : "the process is stopping");
        return -1;
    }
    if (strcmp(self->conf->file, "-") == 0) {
        text_add(error, "standard input was read at the start and cannot be read again");
        return -1;
    }
    bool takes_all;
    if (!memory_suffices(self, error) || program_try(&takes_all, error) == -1)
        return -1;
    self->leaving = true;
    read_successor(self);
    if (!takes_all)
        log_fields(EVENT_UPGRADE_DRAINS, NULL);
    drain_others(self, !takes_all);
    return 0;
}

static void
save_listeners(const listeners_t *listeners, savedstate_t *to)
{
    for (size_t i = 0; i < listeners->count; i++) {
        endpoint_conf_t endpoint = { 0 };
        char name[256];
        if (listener_fd(listeners->at[i]) == -1)
            continue;
        snprintf(endpoint.at.text, sizeof endpoint.at.text, "%s", listener_wanted(listeners->at[i]));
        activation_name(&endpoint, name);
        size_t opened = record_open(&to->record, SAVEDSTATE_LISTENER);
        savedstate_fd(to, TAG_FD, listener_fd(listeners->at[i]));
        record_text(&to->record, TAG_LISTENER_NAME, name);
        record_close(&to->record, opened);
    }
}

static void
keep_listeners(broker_t *self, slot_t *slot)
{
    prepare_gather(self, slot, slot->conf, &slot->waiting);
}

static void
begin_save(broker_t *self, slot_t *slot)
{
    route_begin_save(slot->route, heir_of(self, slot));
}

static void
save_route(broker_t *self, slot_t *slot)
{
    route_save(slot->route, heir_of(self, slot), &slot->saved);
    route_finish(slot->route, 0, true);
}

static void
close_route(broker_t *self, slot_t *slot)
{
    (void)self;
    slot_close_route(slot);
}

// One step for all routes before the next: they write side by side, and none waits longer than the slowest.
static void
end_routes(broker_t *self)
{
    static void (*const steps[])(broker_t *self, slot_t *slot) = { keep_listeners, begin_save, save_route, close_route };
    for (size_t step = 0; step < COUNT(steps); step++)
        for (size_t i = 0; i < self->count; i++)
            if (self->slots[i]->route)
                steps[step](self, self->slots[i]);
}

static void
save_slot(broker_t *self, slot_t *slot, savedstate_t *to)
{
    record_t saved = slot->saved;
    slot->saved = (record_t){ 0 };
    size_t opened = record_open(&to->record, SAVEDSTATE_ROUTE);
    record_text(&to->record, TAG_NAME, slot->conf->name);
    record_number(&to->record, TAG_MODE, slot->mode);
    savedcounters_write(&to->record, TAG_COUNTERS, slot_counters(self, slot));
    savedcounters_write(&to->record, TAG_CLEARED, &slot->cleared);
    if (saved.size > 0)
        record_bytes(&to->record, TAG_SAVEDROUTE, saved.data, saved.size);
    record_close(&to->record, opened);
    int fd;
    for (size_t i = 0; savedroute_fd(&saved, i, &fd); i++)
        savedstate_keep(to, fd);
    record_forget(&saved);
}

void
broker_save(broker_t *self, savedstate_t *to)
{
    record_number(&to->record, SAVEDSTATE_STARTED, (uint64_t)self->status.started_wall_ns);
    record_number(&to->record, SAVEDSTATE_RELOADS, self->status.reloads_success);
    record_number(&to->record, SAVEDSTATE_RELOADS_FAILED, self->status.reloads_failure);
    end_routes(self);
    for (size_t i = 0; i < self->count; i++)
        save_slot(self, self->slots[i], to);
    for (size_t i = 0; i < self->count; i++)
        save_listeners(&self->slots[i]->waiting, to);
}

// --- taking over ---------------------------------------------------------------------

static bool
find_route(record_fields_t from, const char *name, record_field_t *route)
{
    record_field_t field;
    while (record_next(&from, route))
        if (route->tag == SAVEDSTATE_ROUTE && record_find(record_inside(route), TAG_NAME, &field) &&
            field.size == strlen(name) && memcmp(field.at, name, field.size) == 0)
            return true;
    return false;
}

static bool
find_savedroute(record_fields_t route, record_t *saved)
{
    record_field_t field;
    if (!record_find(route, TAG_SAVEDROUTE, &field) || field.size == 0)
        return false;
    *saved = record_of_size(field.size);
    record_add(saved, field.at, field.size);
    return true;
}

void
takeover_slot(slot_t *slot, record_fields_t from)
{
    record_field_t route;
    if (!find_route(from, slot->conf->name, &route))
        return;
    record_fields_t inside = record_inside(&route);
    savedcounters_read(inside, TAG_COUNTERS, &slot->past);
    savedcounters_read(inside, TAG_CLEARED, &slot->cleared);
    for (side_t side = 0; side < SIDES; side++)
        counter_set(&slot->past.sides[side].connections, 0);
    counters_end(&slot->past);
    slot->mode = (route_state_t)record_number_of(inside, TAG_MODE, ROUTE_DISABLED);
}

void
takeover_savedroute(slot_t *slot, record_fields_t from)
{
    record_field_t route;
    if (find_route(from, slot->conf->name, &route))
        find_savedroute(record_inside(&route), &slot->saved);
}

// Of routes that are not in the file any more.
void
takeover_rest(const broker_t *self, record_fields_t from)
{
    record_field_t route, field;
    while (record_next(&from, &route)) {
        record_t saved;
        if (route.tag != SAVEDSTATE_ROUTE || !record_find(record_inside(&route), TAG_NAME, &field))
            continue;
        char *name = record_to_text(&field, ROUTE_NAME_MAX);
        if (name && !slot_find(self, name) && find_savedroute(record_inside(&route), &saved))
            savedroute_drop(&saved);
        free(name);
    }
}

void
takeover_status(broker_t *self, record_fields_t from)
{
    int64_t started = (int64_t)record_number_of(from, SAVEDSTATE_STARTED, INT64_MAX);
    if (!started)
        return;
    self->status.started_wall_ns = started;
    self->status.reloads_success = record_number_of(from, SAVEDSTATE_RELOADS, UINT64_MAX - 1);
    self->status.reloads_success++; // the file was read anew
    self->status.reloads_failure = record_number_of(from, SAVEDSTATE_RELOADS_FAILED, UINT64_MAX);
}

void
broker_stay(broker_t *self, record_fields_t from)
{
    self->leaving = false;
    forget_successor(self);
    for (size_t i = 0; i < self->count; i++) {
        slot_t *slot = self->slots[i];
        diag_t *diag = diag_new();
        takeover_savedroute(slot, from);
        if (!slot->route && slot->mode <= ROUTE_DRAINING)
            slot_bring_up(self, slot, "started again", diag);
        diag_destroy(&diag);
    }
}

void
broker_settle(broker_t *self, size_t *routes, uint64_t *connections)
{
    *routes = *connections = 0;
    for (size_t i = 0; i < self->count; i++) {
        const slot_t *slot = self->slots[i];
        if (!slot->route)
            continue;
        route_settle(slot->route);
        ++*routes;
        for (side_t side = 0; side < SIDES; side++)
            *connections += counter_get(&slot->counters->sides[side].connections);
    }
}

// --- listening descriptors -----------------------------------------------------------

void
takeover_offer(activation_t *activation, record_fields_t from)
{
    record_field_t listener, name;
    while (record_next(&from, &listener)) {
        if (listener.tag != SAVEDSTATE_LISTENER)
            continue;
        int fd = savedstate_find_fd(record_inside(&listener), TAG_FD);
        char *text =
            record_find(record_inside(&listener), TAG_LISTENER_NAME, &name) ? record_to_text(&name, 255) : NULL;
        if (fd != -1 && text)
            activation_add(activation, fd, text);
        free(text);
    }
}
