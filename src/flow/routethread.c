// SPDX-License-Identifier: MPL-2.0
#include "flow/routethread.h"

#include "base/bell.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int
routethread_open(routethread_t *self, const route_conf_t *conf)
{
    self->conf = conf;
    pthread_mutex_init(&self->lock, NULL);
    pthread_cond_init(&self->called, NULL);
    self->bell = bell_new();
    return self->bell == -1 ? -1 : 0;
}

void
routethread_close(routethread_t *self)
{
    if (self->bell != -1)
        close(self->bell);
    pthread_mutex_destroy(&self->lock);
    pthread_cond_destroy(&self->called);
}

// --- the thread -----------------------------------------------------------------

static void
pin(const route_conf_t *conf)
{
    if (conf->cpu < 0)
        return;
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET((size_t)conf->cpu, &cpus);
    int error = pthread_setaffinity_np(pthread_self(), sizeof cpus, &cpus);
    if (error)
        log_event(EVENT_ROUTE_CPU, EVENT_TEXT("route", conf->name), EVENT_NUMBER("cpu", conf->cpu),
                  EVENT_PROSE("reason", strerror(error)));
}

static void *
run(void *arg)
{
    routethread_t *self = arg;
    char name[16];
    snprintf(name, sizeof name, "zb:%.12s", self->conf->name);
    pthread_setname_np(pthread_self(), name);
    pin(self->conf);
    self->run(self->route);
    pthread_mutex_lock(&self->lock);
    atomic_store(&self->over, true);
    self->call = NULL; // one that came too late
    pthread_cond_broadcast(&self->called);
    pthread_mutex_unlock(&self->lock);
    if (self->tell != -1)
        bell_ring(self->tell);
    return NULL;
}

int
routethread_start(routethread_t *self, size_t stack_bytes, void (*function)(route_t *route), route_t *route, int tell)
{
    self->run = function;
    self->route = route;
    self->tell = tell;
    self->started = thread_start(&self->id, stack_bytes, run, self) == 0;
    return self->started ? 0 : -1;
}

void
routethread_wait(routethread_t *self)
{
    if (self->started)
        pthread_join(self->id, NULL);
}

bool
routethread_is_over(const routethread_t *self)
{
    return !self->started || atomic_load(&((routethread_t *)self)->over);
}

// --- what it is told --------------------------------------------------------------

void
routethread_poke(routethread_t *self)
{
    atomic_store(&self->poked, true);
    bell_ring(self->bell);
}

void
routethread_ask(routethread_t *self, routecall_t *call)
{
    call->result = -1;
    if (!self->started)
        return;
    pthread_mutex_lock(&self->lock);
    while (self->call)
        pthread_cond_wait(&self->called, &self->lock);
    if (!atomic_load(&self->over) && !routethread_is_to_end(self)) {
        self->call = call;
        routethread_poke(self);
    }
    pthread_mutex_unlock(&self->lock);
}

int
routethread_answer(routethread_t *self, const routecall_t *call)
{
    pthread_mutex_lock(&self->lock);
    while (self->call == call)
        pthread_cond_wait(&self->called, &self->lock);
    pthread_mutex_unlock(&self->lock);
    return call->result;
}

int
routethread_call(routethread_t *self, routework_t *work, void *arg)
{
    routecall_t call = { .run = work, .arg = arg };
    routethread_ask(self, &call);
    return routethread_answer(self, &call);
}

void
routethread_join(routethread_t *self)
{
    atomic_store(&self->joins, true);
    routethread_poke(self);
}

void
routethread_finish(routethread_t *self, int64_t drain_ms, bool at_once)
{
    int64_t deadline = clock_mono_ms() + drain_ms;
    if (!routethread_is_to_end(self) || deadline < atomic_load(&self->deadline_ms))
        atomic_store(&self->deadline_ms, deadline);
    atomic_store(&self->finish, at_once ? FINISH_AT_ONCE : FINISH_DRAIN);
    routethread_poke(self);
}

int64_t
routethread_age_ms(routethread_t *self)
{
    if (routethread_is_over(self) || routethread_is_to_end(self))
        return 0;
    if (self->ping_ms != 0 && atomic_load(&self->pong) == self->ping)
        return clock_mono_ms() - self->ping_ms;
    self->ping = atomic_load(&self->pong);
    self->ping_ms = clock_mono_ms();
    routethread_poke(self);
    return 0;
}

// --- how it hears of it -------------------------------------------------------------

bool
routethread_hurries(const routethread_t *self)
{
    return atomic_load(&((routethread_t *)self)->finish) == FINISH_AT_ONCE;
}

int64_t
routethread_left_ms(const routethread_t *self)
{
    int64_t left_ms = atomic_load(&((routethread_t *)self)->deadline_ms) - clock_mono_ms();
    return left_ms > 0 && !routethread_hurries(self) ? left_ms : 0;
}

void
routethread_end_now(routethread_t *self)
{
    atomic_store(&self->finish, FINISH_AT_ONCE);
}

void
routethread_hear(routethread_t *self)
{
    atomic_store(&self->poked, false);
    atomic_fetch_add(&self->pong, 1);
}

bool
routethread_joins(routethread_t *self)
{
    return atomic_exchange(&self->joins, false);
}

void
routethread_serve(routethread_t *self)
{
    pthread_mutex_lock(&self->lock);
    if (self->call) {
        self->call->result = self->call->run ? self->call->run(self->route, self->call->arg) : 0;
        self->call = NULL;
        pthread_cond_broadcast(&self->called);
    }
    pthread_mutex_unlock(&self->lock);
}
