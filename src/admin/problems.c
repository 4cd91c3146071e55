// SPDX-License-Identifier: MPL-2.0
#include "admin/problems.h"

#include "admin/files.h"
#include "admin/stats.h"
#include "admin/storelist.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WINDOW_SECONDS = 60 };

// --- the last minute -----------------------------------------------------------

// What is counted over the last minute, per route. From TREND_REFUSED on: connections, by reason.
enum { TREND_DROPPED, TREND_EPISODES, TREND_CAPTURE, TREND_REFUSED, TRENDS = TREND_REFUSED + HANDSHAKE_REASONS };

typedef struct trend {
    struct trend *next;
    char name[ROUTE_NAME_MAX + 1];
    uint64_t totals[WINDOW_SECONDS][TRENDS]; // a ring, by the second
    unsigned samples;
    bool seen;
} trend_t;

static trend_t *trends;

// Of a full subscriber libzmq tells that it loses messages, not how many.
static bool
is_episode(const route_conf_t *conf, drop_reason_t reason)
{
    int type = conf->sides[SIDE_BACKEND].type;
    return reason == DROP_HWM && conf->engine != ENGINE_WIRE && socket_type_publishes(type);
}

static void
read_totals(const broker_route_t *route, const counters_t *counters, uint64_t totals[TRENDS])
{
    memset(totals, 0, sizeof(uint64_t) * TRENDS);
    for (int i = 0; i < DROP_REASONS; i++)
        totals[is_episode(route->conf, (drop_reason_t)i) ? TREND_EPISODES : TREND_DROPPED] += counter_get(&counters->dropped[i]);
    totals[TREND_CAPTURE] = counter_get(&counters->capture_dropped);
    for (int side = 0; side < SIDES; side++)
        for (int i = 0; i < HANDSHAKE_REASONS; i++)
            totals[TREND_REFUSED + i] += counter_get(&counters->sides[side].handshake_failures[i]);
}

static trend_t *
find_trend(const char *name)
{
    for (trend_t *trend = trends; trend; trend = trend->next)
        if (strcmp(trend->name, name) == 0)
            return trend;
    return NULL;
}

static void
sample(const broker_route_t *route)
{
    trend_t *trend = find_trend(route->conf->name);
    if (!trend) {
        trend = xcalloc(1, sizeof *trend);
        snprintf(trend->name, sizeof trend->name, "%s", route->conf->name);
        trend->next = trends;
        trends = trend;
    }
    trend->seen = true;
    read_totals(route, route->counters, trend->totals[trend->samples++ % WINDOW_SECONDS]);
}

static void
forget_removed_routes(void)
{
    for (trend_t **link = &trends; *link;) {
        trend_t *trend = *link;
        if (trend->seen) {
            trend->seen = false;
            link = &trend->next;
        } else {
            *link = trend->next;
            free(trend);
        }
    }
}

void
problems_tick(broker_t *broker)
{
    static int64_t last_ms;
    int64_t now = clock_mono_ms();
    if (last_ms && now - last_ms < 900) // control and HTTP both have a timer
        return;
    last_ms = now;
    broker_route_t route;
    for (size_t i = 0; broker_at(broker, i, &route); i++)
        sample(&route);
    forget_removed_routes();
}

// A minute ago, or when we began to look.
static void
read_first(const broker_route_t *route, uint64_t totals[TRENDS])
{
    const trend_t *trend = find_trend(route->conf->name);
    if (trend && trend->samples >= WINDOW_SECONDS)
        memcpy(totals, trend->totals[trend->samples % WINDOW_SECONDS], sizeof *trend->totals);
    else
        read_totals(route, route->before, totals);
}

// How much each trend has grown over the last minute.
static void
read_growth(const broker_route_t *route, uint64_t growth[TRENDS])
{
    uint64_t now[TRENDS], before[TRENDS];
    read_totals(route, route->counters, now);
    read_first(route, before);
    for (int i = 0; i < TRENDS; i++)
        growth[i] = now[i] > before[i] ? now[i] - before[i] : 0;
}

// --- problems --------------------------------------------------------------------

const char *
problem_level_name(problem_level_t level)
{
    static const char *const names[] = { [PROBLEM_ERROR] = "error", [PROBLEM_WARNING] = "warning", [PROBLEM_INFO] = "info" };
    return names[level];
}

typedef struct {
    problem_t *at;
    size_t count;
} problems_t;

static void problem(problems_t *self, problem_level_t level, const char *format, ...) __attribute__((format(printf, 3, 4)));

static void
problem(problems_t *self, problem_level_t level, const char *format, ...)
{
    if (self->count == PROBLEMS_MAX)
        return;
    problem_t *added = &self->at[self->count++];
    added->level = level;
    va_list args;
    va_start(args, format);
    vsnprintf(added->text, sizeof added->text, format, args);
    va_end(args);
}

// The peers of inproc and multicast endpoints have no descriptor: nobody can count them.
static bool
peers_are_visible(const side_conf_t *side)
{
    for (size_t i = 0; i < side->endpoint_count; i++)
        switch (side->endpoints[i].at.transport) {
        case TRANSPORT_INPROC:
        case TRANSPORT_PGM:
        case TRANSPORT_EPGM:
        case TRANSPORT_NORM:
            return false;
        default:
            break;
        }
    return side->endpoint_count > 0;
}

static bool
is_lonely(const broker_route_t *route, side_t side)
{
    return peers_are_visible(&route->conf->sides[side]) && counter_get(&route->counters->sides[side].connections) == 0;
}

static bool
is_full(const broker_route_t *route, side_t side)
{
    uint64_t limit = (uint64_t)route->conf->sides[side].max_clients;
    return limit && counter_get(&route->counters->sides[side].connections) >= limit;
}

// Nobody is there, and nobody at the acknowledged side that does the same.
static bool
is_deserted(const broker_route_t *route, side_t side)
{
    side_t other = side == SIDE_FRONTEND ? SIDE_ACK : SIDE_WORKER_ACK;
    return is_lonely(route, side) && (!stats_has_side(route, other) || is_lonely(route, other));
}

// One problem, also where both sides have nobody. SAID is a side that an error has named already, SIDES: none.
static void
lonely_problem(problems_t *self, const broker_route_t *route, side_t said)
{
    bool front = said != SIDE_FRONTEND && is_deserted(route, SIDE_FRONTEND), back = said != SIDE_BACKEND && is_deserted(route, SIDE_BACKEND);
    if (front && back)
        problem(self, PROBLEM_INFO, "nothing is connected to the backend or the frontend");
    else if (front || back)
        problem(self, PROBLEM_INFO, "nothing is connected to the %s", side_name(front ? SIDE_FRONTEND : SIDE_BACKEND));
}

static void
running_problems(problems_t *self, const broker_route_t *route)
{
    blocked_t blocked;
    bool waits = stats_blocked(route, &blocked);
    if (waits && is_lonely(route, blocked.side))
        problem(self, PROBLEM_ERROR, "blocked: nothing is connected to the %s, messages have waited for %.0f s", side_name(blocked.side), blocked.seconds);
    else if (waits)
        problem(self, PROBLEM_ERROR, "blocked: the %s has taken no messages for %.0f s", side_name(blocked.side), blocked.seconds);
    else if (route->blocked_share > 0.5)
        problem(self, PROBLEM_WARNING, "blocked %.0f %% of the last minute", route->blocked_share * 100);
    for (int side = SIDE_FRONTEND; side < SIDES; side++)
        if (is_full(route, (side_t)side))
            problem(self, PROBLEM_WARNING, "the %s is full (max_clients): newcomers wait", side_name((side_t)side));
    if (storelist_problem(route))
        problem(self, PROBLEM_ERROR, "%s", storelist_problem(route));
    if (counter_get(&route->counters->store.corrupt) > 0)
        problem(self, PROBLEM_WARNING, "%" PRIu64 " messages in the store were damaged", counter_get(&route->counters->store.corrupt));
    lonely_problem(self, route, waits ? blocked.side : SIDES);
}

// The log names each of them; this says what to look for.
static void
refused_problem(problems_t *self, const uint64_t refused[HANDSHAKE_REASONS])
{
    static const char *const reasons[HANDSHAKE_REASONS] = {
        [HANDSHAKE_AUTH] = "credentials",
        [HANDSHAKE_PROTOCOL] = "broken protocol",
        [HANDSHAKE_OTHER] = "other reasons",
        [HANDSHAKE_GREETING] = "not ZMTP",
        [HANDSHAKE_VERSION] = "old ZMTP",
        [HANDSHAKE_MECHANISM] = "another security mechanism",
        [HANDSHAKE_TYPE] = "wrong socket type",
        [HANDSHAKE_DUPLICATE_ID] = "routing id in use",
        [HANDSHAKE_TIMEOUT] = "no handshake in time",
        [HANDSHAKE_LIMITED] = "limits",
    };
    text_t list = { 0 };
    uint64_t total = 0;
    for (int i = 0; i < HANDSHAKE_REASONS; i++) {
        if (refused[i])
            text_add(&list, "%s %s %" PRIu64, total ? "," : ":", reasons[i], refused[i]);
        total += refused[i];
    }
    if (total)
        problem(self, PROBLEM_WARNING, "%" PRIu64 " %s refused in the last minute%s", total,
                total == 1 ? "connection was" : "connections were", list.data);
    text_free(&list);
}

static void
minute_problems(problems_t *self, const broker_route_t *route)
{
    static const struct {
        const char *one, *many, *more;
    } words[TREND_REFUSED] = {
        [TREND_DROPPED] = { "message was dropped", "messages were dropped", "" },
        [TREND_EPISODES] = { "time messages were dropped", "times messages were dropped", "; libzmq does not tell how many" },
        [TREND_CAPTURE] = { "message was missed by the capture", "messages were missed by the capture", "" },
    };
    uint64_t growth[TRENDS];
    read_growth(route, growth);
    for (int i = 0; i < TREND_REFUSED; i++)
        if (growth[i])
            problem(self, PROBLEM_WARNING, "%" PRIu64 " %s in the last minute%s", growth[i], growth[i] == 1 ? words[i].one : words[i].many, words[i].more);
    refused_problem(self, growth + TREND_REFUSED);
}

static void
endpoint_problem(side_t side, const char *endpoint, const char *reason, int64_t since_ms, void *problems)
{
    (void)side;
    int64_t seconds = (clock_wall_ns() / 1000000 - since_ms) / 1000;
    problem(problems, PROBLEM_WARNING, "%s: not connected for %" PRId64 " s: %s", endpoint, seconds > 0 ? seconds : 0, reason);
}

static void
file_problem(side_t side, const char *endpoint, void *problems)
{
    (void)side;
    problem(problems, PROBLEM_WARNING, "%s: its file has been removed: nobody can connect until the route is disabled and enabled",
            endpoint);
}

static int
worse_first(const void *a, const void *b)
{
    return (int)((const problem_t *)a)->level - (int)((const problem_t *)b)->level;
}

size_t
problems_of(const broker_route_t *route, problem_t problems[PROBLEMS_MAX])
{
    problems_t self = { .at = problems };
    switch (route->state) {
    case ROUTE_FAILED:
        problem(&self, PROBLEM_ERROR, "failed: %s", route->failure && *route->failure ? route->failure : "no reason known");
        break;
    case ROUTE_PAUSED:
        problem(&self, PROBLEM_INFO, "paused: nothing is read or sent");
        break;
    case ROUTE_DRAINING:
        problem(&self, PROBLEM_INFO, "draining: nothing new is read");
        break;
    case ROUTE_DISABLED:
        problem(&self, PROBLEM_INFO, "disabled: no client can connect");
        break;
    default:
        running_problems(&self, route);
    }
    minute_problems(&self, route);
    if (route->route)
        route_endpoints_down(route->route, endpoint_problem, &self);
    files_missing(route, file_problem, &self);
    qsort(problems, self.count, sizeof *problems, worse_first);
    return self.count;
}

void
problems_each(broker_t *broker, problem_level_t level, problem_fn_t *fn, void *arg)
{
    broker_route_t route;
    problem_t problems[PROBLEMS_MAX];
    for (size_t i = 0; broker_at(broker, i, &route); i++) {
        size_t count = problems_of(&route, problems);
        for (size_t j = 0; j < count; j++)
            if (problems[j].level == level)
                fn(&route, &problems[j], arg);
    }
}
