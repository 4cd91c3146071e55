// SPDX-License-Identifier: MPL-2.0
//
// The main thread's half.
#include "admin/tapserver_internal.h"

#include "base/bell.h"
#include "base/clock.h"
#include "base/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { RETRY_MS = 200 }; // of a tap that the route would not take

static void
free_tapping(tapsession_t *self)
{
    text_free(&self->output);
    tap_request_free(&self->conf);
    free(self);
}

// --- the tapserver -----------------------------------------------------

tapserver_t *
tapserver_new(broker_t *broker)
{
    tapserver_t *self = xcalloc(1, sizeof *self);
    self->broker = broker;
    self->news = bell_new();
    self->wake = bell_new();
    self->loop.epoll = -1;
    return self;
}

// Those whose clients have gone before they were over.
static void
bury(tapserver_t *self)
{
    for (tapsession_t **at = &self->left; *at;) {
        tapsession_t *session = *at;
        if (!atomic_load(&session->over)) {
            at = &session->next_left;
            continue;
        }
        *at = session->next_left;
        close(session->fd);
        free_tapping(session);
    }
}

int
tapserver_fd(const tapserver_t *self)
{
    return self->news;
}

void
tapserver_look(tapserver_t *self)
{
    bell_hear(self->news);
    bury(self);
}

int64_t
tapserver_age_ms(tapserver_t *self)
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
start(tapserver_t *self)
{
    if (self->started)
        return true;
    if (self->news == -1 || self->wake == -1 || loop_open(&self->loop) == -1) {
        errno = EMFILE;
        return false;
    }
    errno = pthread_create(&self->thread, NULL, tapserver_run, self);
    self->started = errno == 0;
    if (!self->started)
        loop_close(&self->loop);
    return self->started;
}

void
tapserver_destroy(tapserver_t **self_p)
{
    tapserver_t *self = *self_p;
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
    loop_close(&self->loop);
    free(self);
}

// --- a session --------------------------------------------------------

static void
post(tapserver_t *self, tapsession_t *session, tap_t *tap)
{
    tap_source_t *source = xcalloc(1, sizeof *source);
    *source = (tap_source_t){ .session = session, .tap = tap };
    source->next = atomic_load(&self->inbox);
    while (!atomic_compare_exchange_weak(&self->inbox, &source->next, source))
        ;
    bell_ring(self->wake);
}

static bool
attach(tapsession_t *self, const broker_route_t *route)
{
    const text_t *prefix = &self->conf.prefix;
    tap_t *tap = route_tap(route->route, prefix->data ? prefix->data : "", prefix->size);
    if (!tap)
        return false;
    tap_release(&self->newest);
    self->newest = tap_hold(tap);
    self->route = route->route;
    post(self->tapserver, self, tap);
    return true;
}

tapsession_t *
tapsession_new(tapserver_t *tapserver, tap_request_t *conf, int fd, text_t *error)
{
    broker_route_t route;
    if (!broker_find(tapserver->broker, conf->route, &route)) {
        broker_unknown_route(tapserver->broker, conf->route, error);
    } else if (route.conf->engine == ENGINE_ZMQ_PROXY) {
        text_add(error, "route %s: engine = zmq_proxy cannot be tapped", conf->route);
    } else if (!route.route) {
        text_add(error, "route %s is %s", conf->route, route_state_name(route.state));
    } else {
        tapsession_t *self = xcalloc(1, sizeof *self);
        self->tapserver = tapserver;
        self->broker = tapserver->broker;
        self->conf = *conf;
        memset(&conf->prefix, 0, sizeof conf->prefix);
        self->fd = fd;
        if (start(tapserver) && attach(self, &route))
            return self;
        text_add(error, "route %s: %s", self->conf.route, errno == ENOSPC ? "no room for another tap" : strerror(errno));
        free_tapping(self);
    }
    return NULL;
}

bool
tapsession_is_endless(const tapsession_t *self)
{
    return !self->conf.count;
}

// Is the newest tap the one of the route that runs now?
static bool
is_current(const tapsession_t *self, const broker_route_t *route)
{
    return route->route && self->route == route->route && !tap_ring_is_closed(tap_ring_of(self->newest));
}

bool
tapsession_follow(tapsession_t *self)
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
tapsession_end(tapsession_t *self)
{
    broker_route_t route;
    if (atomic_load(&self->ending))
        return;
    if (broker_find(self->broker, self->conf.route, &route) && is_current(self, &route))
        route_settle(route.route);
    atomic_store(&self->ending, true);
    bell_ring(self->tapserver->wake);
}

bool
tapsession_is_over(tapsession_t *self, text_t *out)
{
    if (!atomic_load(&self->over))
        return false;
    if (tapsession_waiting(self))
        text_bytes(out, self->output.data + self->sent, tapsession_waiting(self));
    return true;
}

int64_t
tapsession_stuck_ms(const tapsession_t *self)
{
    int64_t since = atomic_load(&self->stuck_since_ms);
    return since ? clock_mono_ms() - since : 0;
}

bool
tapsession_destroy(tapsession_t **self_p)
{
    tapsession_t *self = *self_p;
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
    self->next_left = self->tapserver->left;
    self->tapserver->left = self;
    bell_ring(self->tapserver->wake);
    return false;
}
