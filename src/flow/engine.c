// SPDX-License-Identifier: MPL-2.0
// engine.c - the functions of route.h: what is the same for every engine, and what is the one of the route's engine.

#include "flow/engine.h"

#include "base/mem.h"
#include "conf/engine.h"
#include "flow/savedroute.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *const states[ROUTE_STATES] = { "running", "paused", "draining", "disabled", "failed" };

const char *
route_state_name(route_state_t state)
{
    return states[state];
}

static route_base_t *
base_of(const route_t *self)
{
    return (route_base_t *)(void *)self;
}

static const route_engine_t *
engine_of(const route_t *self)
{
    return base_of(self)->engine;
}

// --- from open to close --------------------------------------------------------------

static void
free_route(route_t *self)
{
    route_base_t *base = base_of(self);
    listeners_forget(&base->deferred);
    listeners_close(&base->listeners, false);
    routethread_close(&base->thread);
    free(self);
}

// What it had of them goes back: a reload that fails keeps the old state.
static void
give_back(route_base_t *base, listeners_t *listeners)
{
    while (base->listeners.count > 0) {
        side_t side = base->listeners.side[0];
        listeners_add(listeners, listeners_take_at(&base->listeners, 0), side);
    }
}

route_t *
route_open(const route_conf_t *conf, listeners_t *listeners, const route_resources_t *resources, counters_t *counters,
           diag_t *diag)
{
    const route_engine_t *engine = resources->engines[conf->engine];
    if (!engine) {
        diag_error(diag, conf->place, "[route %s] engine: this program was built without %s", conf->name,
                   engine_name(conf->engine));
        return NULL;
    }
    route_t *self = xcalloc(1, engine->size);
    base_of(self)->engine = engine;
    if (routethread_open(&base_of(self)->thread, conf) == -1)
        diag_error(diag, conf->place, "[route %s] no descriptor to wake it by: %s", conf->name, strerror(errno));
    else if (engine->open(self, conf, listeners, resources, counters, diag) == 0)
        return self;
    else
        engine->close(self, &(route_leftover_t){ 0 });
    give_back(base_of(self), listeners);
    free_route(self);
    return NULL;
}

int
route_run(route_t *self, int tell)
{
    route_base_t *base = base_of(self);
    return routethread_start(&base->thread, base->engine->stack_bytes, base->engine->run, self, tell);
}

void
route_finish(route_t *self, int64_t drain_ms, bool at_once)
{
    routethread_finish(&base_of(self)->thread, drain_ms, at_once);
    if (engine_of(self)->told_to_end)
        engine_of(self)->told_to_end(self);
}

bool
route_finished(const route_t *self)
{
    return routethread_is_over(&base_of(self)->thread);
}

const char *
route_failure(const route_t *self)
{
    const route_base_t *base = base_of(self);
    bool is_over = base->thread.started && routethread_is_over(&base->thread);
    return is_over && base->engine->failure ? base->engine->failure(self) : NULL;
}

void
route_close(route_t **self_p, route_leftover_t *leftover)
{
    route_t *self = *self_p;
    route_leftover_t left = { 0 };
    if (!self)
        return;
    routethread_wait(&base_of(self)->thread);
    listeners_let_others_accept(&base_of(self)->listeners);
    engine_of(self)->close(self, &left);
    free_route(self);
    if (leftover)
        *leftover = left;
    *self_p = NULL;
}

// --- what its thread is told ------------------------------------------------------------

int
route_call(route_t *self, routework_t *run, void *arg)
{
    return engine_of(self)->is_deaf ? -1 : routethread_call(&base_of(self)->thread, run, arg);
}

void
route_obey(route_t *self)
{
    route_base_t *base = base_of(self);
    routethread_hear(&base->thread);
    if (routethread_joins(&base->thread))
        base->engine->join(self);
    base->engine->go_on(self, atomic_load(&base->thread.mode));
    base->engine->look(self);
    routethread_serve(&base->thread);
}

typedef struct {
    const route_conf_t *conf;
    listeners_t *listeners;
    diag_t *diag;
} route_change_t;

static int
change_in_thread(route_t *self, void *arg)
{
    route_change_t *change = arg;
    return engine_of(self)->change(self, change->conf, change->listeners, change->diag);
}

int
route_change(route_t *self, const route_conf_t *conf, listeners_t *listeners, diag_t *diag)
{
    route_change_t change = { conf, listeners, diag };
    return route_call(self, change_in_thread, &change);
}

typedef struct {
    const void *prefix;
    size_t prefix_size;
    tap_t *tap;
} wanted_tap_t;

static int
tap_in_thread(route_t *self, void *arg)
{
    wanted_tap_t *wanted = arg;
    wanted->tap = engine_of(self)->tap(self, wanted->prefix, wanted->prefix_size);
    return 0;
}

tap_t *
route_tap(route_t *self, const void *prefix, size_t prefix_size)
{
    wanted_tap_t wanted = { prefix, prefix_size, NULL };
    route_call(self, tap_in_thread, &wanted);
    errno = ENOSPC;
    return wanted.tap;
}

static int
reconnect_in_thread(route_t *self, void *endpoint)
{
    engine_of(self)->reconnect(self, *(const char **)endpoint);
    return 0;
}

void
route_reconnect(route_t *self, const char *endpoint)
{
    if (engine_of(self)->reconnect)
        route_call(self, reconnect_in_thread, &endpoint);
}

void
route_set_mode(route_t *self, route_state_t mode)
{
    atomic_store(&base_of(self)->thread.mode, (int)mode);
    route_settle(self);
}

void
route_join(route_t *self)
{
    routethread_join(&base_of(self)->thread);
}

void
route_look(route_t *self)
{
    routethread_poke(&base_of(self)->thread);
}

void
route_settle(route_t *self)
{
    route_call(self, NULL, NULL);
}

int64_t
route_age_ms(route_t *self)
{
    return engine_of(self)->is_deaf ? 0 : routethread_age_ms(&base_of(self)->thread);
}

// --- its listeners ------------------------------------------------------------------------

const char *
route_endpoint(const route_t *self, side_t side, size_t i, bool *connected)
{
    return engine_of(self)->endpoint(self, side, i, connected);
}

void
route_stop_accepting(route_t *self, closed_for_t reason, const route_conf_t *successor)
{
    listeners_stop_accepting(&base_of(self)->listeners, reason, successor);
}

void
route_share_listeners(const route_t *self, listeners_t *shared)
{
    listeners_share(&base_of(self)->listeners, shared);
}

// --- what only some engines can -----------------------------------------------------------

static int
can_save_in_thread(route_t *self, void *successor)
{
    return engine_of(self)->can_save(self, successor) ? 0 : -1;
}

bool
route_can_save(route_t *self, const route_conf_t *successor)
{
    return engine_of(self)->can_save && route_call(self, can_save_in_thread, (void *)successor) == 0;
}

static int
save_in_thread(route_t *self, void *arg)
{
    route_saving_t *saving = arg;
    return engine_of(self)->save(self, saving->successor, &saving->record) ? 0 : -1;
}

void
route_begin_save(route_t *self, const route_conf_t *successor)
{
    route_saving_t *saving = &base_of(self)->saving;
    if (!engine_of(self)->save)
        return;
    *saving = (route_saving_t){ .call = { .run = save_in_thread, .arg = saving }, .successor = successor, .begun = true };
    routethread_ask(&base_of(self)->thread, &saving->call);
}

bool
route_save(route_t *self, const route_conf_t *successor, record_t *saved)
{
    route_saving_t *saving = &base_of(self)->saving;
    if (!engine_of(self)->save)
        return false;
    if (!saving->begun)
        route_begin_save(self, successor);
    int rc = routethread_answer(&base_of(self)->thread, &saving->call);
    *saved = saving->record;
    *saving = (route_saving_t){ 0 };
    return rc == 0;
}

void
route_take(route_t *self, record_t *saved)
{
    if (engine_of(self)->take)
        engine_of(self)->take(self, saved);
    else
        savedroute_drop(saved);
}

char **
route_subscriptions(route_t *self, size_t *count, size_t max)
{
    return engine_of(self)->subscriptions(self, count, max);
}

route_value_t *
route_values(route_t *self, const route_prefix_t *prefix, size_t *count, size_t max, uint64_t *more)
{
    *count = 0;
    *more = 0;
    return engine_of(self)->values ? engine_of(self)->values(self, prefix, count, max, more) : NULL;
}

uint64_t
route_clear_values(route_t *self, const route_prefix_t *prefix)
{
    return engine_of(self)->clear_values ? engine_of(self)->clear_values(self, prefix) : 0;
}

bool
route_knows_clients(const route_t *self)
{
    return engine_of(self)->clients != NULL;
}

void
route_clients(route_t *self, client_fn_t *fn, void *arg)
{
    engine_of(self)->clients(self, fn, arg);
}

int
route_kick(route_t *self, uint64_t id)
{
    return engine_of(self)->kick(self, id);
}

bool
route_backend_services(route_t *self, client_service_fn_t *fn, void *arg)
{
    if (!engine_of(self)->backend_services)
        return false;
    engine_of(self)->backend_services(self, fn, arg);
    return true;
}

void
route_endpoints_down(route_t *self, endpoint_down_fn_t *fn, void *arg)
{
    if (engine_of(self)->endpoints_down)
        engine_of(self)->endpoints_down(self, fn, arg);
}
