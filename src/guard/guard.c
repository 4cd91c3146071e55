// SPDX-License-Identifier: MPL-2.0
#include "guard/guard.h"

#include "base/event.h"
#include "base/mem.h"
#include "guard/asked.h"
#include "guard/gate.h"
#include "guard/handler.h"
#include "guard/mechanism.h"
#include "guard/reread.h"
#include "guard/unwelcome.h"

#include <errno.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

// A route's gate between two of its configurations.
typedef struct parked {
    struct parked *next;
    char route[ROUTE_NAME_MAX + 1];
    void *xpub; // the socket it was made for
    gate_t *gate;
} parked_t;

struct guard {
    watch_t *watch;
    inforce_t *inforce;
    handler_t *handler;
    asked_t *asked;
    pthread_mutex_t lock; // over the gates
    parked_t *gates;
};

// --- life -----------------------------------------------------------------------------

static bool
admits(void *arg, const entrance_t *where, const char *address)
{
    guard_t *self = arg;
    return handler_admits(self->handler, where, address);
}

guard_t *
guard_new(void *ctx, watch_t *watch)
{
    if (sodium_init() == -1) {
        errno = ENOSYS;
        return NULL;
    }
    guard_t *self = xcalloc(1, sizeof *self);
    self->watch = watch;
    self->inforce = inforce_new();
    pthread_mutex_init(&self->lock, NULL);
    self->handler = handler_new(ctx, self->inforce, watch);
    if (!self->handler) {
        int error = errno;
        guard_destroy(&self);
        errno = error;
        return NULL;
    }
    self->asked = asked_new(self->inforce, handler_verify(self->handler));
    entrance_ask(admits, self);
    return self;
}

void
guard_destroy(guard_t **self_p)
{
    guard_t *self = *self_p;
    if (!self)
        return;
    entrance_ask(NULL, NULL);
    handler_destroy(&self->handler);
    asked_free(&self->asked);
    while (self->gates) {
        parked_t *parked = self->gates;
        self->gates = parked->next;
        gate_free(&parked->gate);
        free(parked);
    }
    inforce_free(&self->inforce);
    pthread_mutex_destroy(&self->lock);
    free(self);
    *self_p = NULL;
}

const admission_t *
guard_admission(const guard_t *self)
{
    return asked_admission(self->asked);
}

int64_t
guard_age_ms(const guard_t *self)
{
    return handler_age_ms(self->handler);
}

// --- loading --------------------------------------------------------------------------

static void
log_damaged(void *arg, const char *file, int line, const char *text)
{
    (void)arg;
    char place[16] = "";
    if (line > 0)
        snprintf(place, sizeof place, ":%d", line);
    log_event(EVENT_CERTIFICATE, EVENT_TEXT("file", file), EVENT_WORDS("place", place), EVENT_PROSE("reason", text),
              EVENT_TEXT("line", line > 0 ? place + 1 : NULL));
}

policy_t *
guard_read(const guard_t *self, const guard_route_t routes[], size_t count, diag_t *diag)
{
    return policy_load(routes, count, inforce_policy(self->inforce), diag, log_damaged, NULL);
}

void
guard_use(guard_t *self, policy_t **policy_p)
{
    policy_t *policy = *policy_p, *old = inforce_replace(self->inforce, policy);
    *policy_p = old;
    if (policy_asks(policy))
        handler_be_asked(self->handler);
    if (old && self->watch)
        unwelcome_cut(self->watch, old, policy);
}

void
guard_compare(const guard_t *self, const policy_t *now,
              void (*found)(void *arg, const char *route, const char *key, const char *words, reload_t reload), void *arg)
{
    const policy_t *before = inforce_policy(self->inforce);
    if (before)
        reread_compare(before, now, found, arg);
}

int
guard_load(guard_t *self, const guard_route_t routes[], size_t count, diag_t *diag)
{
    policy_t *policy = guard_read(self, routes, count, diag);
    if (!policy)
        return -1;
    guard_use(self, &policy);
    policy_free(&policy);
    return 0;
}

int
guard_check(const guard_t *self, const conf_t *conf, policy_t **policy_p, diag_t *diag)
{
    if (sodium_init() == -1) {
        diag_error(diag, (place_t){ 0 }, "libsodium cannot be initialised");
        return -1;
    }
    guard_route_t *routes = xcalloc(conf->route_count + 1, sizeof *routes);
    for (size_t i = 0; i < conf->route_count; i++)
        routes[i].conf = conf->routes[i];
    const policy_t *before = self ? inforce_policy(self->inforce) : NULL;
    policy_t *policy = policy_load(routes, conf->route_count, before, diag, NULL, NULL);
    int rc = policy ? 0 : -1;
    if (policy_p) {
        *policy_p = policy;
        policy = NULL;
    }
    policy_free(&policy);
    free(routes);
    return rc;
}

// --- sockets --------------------------------------------------------------------------

static parked_t *
find_parked(guard_t *self, const char *route)
{
    for (parked_t *at = self->gates; at; at = at->next)
        if (strcmp(at->route, route) == 0)
            return at;
    parked_t *parked = xcalloc(1, sizeof *parked);
    snprintf(parked->route, sizeof parked->route, "%s", route);
    parked->next = self->gates;
    self->gates = parked;
    return parked;
}

// A new XPUB knows nobody yet: what was kept for an older one is void.
static void
note_xpub(guard_t *self, void *socket, const route_conf_t *conf)
{
    pthread_mutex_lock(&self->lock);
    parked_t *parked = find_parked(self, conf->name);
    parked->xpub = socket;
    gate_free(&parked->gate);
    pthread_mutex_unlock(&self->lock);
}

int
guard_secure(void *arg, void *socket, const route_conf_t *conf, side_t side, diag_t *diag)
{
    int rc = mechanism_set(socket, conf, side, diag);
    if (rc == 0)
        rc = mechanism_set_reports(socket, conf, side);
    if (conf->sides[side].type == ZMQ_XPUB)
        note_xpub(arg, socket, conf);
    if (rc == 0)
        return 0;
    if (errno != 0)
        diag_error(diag, side_place(conf, side), "[route %s] %s: cannot be secured: %s", conf->name, side_name(side),
                   zmq_strerror(zmq_errno()));
    return -1;
}

// --- filters --------------------------------------------------------------------------

// Rights came or went while the route runs: its XPUB goes on in another mode.
static void
change_reports(void *xpub, const route_conf_t *conf)
{
    for (side_t side = 0; xpub && side < SIDE_CAPTURE; side++)
        if (conf->sides[side].type == ZMQ_XPUB)
            mechanism_change_reports(xpub, conf, side);
}

filter_t *
guard_filter_new(void *arg, const route_conf_t *conf, counters_t *counters, topics_t *topics)
{
    guard_t *self = arg;
    pthread_mutex_lock(&self->lock);
    parked_t *parked = find_parked(self, conf->name);
    gate_t *gate = parked->gate;
    void *xpub = parked->xpub;
    parked->gate = NULL;
    pthread_mutex_unlock(&self->lock);
    if (gate && !gate_resume(gate, conf, counters, topics)) {
        gate_cut(gate);
        gate_free(&gate);
        change_reports(xpub, conf);
    }
    if (!gate)
        gate = gate_new(conf, counters, topics, self->inforce);
    return gate ? gate_filter(gate) : NULL;
}

// A route that changes live gives its filter back and takes a new one at once:
// who has subscribed to what must not be lost between.
void
guard_filter_free(void *arg, filter_t **filter_p)
{
    guard_t *self = arg;
    if (!*filter_p)
        return;
    gate_t *gate = (*filter_p)->arg;
    *filter_p = NULL;
    pthread_mutex_lock(&self->lock);
    parked_t *parked = find_parked(self, gate_route(gate));
    gate_free(&parked->gate);
    // An older route of that name may end when the newer one has its sockets.
    bool current = !gate_socket(gate) || gate_socket(gate) == parked->xpub;
    parked->gate = current ? gate : NULL;
    pthread_mutex_unlock(&self->lock);
    if (!current)
        gate_free(&gate);
}
