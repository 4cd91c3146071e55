// SPDX-License-Identifier: MPL-2.0
// fake_broker.c - see fake_broker.h.

#include "fake_broker.h"
#include "base/clock.h"
#include "base/mem.h"
#include "conf/load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool
fake_diag_is_empty(diag_t *diag)
{
    diag_print(diag, stdout);
    return diag_errors(diag) == 0;
}

broker_t *
fake_broker_new(const char *ini)
{
    diag_t *diag = diag_new();
    broker_t *self = xcalloc(1, sizeof *self);
    self->conf = conf_load_text("fake.ini", ini, strlen(ini), diag);
    if (!self->conf || self->conf->route_count > FAKE_ROUTES) {
        fake_diag_is_empty(diag);
        abort();
    }
    diag_destroy(&diag);
    self->status = (broker_status_t){ .started_wall_ns = clock_wall_ns(), .reload_wall_ns = clock_wall_ns(), .reloads_success = 1, .reload_ok = true };
    text_bytes(&self->calls, "", 0);
    return self;
}

void
fake_broker_destroy(broker_t **self_p)
{
    broker_t *self = *self_p;
    *self_p = NULL;
    conf_destroy(&self->conf);
    text_free(&self->calls);
    free(self);
}

size_t
broker_count(const broker_t *self)
{
    return self->conf->route_count;
}

bool
broker_at(broker_t *self, size_t i, broker_route_t *route)
{
    if (i >= self->conf->route_count)
        return false;
    fake_route_t *fake = &self->routes[i];
    *route = (broker_route_t){
        .conf = self->conf->routes[i], .state = fake->state,
        .failure = fake->failure ? fake->failure : "", .route = fake->route,
        .counters = &fake->counters, .before = &fake->counters, .cleared = &fake->cleared,
        .started_wall_ns = self->status.started_wall_ns,
        .rate_in_1s = fake->rate_in, .rate_out_1s = fake->rate_out, .blocked_share = fake->blocked_share,
        .history = fake->history, .history_out = fake->history, .history_count = 3,
    };
    return true;
}

bool
broker_find(broker_t *self, const char *name, broker_route_t *route)
{
    for (size_t i = 0; broker_at(self, i, route); i++)
        if (strcmp(route->conf->name, name) == 0)
            return true;
    return false;
}

void
broker_status(const broker_t *self, broker_status_t *status)
{
    *status = self->status;
    status->reload_problems = "";
}

bool
broker_is_leaving(const broker_t *self, const char *route)
{
    (void)self, (void)route;
    return false;
}

void
broker_on_left(broker_t *self, void (*left)(void *arg, const char *route, const route_leftover_t *leftover), void *arg)
{
    (void)self, (void)left, (void)arg;
}

const conf_t *
broker_conf(const broker_t *self)
{
    return self->conf;
}

void
broker_clients(broker_t *self, const char *route, client_fn_t *fn, void *arg)
{
    for (size_t i = 0; i < self->client_count; i++)
        if (!route || strcmp(route, self->clients[i].route) == 0)
            fn(&self->clients[i], arg);
}

int
broker_verb(broker_t *self, verb_t verb, const char *name, text_t *error)
{
    static const struct {
        const char *name;
        route_state_t state;
    } verbs[] = {
        [VERB_PAUSE] = { "pause", ROUTE_PAUSED },       [VERB_RESUME] = { "resume", ROUTE_RUNNING },
        [VERB_DRAIN] = { "drain", ROUTE_DRAINING },     [VERB_DISABLE] = { "disable", ROUTE_DISABLED },
        [VERB_ENABLE] = { "enable", ROUTE_RUNNING },
    };
    for (size_t i = 0; i < self->conf->route_count; i++)
        if (strcmp(self->conf->routes[i]->name, name) == 0) {
            self->routes[i].state = verbs[verb].state;
            text_add(&self->calls, "%s %s\n", verbs[verb].name, name);
            return 0;
        }
    broker_unknown_route(self, name, error);
    return -1;
}

int
broker_clear(broker_t *self, const char *name, text_t *error)
{
    bool found = !name;
    for (size_t i = 0; i < self->conf->route_count; i++)
        if (!name || strcmp(self->conf->routes[i]->name, name) == 0) {
            memcpy(&self->routes[i].cleared, &self->routes[i].counters, sizeof(counters_t));
            found = true;
        }
    if (!found)
        broker_unknown_route(self, name, error);
    return found ? 0 : -1;
}

int
broker_kick(broker_t *self, const char *route, const char *client, text_t *error)
{
    text_add(&self->calls, "kick %s %s\n", route, client);
    if (strcmp(client, "7") == 0)
        return 0;
    text_add(error, "route %s has no client %s", route, client);
    return -1;
}

int
broker_upgrade(broker_t *self, text_t *error)
{
    (void)self;
    text_add(error, "no upgrade here");
    return -1;
}

bool
broker_leaves(const broker_t *self)
{
    (void)self;
    return false;
}

int
broker_reload(broker_t *self, text_t *answer)
{
    text_add(answer, self->refuses_reload ? "fake.ini:1:1: error: one\n\nfake.ini:2:1: error: two\n" : "route prices: started\n");
    return self->refuses_reload ? -1 : 0;
}

int
broker_plan(broker_t *self, const char *file, int descriptor, text_t *answer)
{
    char content[64] = "";
    if (file && pread(descriptor, content, sizeof content - 1, 0) == -1)
        return -1;
    text_add(answer, "plan of %s%s\n", file ? file : self->conf->file, content);
    return 0;
}

void
broker_stop(broker_t *self)
{
    self->stops++;
}

bool
broker_stopped(const broker_t *self)
{
    return self->stops > 0;
}
