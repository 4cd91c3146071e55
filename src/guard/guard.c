// SPDX-License-Identifier: MPL-2.0
#include "guard/guard.h"

#include "base/log.h"
#include "base/mem.h"
#include "guard/asked.h"
#include "guard/passwords.h"
#include "guard/reread.h"
#include "guard/revoke.h"
#include "zmq/entrance.h"
#include "zmq/zap_handler.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

struct guard {
    watch_t *watch;
    current_t *current;
    passwords_t *passwords;
    asked_guard_t *asked;
    zap_handler_t *zap;
};

// --- life -----------------------------------------------------------------------------

static int
start(guard_t *self, void *ctx)
{
    self->passwords = passwords_new();
    if (!self->passwords)
        return -1;
    self->asked = asked_new(self->current, self->passwords);
    self->zap = zap_handler_new(ctx, asked_admission(self->asked), self->watch);
    return self->zap ? 0 : -1;
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
    self->current = current_new();
    if (start(self, ctx) == -1) {
        int error = errno;
        guard_destroy(&self);
        errno = error;
        return NULL;
    }
    entrance_ask(asked_admission(self->asked));
    return self;
}

void
guard_destroy(guard_t **self_p)
{
    guard_t *self = *self_p;
    if (!self)
        return;
    entrance_ask(NULL);
    zap_handler_destroy(&self->zap);
    passwords_destroy(&self->passwords); // tells who still waits
    asked_free(&self->asked);
    current_free(&self->current);
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
    int64_t answering = zap_handler_age_ms(self->zap), checking = passwords_age_ms(self->passwords);
    return answering > checking ? answering : checking;
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
    return policy_load(routes, count, current_policy(self->current), diag, log_damaged, NULL);
}

void
guard_use(guard_t *self, policy_t **policy_p)
{
    policy_t *policy = *policy_p, *old = current_replace(self->current, policy);
    *policy_p = old;
    if (policy_asks(policy))
        zap_handler_be_asked(self->zap);
    if (old && self->watch)
        revoke(self->watch, old, policy);
}

void
guard_compare(const guard_t *self, const policy_t *now,
              void (*found)(void *arg, const char *route, const char *key, const char *words, reload_t reload), void *arg)
{
    const policy_t *before = current_policy(self->current);
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
    const policy_t *before = self ? current_policy(self->current) : NULL;
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
