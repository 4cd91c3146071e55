// SPDX-License-Identifier: MPL-2.0
#include "broker/apply.h"

#include "base/log.h"
#include "base/mem.h"
#include "broker/retire.h"
#include "broker/slot.h"

#include <stdlib.h>
#include <string.h>

static void
adopt_conf(slot_t *slot, conf_t *wanted)
{
    char name[ROUTE_NAME_MAX + 1];
    memcpy(name, slot->conf->name, sizeof name);
    slot->conf = conf_take(wanted, name);
}

static void
run_ready(const broker_t *self, slot_t *slot, const char *event)
{
    if (slot_run(self, slot, event) == 0)
        return;
    diag_t *diag = diag_new();
    slot_drop_route(slot, diag);
    slot_fail(slot, diag);
    diag_destroy(&diag);
}

static void
do_start(broker_t *self, conf_t *wanted, const plan_step_t *step, prepared_t *ready)
{
    slot_t *slot = slot_add(self, conf_take(wanted, step->wanted->name));
    slot->route = ready->route;
    slot->counters = ready->counters;
    run_ready(self, slot, "started");
}

static void
do_stop(broker_t *self, conf_t *wanted, const plan_step_t *step, prepared_t *ready)
{
    (void)wanted;
    (void)ready;
    slot_t *slot = slot_find(self, step->running->name);
    if (slot->route) {
        route_stop_accepting(slot->route, CLOSED_FOR_MOVE, NULL);
        retire_slot(self, slot, "removed");
    }
    slot_remove(self, slot);
    slot_free(self, slot);
}

static void
do_replace(broker_t *self, conf_t *wanted, const plan_step_t *step, prepared_t *ready)
{
    slot_t *slot = slot_find(self, step->running->name);
    route_conf_t *old = slot->conf;
    bool had_route = slot->route;
    if (had_route) {
        if (ready->route)
            route_save(slot->route, step->wanted, &slot->saved);
        route_stop_accepting(slot->route, CLOSED_FOR_MOVE, step->wanted);
        retire_slot(self, slot, "re-created");
    }
    adopt_conf(slot, wanted);
    slot_give_up_conf(self, &old);
    if (!had_route) {
        if (slot->mode == ROUTE_FAILED)
            slot_open_again(self, slot);
        return;
    }
    slot->opening_later = ready->later;
    if (ready->later) {
        slot->waiting = ready->listeners;
        ready->listeners = (listeners_t){ 0 };
        return;
    }
    slot->route = ready->route;
    slot->counters = ready->counters;
    run_ready(self, slot, "re-created");
}

// A live change went wrong half-way: what it can have, it gets by being made anew.
static void
make_anew(broker_t *self, slot_t *slot, diag_t *diag)
{
    slot_log_problems(slot, diag);
    prepare_gather(self, slot, slot->conf, &slot->waiting);
    retire_slot(self, slot, "re-created");
    slot->opening_later = true;
}

static void
do_change(broker_t *self, conf_t *wanted, const plan_step_t *step, prepared_t *ready)
{
    slot_t *slot = slot_find(self, step->running->name);
    route_conf_t *old = slot->conf;
    diag_t *diag = diag_new();
    adopt_conf(slot, wanted);
    if (slot->route && route_change(slot->route, slot->conf, &ready->listeners, diag) == -1)
        make_anew(self, slot, diag);
    else if (slot->mode == ROUTE_FAILED)
        slot_open_again(self, slot);
    diag_destroy(&diag);
    retire_unstore(self, old);
    slot_give_up_conf(self, &old);
}

static void (*const actions[])(broker_t *self, conf_t *wanted, const plan_step_t *step, prepared_t *ready) = {
    [PLAN_KEEP] = NULL, // its place in the file may be another one
    [PLAN_CHANGE] = do_change, [PLAN_REPLACE] = do_replace, [PLAN_START] = do_start, [PLAN_STOP] = do_stop,
};

// What waits for a restart is in force as it was: `show config' says so, and the next reload warns again.
static void
keep_restart_settings(broker_t *self, conf_t *wanted, const plan_t *plan)
{
    for (size_t i = 0; i < plan->process_count; i++) {
        const plan_change_t *change = &plan->process[i];
        if (change->reload != RELOAD_RESTART)
            continue;
        for (size_t j = 0; j < wanted->settings.count; j++)
            for (size_t k = 0; k < self->conf->settings.count; k++) {
                setting_t *now = &wanted->settings.at[j], *had = &self->conf->settings.at[k];
                if (strcmp(now->key, change->key) != 0 || strcmp(had->key, change->key) != 0)
                    continue;
                setting_t swapped = *now;
                *now = *had;
                *had = swapped;
            }
    }
}

// The file's order is the order of everything that is shown.
static void
sort_slots(broker_t *self, char (*names)[ROUTE_NAME_MAX + 1], size_t count)
{
    size_t at = 0;
    for (size_t i = 0; i < count; i++)
        for (size_t j = at; j < self->count; j++)
            if (strcmp(self->slots[j]->conf->name, names[i]) == 0) {
                slot_t *slot = self->slots[j];
                memmove(&self->slots[at + 1], &self->slots[at], (j - at) * sizeof *self->slots);
                self->slots[at++] = slot;
                break;
            }
}

void
apply_plan(broker_t *self, conf_t **wanted_p, plan_t *plan, prepared_t *ready)
{
    conf_t *wanted = *wanted_p;
    size_t count = wanted->route_count;
    char (*names)[ROUTE_NAME_MAX + 1] = xcalloc(count + 1, sizeof *names);
    for (size_t i = 0; i < count; i++)
        memcpy(names[i], wanted->routes[i]->name, sizeof names[i]);
    for (size_t i = 0; i < plan->count; i++)
        if (actions[plan->steps[i].action])
            actions[plan->steps[i].action](self, wanted, &plan->steps[i], &ready[i]);
    for (size_t i = 0; i < plan->count; i++)
        listeners_close(&ready[i].listeners, false);
    for (size_t i = 0; i < self->count; i++)
        slot_change_listeners(self->slots[i]);
    sort_slots(self, names, count);
    free(names);
    keep_restart_settings(self, wanted, plan);
    if (self->setup->applied)
        self->setup->applied(self->setup->applied_arg, wanted);
    conf_destroy(&self->conf);
    self->conf = wanted;
    *wanted_p = NULL;
}
