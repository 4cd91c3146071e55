// SPDX-License-Identifier: MPL-2.0
// engine.c - the functions of route.h: each is the one of the route's engine.

#include "flow/engine.h"

#include "conf/engine.h"
#include "flow/luggage.h"

static const char *const states[ROUTE_STATES] = { "running", "paused", "draining", "disabled", "failed" };

const char *
route_state_name(route_state_t state)
{
    return states[state];
}

static const route_engine_t *
engine_of(const route_t *self)
{
    return *(const route_engine_t *const *)(const void *)self;
}

route_t *
route_open(const route_conf_t *conf, listeners_t *listeners, const route_services_t *services, counters_t *counters,
           diag_t *diag)
{
    const route_engine_t *engine = services->engines[conf->engine];
    if (engine)
        return engine->open(conf, listeners, services, counters, diag);
    diag_error(diag, conf->place, "[route %s] engine: this program was built without %s", conf->name,
               engine_name(conf->engine));
    return NULL;
}

int
route_run(route_t *self, int tell)
{
    return engine_of(self)->run(self, tell);
}

int
route_change(route_t *self, const route_conf_t *conf, listeners_t *listeners, diag_t *diag)
{
    return engine_of(self)->change(self, conf, listeners, diag);
}

void
route_join(route_t *self)
{
    engine_of(self)->join(self);
}

void
route_reconnect(route_t *self, const char *endpoint)
{
    engine_of(self)->reconnect(self, endpoint);
}

const char *
route_endpoint(const route_t *self, side_t side, size_t i, bool *connected)
{
    return engine_of(self)->endpoint(self, side, i, connected);
}

void
route_pause(route_t *self)
{
    engine_of(self)->pause(self);
}

void
route_resume(route_t *self)
{
    engine_of(self)->resume(self);
}

void
route_drain(route_t *self)
{
    engine_of(self)->drain(self);
}

void
route_finish(route_t *self, int64_t drain_ms, bool at_once)
{
    engine_of(self)->finish(self, drain_ms, at_once);
}

void
route_stop_accepting(route_t *self, closed_for_t reason, const route_conf_t *successor)
{
    engine_of(self)->stop_accepting(self, reason, successor);
}

bool
route_can_save(route_t *self, const route_conf_t *successor)
{
    return engine_of(self)->can_save && engine_of(self)->can_save(self, successor);
}

void
route_begin_save(route_t *self, const route_conf_t *successor)
{
    if (engine_of(self)->begin_save)
        engine_of(self)->begin_save(self, successor);
}

bool
route_save(route_t *self, const route_conf_t *successor, record_t *luggage)
{
    return engine_of(self)->save && engine_of(self)->save(self, successor, luggage);
}

void
route_take(route_t *self, record_t *luggage)
{
    if (engine_of(self)->take)
        engine_of(self)->take(self, luggage);
    else
        luggage_drop(luggage);
}

bool
route_finished(const route_t *self)
{
    return engine_of(self)->finished(self);
}

const char *
route_failure(const route_t *self)
{
    return engine_of(self)->failure ? engine_of(self)->failure(self) : NULL;
}

void
route_close(route_t **self_p, route_leftover_t *leftover)
{
    if (*self_p)
        engine_of(*self_p)->close(self_p, leftover);
}

void
route_share_listeners(const route_t *self, listeners_t *shared)
{
    engine_of(self)->share_listeners(self, shared);
}

tap_t *
route_tap(route_t *self, const void *prefix, size_t prefix_size)
{
    return engine_of(self)->tap(self, prefix, prefix_size);
}

void
route_look(route_t *self)
{
    engine_of(self)->look(self);
}

void
route_settle(route_t *self)
{
    engine_of(self)->settle(self);
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

int64_t
route_age_ms(route_t *self)
{
    return engine_of(self)->age_ms(self);
}
