// SPDX-License-Identifier: MPL-2.0
// act.c - the commands that change something.

#include "admin/reply.h"

#include "base/log.h"
#include "conf/suggest.h"

#include <stdio.h>
#include <unistd.h>

// It may have much to deliver yet. Only when it has gone is it known what was lost, and whether the next one runs.
static void
await_end(request_t *request, const char *name, bool returns)
{
    leaving_t *leaving = request->leaving;
    *leaving = (leaving_t){ .json = request->json, .returns = returns };
    snprintf(leaving->route, sizeof leaving->route, "%s", name);
    if (broker_is_leaving(request->broker, name))
        request->result = COMMAND_LEAVE;
    else
        reply_left(request->broker, leaving, request->out);
}

static bool
is_draining(broker_t *broker, const char *name)
{
    broker_route_t route;
    return broker_find(broker, name, &route) && route.state == ROUTE_DRAINING;
}

static void
run_verb(request_t *request, verb_t verb)
{
    const char *name = reply_arg(request, 0);
    broker_route_t route;
    if (broker_verb(request->broker, verb, name, &request->error) == -1) {
        if (!request->error.size)
            reply_fail(request, "route %s: it did not work", name);
    } else if (verb == VERB_DISABLE) {
        await_end(request, name, false);
    } else if (verb == VERB_ENABLE && is_draining(request->broker, name)) {
        await_end(request, name, true);
    } else if (broker_find(request->broker, name, &route)) {
        reply_done(request, "route %s: %s\n", name, route_state_name(route.state));
    } else {
        reply_done(request, "route %s: done\n", name);
    }
}

void
act_pause(request_t *request)
{
    run_verb(request, VERB_PAUSE);
}

void
act_resume(request_t *request)
{
    run_verb(request, VERB_RESUME);
}

void
act_drain(request_t *request)
{
    run_verb(request, VERB_DRAIN);
}

void
act_disable(request_t *request)
{
    run_verb(request, VERB_DISABLE);
}

void
act_enable(request_t *request)
{
    run_verb(request, VERB_ENABLE);
}

void
act_kick(request_t *request)
{
    if (broker_kick(request->broker, reply_arg(request, 0), reply_arg(request, 1), &request->error) == 0)
        reply_done(request, "route %s: client %s kicked\n", reply_arg(request, 0), reply_arg(request, 1));
    else if (!request->error.size)
        reply_fail(request, "route %s has no client %s", reply_arg(request, 0), reply_arg(request, 1));
}

void
act_clear(request_t *request)
{
    const char *name = reply_arg(request, 0);
    if (broker_clear(request->broker, name, &request->error) == 0)
        reply_done(request, name ? "route %s: counters cleared\n" : "counters cleared\n", name);
}

void
act_set_log_level(request_t *request)
{
    const char *name = reply_arg(request, 0);
    int level = log_level_find(name);
    if (level != -1) {
        log_set_level((log_level_t)level);
        reply_done(request, "log_level: %s\n", name);
        return;
    }
    suggest_t suggestion = suggest_for(name);
    for (int i = 0; i <= LOG_LEVEL_TRACE; i++)
        suggest_offer(&suggestion, log_level_name((log_level_t)i));
    reply_fail(request, "no log level %s", name);
    if (*suggestion.best)
        reply_fail(request, "; did you mean %s?", suggestion.best);
    else
        reply_fail(request, "; one of error, warning, notice, info, debug, trace");
}

void
act_reload(request_t *request)
{
    text_t lines = { 0 };
    int rc = broker_reload(request->broker, &lines);
    reply_broker(request, rc, &lines, "changes", "not reloaded, nothing was changed");
}

// What runs then has our rights.
void
act_upgrade(request_t *request)
{
    if (request->who->uid != 0 && request->who->uid != geteuid()) {
        reply_fail(request, "only root and the user of the service may upgrade");
        return;
    }
    if (broker_upgrade(request->broker, &request->error) == -1)
        return;
    request->tap->json = request->json;
    request->result = COMMAND_WAITS;
}

void
act_stop(request_t *request)
{
    broker_stop(request->broker);
    reply_done(request, "stopping\n");
}

