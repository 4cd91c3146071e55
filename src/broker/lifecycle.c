// SPDX-License-Identifier: MPL-2.0
// lifecycle.c - the broker from broker_new to broker_destroy: all routes started, and stopped.

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "broker/authpolicy.h"
#include "broker/retire.h"
#include "broker/slot.h"
#include "broker/systemd.h"
#include "broker/takeover.h"
#include "guard/policy.h"

#include <stdlib.h>

static int
on_second(zloop_t *loop, int timer, void *arg)
{
    (void)loop;
    (void)timer;
    broker_t *self = arg;
    for (size_t i = 0; i < self->count; i++) {
        slot_t *slot = self->slots[i];
        const counters_t *counters = slot_counters(self, slot);
        rates_tick(&slot->rates, counters);
        standstill_tick(&slot->standstill, slot->conf->name, counters, slot->mode == ROUTE_RUNNING);
    }
    return 0;
}

broker_t *
broker_new(zloop_t *loop, conf_t **conf_p, const broker_setup_t *setup)
{
    broker_t *self = xcalloc(1, sizeof *self);
    self->loop = loop;
    self->setup = setup;
    self->conf = *conf_p;
    *conf_p = NULL;
    self->status.started_wall_ns = self->status.reload_wall_ns = clock_wall_ns();
    self->status.reload_ok = true;
    self->tick = self->over = -1;
    return self;
}

// All routes bind before any runs: a start that fails has not moved a message.
int
broker_start(broker_t *self, const record_t *before, diag_t *diag)
{
    bool failed = false;
    record_t nothing = { 0 };
    record_fields_t from = record_fields(before ? before : &nothing);
    if (retire_listen(self) == -1) {
        diag_error(diag, (place_t){ 0 }, "out of file descriptors");
        return -1;
    }
    int rc = authpolicy_tell(self, (const route_conf_t *const *)self->conf->routes, self->conf->route_count, diag);
    while (rc == 0 && self->conf->route_count > 0) {
        slot_t *slot = slot_add(self, conf_take(self->conf, self->conf->routes[0]->name));
        listeners_t listeners = { 0 };
        takeover_slot(slot, from);
        slot_note_before(self, slot);
        if (slot->mode == ROUTE_DISABLED)
            continue;
        takeover_savedroute(slot, from);
        if (listeners_bind(&listeners, slot->conf, &self->setup->resources, diag) == 0)
            slot->route = slot_open_route(self, slot->conf, &listeners, &slot->counters, diag);
        listeners_close(&listeners, false);
        failed |= !slot->route;
    }
    if (failed)
        rc = -1;
    for (size_t i = 0; i < self->count && rc == 0; i++)
        if (self->slots[i]->route)
            rc = slot_run(self, self->slots[i], "started");
    for (size_t i = 0; i < self->count && rc == 0; i++)
        slot_change_listeners(self->slots[i]); // of the program before
    takeover_status(self, from);
    takeover_rest(self, from);
    if (rc == 0)
        self->tick = zloop_timer(self->loop, 1000, 0, on_second, self);
    return rc;
}

void
broker_stop(broker_t *self)
{
    if (self->status.stopping) {
        log_fields(EVENT_HURRY, NULL);
        retire_all(self);
        retire_hurry(self);
        return;
    }
    self->status.stopping = true;
    systemd_stopping();
    log_event(EVENT_STOPPING, EVENT_NUMBER("drain_timeout_ms", self->conf->drain_timeout_ms));
    for (size_t i = 0; i < self->count; i++) {
        self->slots[i]->opening_later = false;
        listeners_close(&self->slots[i]->waiting, false);
        if (self->slots[i]->route)
            route_stop_accepting(self->slots[i]->route, CLOSED_FOR_DRAIN, NULL);
    }
    self->stop_ms = clock_mono_ms() + self->conf->drain_timeout_ms;
    retire_heads(self);
}

int64_t
broker_age_ms(broker_t *self)
{
    int64_t oldest = 0;
    for (size_t i = 0; i < self->count; i++) {
        int64_t age = self->slots[i]->route ? route_age_ms(self->slots[i]->route) : 0;
        oldest = age > oldest ? age : oldest;
    }
    return oldest;
}

void
broker_destroy(broker_t **self_p)
{
    broker_t *self = *self_p;
    if (!self)
        return;
    if (self->tick != -1)
        zloop_timer_end(self->loop, self->tick);
    retire_hurry(self);
    retire_bury_all(self);
    for (size_t i = 0; i < self->count; i++) {
        slot_t *slot = self->slots[i];
        if (slot->route) {
            route_finish(slot->route, 0, true);
            route_close(&slot->route, NULL);
        }
        slot_free(self, slot);
    }
    free(self->slots);
    self->count = 0;
    text_free(&self->reload_problems);
    authpolicy_end(self);
    policy_free(&self->given_up);
    conf_destroy(&self->successor);
    conf_destroy(&self->conf);
    retire_deaf(self);
    free(self);
    *self_p = NULL;
}
