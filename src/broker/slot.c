// SPDX-License-Identifier: MPL-2.0
#include "broker/slot.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "broker/authpolicy.h"
#include "flow/savedroute.h"

#include <stdlib.h>
#include <string.h>

// --- the list ------------------------------------------------------------------------------

slot_t *
slot_find(const broker_t *self, const char *name)
{
    for (size_t i = 0; i < self->count; i++)
        if (strcmp(self->slots[i]->conf->name, name) == 0)
            return self->slots[i];
    return NULL;
}

slot_t *
slot_add(broker_t *self, route_conf_t *conf)
{
    mem_grow(self->slots, self->count, self->room);
    slot_t *slot = self->slots[self->count++] = xcalloc(1, sizeof *slot);
    slot->conf = conf;
    slot_note_before(self, slot);
    return slot;
}

void
slot_give_up_conf(broker_t *self, route_conf_t **conf_p)
{
    for (retired_t *i = self->retired; i; i = i->next)
        if (i->conf == *conf_p) {
            i->owns_conf = true;
            *conf_p = NULL;
        }
    route_conf_destroy(conf_p);
}

void
slot_free(broker_t *self, slot_t *slot)
{
    slot_give_up_conf(self, &slot->conf);
    listeners_close(&slot->waiting, false);
    savedroute_drop(&slot->saved);
    free(slot->counters);
    free(slot->failure);
    rates_free(&slot->rates);
    free(slot);
}

void
slot_remove(broker_t *self, slot_t *slot)
{
    for (size_t i = 0; i < self->count; i++)
        if (self->slots[i] == slot) {
            memmove(&self->slots[i], &self->slots[i + 1], (self->count - i - 1) * sizeof *self->slots);
            self->count--;
            return;
        }
}

// --- what it has counted -------------------------------------------------------------------

static bool
belongs_to(const retired_t *retired, const slot_t *slot)
{
    return strcmp(retired->name, slot->conf->name) == 0;
}

// When it is blocked is told by the one that runs; for how long those before it were, counts.
static void
add_past(counters_t *total, const counters_t *past)
{
    counters_add(total, past);
    for (side_t side = 0; side < SIDES; side++)
        counters_end_blocked(&total->sides[side]);
}

const counters_t *
slot_counters(broker_t *self, slot_t *slot)
{
    memset(&slot->total, 0, sizeof slot->total);
    counters_add(&slot->total, authpolicy_logins(self, slot->conf->name));
    add_past(&slot->total, &slot->past);
    for (const retired_t *i = self->retired; i; i = i->next)
        if (belongs_to(i, slot))
            add_past(&slot->total, i->counters);
    if (slot->counters)
        counters_add(&slot->total, slot->counters);
    return &slot->total;
}

void
slot_note_before(broker_t *self, slot_t *slot)
{
    memcpy(&slot->before, slot_counters(self, slot), sizeof slot->before);
    rates_begin(&slot->rates, &slot->before);
}

// --- its listeners -------------------------------------------------------------------------

void
slot_log_problems(const slot_t *slot, diag_t *diag)
{
    diag_item_t problem;
    for (size_t i = 0; diag_at(diag, i, &problem); i++)
        log_problem(EVENT_ROUTE_CHANGE, slot->conf->name, &problem);
}

void
slot_change_listeners(const slot_t *slot)
{
    diag_t *diag = diag_new();
    listeners_t own = { 0 };
    if (slot->route)
        route_share_listeners(slot->route, &own);
    listeners_change(&own, slot->conf, diag);
    listeners_change(&slot->waiting, slot->conf, diag);
    listeners_close(&own, false);
    slot_log_problems(slot, diag);
    diag_destroy(&diag);
}

// --- its route -----------------------------------------------------------------------------

// For people, "frontend tcp://...:5555, backend ..."; for machines what SIDE has, with commas.
static void
describe(const route_t *route, side_t side, text_t *words, text_t *endpoints)
{
    bool connected;
    const char *endpoint;
    for (size_t i = 0; (endpoint = route_endpoint(route, side, i, &connected)); i++) {
        text_add(words, "%s%s %s%s", words->size ? ", " : "", side_name(side), connected ? ">" : "", endpoint);
        text_add(endpoints, "%s%s%s", i ? "," : "", connected ? ">" : "", endpoint);
    }
}

static void
log_started(const slot_t *slot, const char *how)
{
    text_t words = { 0 }, sides[SIDES] = { { 0 } };
    for (side_t side = 0; side < SIDES; side++)
        describe(slot->route, side, &words, &sides[side]);
    log_event(EVENT_ROUTE_STARTED, EVENT_TEXT("route", slot->conf->name), EVENT_TEXT("type", slot->conf->pattern->name),
              EVENT_PROSE("how", how), EVENT_WORDS("endpoints", words.data),
              EVENT_TEXT("frontend", sides[SIDE_FRONTEND].data), EVENT_TEXT("backend", sides[SIDE_BACKEND].data),
              EVENT_TEXT("ingress", sides[SIDE_INGRESS].data), EVENT_TEXT("capture", sides[SIDE_CAPTURE].data));
    for (side_t side = 0; side < SIDES; side++)
        text_free(&sides[side]);
    text_free(&words);
}

int
slot_run(const broker_t *self, slot_t *slot, const char *event)
{
    if (slot->saved.data)
        route_take(slot->route, &slot->saved);
    if (route_run(slot->route, self->over) == -1) {
        log_event(EVENT_ROUTE_THREAD, EVENT_TEXT("route", slot->conf->name), EVENT_PROSE("reason", strerror(errno)));
        return -1;
    }
    slot->started_wall_ns = clock_wall_ns();
    if (slot->mode == ROUTE_PAUSED || slot->mode == ROUTE_DRAINING)
        route_set_mode(slot->route, slot->mode);
    else
        slot->mode = ROUTE_RUNNING;
    log_started(slot, event);
    return 0;
}

static void
fail(slot_t *slot, const char *reason)
{
    slot->mode = ROUTE_FAILED;
    free(slot->failure);
    slot->failure = xstrdup(reason);
    log_event(EVENT_ROUTE_FAILED, EVENT_TEXT("route", slot->conf->name), EVENT_PROSE("reason", slot->failure));
}

void
slot_fail(slot_t *slot, diag_t *diag)
{
    diag_level_t level;
    const char *reason = diag_text(diag, 0, &level);
    fail(slot, reason ? reason : "unknown reason");
}

route_t *
slot_open_route(broker_t *self, const route_conf_t *conf, listeners_t *listeners, counters_t **counters, diag_t *diag)
{
    *counters = xcalloc(1, sizeof **counters);
    route_t *route = route_open(conf, listeners, &self->setup->resources, *counters, diag);
    if (!route) {
        free(*counters);
        *counters = NULL;
    }
    return route;
}

void
slot_close_route(slot_t *slot)
{
    route_close(&slot->route, NULL);
    counters_add(&slot->past, slot->counters);
    free(slot->counters);
    slot->counters = NULL;
}

void
slot_drop_route(slot_t *slot, diag_t *diag)
{
    diag_error(diag, slot->conf->place, "[route %s] cannot start its thread", slot->conf->name);
    slot_close_route(slot);
}

void
slot_look_for_failure(slot_t *slot)
{
    const char *reason = slot->route ? route_failure(slot->route) : NULL;
    if (!reason)
        return;
    char *failure = xasprintf("%s%s", slot->conf->engine == ENGINE_ZMQ_PROXY ? "zmq_proxy has ended: " : "", reason);
    slot_close_route(slot);
    fail(slot, failure);
    free(failure);
}

bool
slot_has_endpoint(const slot_t *slot, const char *endpoint, bool connect)
{
    for (side_t side = 0; slot->route && side < SIDES; side++)
        if (side_has_endpoint(&slot->conf->sides[side], endpoint, connect))
            return true;
    return false;
}

// Other routes of ours that lead here over inproc.
static void
call_back(broker_t *self, const slot_t *slot)
{
    for (side_t side = 0; side < SIDES; side++)
        for (size_t i = 0; i < slot->conf->sides[side].endpoint_count; i++) {
            const endpoint_conf_t *endpoint = &slot->conf->sides[side].endpoints[i];
            if (endpoint->connect || endpoint->at.transport != TRANSPORT_INPROC)
                continue;
            for (size_t j = 0; j < self->count; j++)
                if (slot_has_endpoint(self->slots[j], endpoint->at.text, true))
                    route_reconnect(self->slots[j]->route, endpoint->at.text);
        }
}

int
slot_bring_up(broker_t *self, slot_t *slot, const char *event, diag_t *diag)
{
    if (listeners_bind(&slot->waiting, slot->conf, &self->setup->resources, diag) == 0)
        slot->route = slot_open_route(self, slot->conf, &slot->waiting, &slot->counters, diag);
    listeners_close(&slot->waiting, false);
    if (slot->route && slot_run(self, slot, event) == -1)
        slot_drop_route(slot, diag);
    if (!slot->route) {
        slot_fail(slot, diag);
        return -1;
    }
    call_back(self, slot);
    free(slot->failure);
    slot->failure = NULL;
    return 0;
}

void
slot_open_again(broker_t *self, slot_t *slot)
{
    slot->opening_later = false;
    diag_t *diag = diag_new();
    slot_bring_up(self, slot, "started again", diag);
    diag_destroy(&diag);
}
