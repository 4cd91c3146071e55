// SPDX-License-Identifier: MPL-2.0
#include "broker/authpolicy.h"

#include "base/mem.h"
#include "guard/policy.h"

#include <stdlib.h>
#include <string.h>

counters_t *
authpolicy_logins(broker_t *self, const char *route)
{
    for (logins_t *i = self->logins; i; i = i->next)
        if (strcmp(i->name, route) == 0)
            return &i->counters;
    logins_t *logins = xcalloc(1, sizeof *logins);
    memcpy(logins->name, route, strlen(route) + 1);
    logins->next = self->logins;
    self->logins = logins;
    return &logins->counters;
}

int
authpolicy_read(broker_t *self, const route_conf_t *const *confs, size_t count, policy_t **policy_p, diag_t *diag)
{
    if (!self->setup->guard)
        return 0;
    guard_route_t *routes = xcalloc(count + 1, sizeof *routes);
    for (size_t i = 0; i < count; i++)
        routes[i] = (guard_route_t){ .conf = confs[i], .counters = authpolicy_logins(self, confs[i]->name) };
    *policy_p = guard_read(self->setup->guard, routes, count, diag);
    free(routes);
    return *policy_p ? 0 : -1;
}

void
authpolicy_use(broker_t *self, policy_t **policy_p)
{
    if (!*policy_p)
        return;
    guard_use(self->setup->guard, policy_p);
    for (size_t i = 0; i < self->count; i++)
        if (self->slots[i]->route)
            route_look(self->slots[i]->route);
    for (retired_t *leaving = self->retired; leaving; leaving = leaving->next)
        route_look(leaving->route);
}

int
authpolicy_tell(broker_t *self, const route_conf_t *const *confs, size_t count, diag_t *diag)
{
    policy_t *policy = NULL;
    if (authpolicy_read(self, confs, count, &policy, diag) == -1)
        return -1;
    authpolicy_use(self, &policy);
    policy_free(&policy);
    return 0;
}

static void
add_content(void *plan, const char *route, const char *key, const char *words, reload_t reload)
{
    plan_add_content(plan, route, key, words, reload);
}

void
authpolicy_compare(const broker_t *self, const policy_t *policy, plan_t *plan)
{
    if (policy)
        guard_compare(self->setup->guard, policy, add_content, plan);
}

void
authpolicy_end(broker_t *self)
{
    diag_t *diag = diag_new();
    authpolicy_tell(self, NULL, 0, diag);
    diag_destroy(&diag);
    while (self->logins) {
        logins_t *next = self->logins->next;
        free(self->logins);
        self->logins = next;
    }
}
