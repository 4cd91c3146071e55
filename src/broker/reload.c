// SPDX-License-Identifier: MPL-2.0
// reload.c - broker_reload and broker_plan of broker.h: read, plan, prepare, apply, and tell.

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "broker/apply.h"
#include "broker/authpolicy.h"
#include "broker/systemd.h"
#include "conf/load.h"
#include "guard/policy.h"
#include "net/listener.h"

#include <stdlib.h>
#include <string.h>

static plan_t *
make_plan(broker_t *self, const conf_t *wanted, const policy_t *policy)
{
    const route_conf_t **running = xcalloc(self->count + 1, sizeof *running);
    for (size_t i = 0; i < self->count; i++)
        running[i] = self->slots[i]->conf;
    plan_t *plan = plan_make(wanted, &self->conf->settings, running, self->count);
    free(running);
    authpolicy_compare(self, policy, plan);
    return plan;
}

// Everything is bound before anybody is told anything: what most often goes wrong then costs nobody his connection.
static int
make_ready(broker_t *self, const conf_t *wanted, policy_t **policy_p, const plan_t *plan, prepared_t *ready, diag_t *diag)
{
    int rc = 0;
    listener_make_way_for(wanted);
    for (size_t i = 0; i < plan->count; i++)
        rc |= prepare_bind(self, &plan->steps[i], &ready[i], diag);
    listener_make_way_for(NULL);
    if (rc == -1)
        return -1;
    authpolicy_use(self, policy_p);
    for (size_t i = 0; i < plan->count; i++)
        rc |= prepare_open(self, &plan->steps[i], &ready[i], diag);
    if (rc == -1) // what was in force
        authpolicy_use(self, policy_p);
    return rc;
}

static int
apply(broker_t *self, conf_t **wanted_p, policy_t **policy_p, plan_t *plan, diag_t *diag)
{
    prepared_t *ready = xcalloc(plan->count + 1, sizeof *ready);
    int rc = make_ready(self, *wanted_p, policy_p, plan, ready, diag);
    if (rc == 0)
        apply_plan(self, wanted_p, plan, ready);
    else
        for (size_t i = 0; i < plan->count; i++)
            prepare_undo(&ready[i]);
    free(ready);
    return rc;
}

static conf_t *
read_own_file(broker_t *self, diag_t *diag)
{
    const broker_setup_t *setup = self->setup;
    const char *file = self->conf->file;
    if (strcmp(file, "-") == 0) {
        diag_error(diag, (place_t){ .file = file }, "standard input was read at the start and cannot be read again");
        return NULL;
    }
    return conf_load(file, setup->overrides, setup->override_count, diag);
}

static conf_t *
read_handed_in(broker_t *self, const char *file, int descriptor, diag_t *diag)
{
    raw_source_t source = { .file = file,
                             .descriptor = descriptor,
                             .includes_beside = self->conf->file,
                             .overrides = self->setup->overrides,
                             .override_count = self->setup->override_count };
    return conf_read(&source, diag);
}

static void
answer_problems(diag_t *diag, text_t *answer)
{
    diag_level_t level;
    for (size_t i = 0; diag_text(diag, i, &level); i++)
        text_add(answer, "%s\n", diag_text(diag, i, &level));
}

static void
log_changes(const plan_t *plan)
{
    plan_line_t line;
    text_t words = { 0 };
    for (size_t i = 0; plan_line(plan, i, &line); i++) {
        text_clear(&words);
        plan_print_line(&line, &words);
        log_event(line.waits ? EVENT_RELOADED_LATER : EVENT_RELOADED, EVENT_WORDS("change", words.data),
                  EVENT_TEXT("route", line.route), EVENT_TEXT("key", line.key), EVENT_TEXT("old", line.old_value),
                  EVENT_TEXT("new", line.new_value), EVENT_PROSE("how", line.how));
    }
    text_free(&words);
}

static void
log_problems(diag_t *diag, bool ok)
{
    diag_item_t problem;
    event_id_t error = ok ? EVENT_RELOAD_PROBLEM : EVENT_RELOAD_REFUSED;
    for (size_t i = 0; diag_at(diag, i, &problem); i++)
        log_problem(problem.level == DIAG_WARNING ? EVENT_RELOAD_WARNING : error, NULL, &problem);
}

static void
note_reload(broker_t *self, bool ok, diag_t *diag)
{
    diag_item_t problem;
    self->status.reload_ok = ok;
    text_clear(&self->reload_problems);
    for (size_t i = 0; !ok && diag_at(diag, i, &problem); i++)
        if (problem.level == DIAG_ERROR)
            text_add(&self->reload_problems, "%s\n", problem.text);
    if (ok) {
        self->status.reloads_success++;
        self->status.reload_wall_ns = clock_wall_ns();
    } else
        self->status.reloads_failure++;
}

int
broker_reload(broker_t *self, text_t *answer)
{
    if (self->status.stopping || self->leaving) {
        text_add(answer, self->leaving ? "an upgrade is under way\n" : "the process is stopping\n");
        return -1;
    }
    systemd_reloading();
    diag_t *diag = diag_new();
    conf_t *wanted = read_own_file(self, diag);
    policy_t *policy = NULL;
    const route_conf_t *const *confs = wanted ? (const route_conf_t *const *)wanted->routes : NULL;
    if (wanted && authpolicy_read(self, confs, wanted->route_count, &policy, diag) == -1)
        conf_destroy(&wanted);
    plan_t *plan = wanted ? make_plan(self, wanted, policy) : NULL;
    text_t lines = { 0 };
    if (plan) // the routes that it speaks of may be gone later
        plan_print(plan, &lines);
    bool ok = plan && apply(self, &wanted, &policy, plan, diag) == 0;
    log_problems(diag, ok);
    if (ok) {
        text_add(answer, "%s", lines.data);
        log_changes(plan);
    } else
        answer_problems(diag, answer);
    note_reload(self, ok, diag);
    systemd_ready();
    text_free(&lines);
    policy_free(&policy);
    plan_destroy(&plan);
    conf_destroy(&wanted);
    diag_destroy(&diag);
    return ok ? 0 : -1;
}

// What a reload would bind is tried: a plan that is approved is one that works.
static int
try_plan(broker_t *self, const conf_t *wanted, const plan_t *plan, diag_t *diag)
{
    int rc = 0;
    listener_make_way_for(wanted);
    for (size_t i = 0; i < plan->count; i++)
        rc |= prepare_try(self, &plan->steps[i], diag);
    listener_make_way_for(NULL);
    return rc;
}

int
broker_plan(broker_t *self, const char *file, int descriptor, text_t *answer)
{
    diag_t *diag = diag_new();
    size_t names = raw_names();
    conf_t *wanted = file ? read_handed_in(self, file, descriptor, diag) : read_own_file(self, diag);
    policy_t *policy = NULL;
    if (wanted && self->setup->guard && guard_check(self->setup->guard, wanted, &policy, diag) == -1)
        conf_destroy(&wanted);
    plan_t *plan = wanted ? make_plan(self, wanted, policy) : NULL;
    int rc = plan ? 0 : -1;
    if (plan && !file) // to bind makes files and takes ports: not for a file that anybody may have written
        rc = try_plan(self, wanted, plan, diag);
    if (rc == 0)
        plan_print(plan, answer);
    else
        answer_problems(diag, answer);
    plan_destroy(&plan);
    policy_free(&policy);
    conf_destroy(&wanted);
    diag_destroy(&diag);
    raw_names_forget(names); // whoever asks chooses them
    return rc;
}
