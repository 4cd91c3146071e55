// SPDX-License-Identifier: MPL-2.0
//
// The main thread's half.
#include "admin/tapper_internal.h"

#include "base/bell.h"
#include "base/clock.h"
#include "base/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { RETRY_MS = 200 }; // of a tap that the route would not take

static void
free_tapping(tapping_t *self)
{
    text_free(&self->output);
    tapping_conf_free(&self->conf);
    free(self);
}

// --- the tapper -----------------------------------------------------

tapper_t *
tapper_new(broker_t *broker)
{
    tapper_t *self = xcalloc(1, sizeof *self);
    self->broker = broker;
    self->news = bell_new();
    self->wake = bell_new();
    return self;
}

// Those whose clients have gone before they were over.
static void
bury(tapper_t *self)
{
    for (tapping_t **at = &self->left; *at;) {
        tapping_t *tapping = *at;
        if (!atomic_load(&tapping->over)) {
            at = &tapping->next_left;
            continue;
        }
        *at = tapping->next_left;
        close(tapping->fd);
        free_tapping(tapping);
    }
}

int
tapper_fd(const tapper_t *self)
{
    return self->news;
}

void
tapper_look(tapper_t *self)
{
    bell_hear(self->news);
    bury(self);
}

int64_t
tapper_age_ms(tapper_t *self)
{
    if (!self->started)
        return 0;
    if (self->asked_ms != 0 && atomic_load(&self->pulse) == self->pulse_seen)
        return clock_mono_ms() - self->asked_ms;
    self->pulse_seen = atomic_load(&self->pulse);
    self->asked_ms = clock_mono_ms();
    bell_ring(self->wake);
    return 0;
}

static bool
start(tapper_t *self)
{
    if (self->started)
        return true;
    if (self->news == -1 || self->wake == -1) {
        errno = EMFILE;
        return false;
    }
    errno = pthread_create(&self->thread, NULL, tapper_run, self);
    return self->started = errno == 0;
}

void
tapper_destroy(tapper_t **self_p)
{
    tapper_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    atomic_store(&self->quit, true);
    if (self->started) {
        bell_ring(self->wake);
        pthread_join(self->thread, NULL);
    }
    bury(self);
    if (self->news != -1)
        close(self->news);
    if (self->wake != -1)
        close(self->wake);
    free(self->polled);
    free(self);
}

// --- a tapping --------------------------------------------------------

static void
post(tapper_t *self, tapping_t *tapping, tap_t *tap)
{
    source_t *source = xcalloc(1, sizeof *source);
    *source = (source_t){ .tapping = tapping, .tap = tap };
    source->next = atomic_load(&self->inbox);
    while (!atomic_compare_exchange_weak(&self->inbox, &source->next, source))
        ;
    bell_ring(self->wake);
}

static bool
attach(tapping_t *self, const broker_route_t *route)
{
    const text_t *prefix = &self->conf.prefix;
    tap_t *tap = route_tap(route->route, prefix->data ? prefix->data : "", prefix->size);
    if (!tap)
        return false;
    tap_release(&self->newest);
    self->newest = tap_hold(tap);
    self->route = route->route;
    post(self->tapper, self, tap);
    return true;
}

tapping_t *
tapping_new(tapper_t *tapper, tapping_conf_t *conf, int fd, text_t *error)
{
    broker_route_t route;
    if (!broker_find(tapper->broker, conf->route, &route)) {
        broker_no_route(tapper->broker, conf->route, error);
    } else if (route.conf->engine == ENGINE_ZMQ_PROXY) {
        text_add(error, "route %s: engine = zmq_proxy cannot be tapped", conf->route);
    } else if (!route.route) {
        text_add(error, "route %s is %s", conf->route, route_state_name(route.state));
    } else {
        tapping_t *self = xcalloc(1, sizeof *self);
        self->tapper = tapper;
        self->broker = tapper->broker;
        self->conf = *conf;
        memset(&conf->prefix, 0, sizeof conf->prefix);
        self->fd = fd;
        if (start(tapper) && attach(self, &route))
            return self;
        text_add(error, "route %s: %s", self->conf.route, errno == ENOSPC ? "no room for another tap" : strerror(errno));
        free_tapping(self);
    }
    return NULL;
}

bool
tapping_is_endless(const tapping_t *self)
{
    return !self->conf.count;
}

// Is the newest tap the one of the route that runs now?
static bool
is_current(const tapping_t *self, const broker_route_t *route)
{
    return route->route && self->route == route->route && !tap_ring_is_closed(tap_ring_of(self->newest));
}

bool
tapping_follow(tapping_t *self)
{
    broker_route_t route;
    if (atomic_load(&self->over))
        return true;
    if (!broker_find(self->broker, self->conf.route, &route))
        return false;
    if (!route.route || is_current(self, &route) || clock_mono_ms() < self->retry_ms)
        return true;
    if (!attach(self, &route))
        self->retry_ms = clock_mono_ms() + RETRY_MS;
    return true;
}

void
tapping_end(tapping_t *self)
{
    broker_route_t route;
    if (atomic_load(&self->ending))
        return;
    if (broker_find(self->broker, self->conf.route, &route) && is_current(self, &route))
        route_settle(route.route);
    atomic_store(&self->ending, true);
    bell_ring(self->tapper->wake);
}

bool
tapping_is_over(tapping_t *self, text_t *out)
{
    if (!atomic_load(&self->over))
        return false;
    if (tapping_waiting(self))
        text_bytes(out, self->output.data + self->sent, tapping_waiting(self));
    return true;
}

int64_t
tapping_stuck_ms(const tapping_t *self)
{
    int64_t since = atomic_load(&self->stuck_since_ms);
    return since ? clock_mono_ms() - since : 0;
}

bool
tapping_destroy(tapping_t **self_p)
{
    tapping_t *self = *self_p;
    broker_route_t route;
    *self_p = NULL;
    if (!self)
        return true;
    atomic_store(&self->abandoned, true);
    tap_leave(self->newest);
    // It stops copying as soon as it knows.
    if (broker_find(self->broker, self->conf.route, &route) && is_current(self, &route))
        route_look(route.route);
    tap_release(&self->newest);
    if (atomic_load(&self->over)) {
        free_tapping(self);
        return true;
    }
    self->next_left = self->tapper->left;
    self->tapper->left = self;
    bell_ring(self->tapper->wake);
    return false;
}
