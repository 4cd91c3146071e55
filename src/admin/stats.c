// SPDX-License-Identifier: MPL-2.0
#include "admin/stats.h"

#include "base/clock.h"
#include "broker/standstill.h"

#include <stdio.h>
#include <string.h>

uint64_t
stats_counter(const broker_route_t *route, const counter_t *counter)
{
    uint64_t now = counter_get(counter);
    if (!route->cleared)
        return now;
    ptrdiff_t offset = (const char *)counter - (const char *)route->counters;
    const counter_t *base = (const counter_t *)(const void *)((const char *)route->cleared + offset);
    uint64_t before = counter_get(base);
    return now > before ? now - before : 0;
}

bool
stats_has_side(const broker_route_t *route, side_t side)
{
    return route->conf->sides[side].type != -1;
}

uint64_t
stats_dropped(const broker_route_t *route)
{
    uint64_t total = 0;
    for (int i = 0; i < DROP_REASONS; i++)
        total += STATS(route, dropped[i]);
    return total;
}

void
stats_states(broker_t *broker, size_t states[ROUTE_STATES])
{
    broker_route_t route;
    memset(states, 0, ROUTE_STATES * sizeof *states);
    for (size_t i = 0; broker_at(broker, i, &route); i++)
        states[route.state]++;
}

double
stats_blocked_total(const broker_route_t *route, side_t side)
{
    const side_counters_t *counters = &route->counters->sides[side];
    return ((double)counter_get(&counters->blocked_ns) + (double)standstill_spell_ns(counters)) / 1e9;
}

double
stats_blocked_seconds(const broker_route_t *route, side_t side)
{
    double before = route->cleared ? (double)counter_get(&route->cleared->sides[side].blocked_ns) / 1e9 : 0;
    double seconds = stats_blocked_total(route, side) - before;
    return seconds > 0 ? seconds : 0;
}

bool
stats_blocked(const broker_route_t *route, blocked_t *blocked)
{
    int64_t longest = route->state == ROUTE_RUNNING ? standstill_longest_ns(route->counters, &blocked->side) : 0;
    blocked->seconds = (double)longest / 1e9;
    blocked->since_wall_ns = clock_wall_ns() - longest;
    return blocked->seconds >= STATS_PROBLEM_SECONDS;
}

const char *
stats_endpoint(const broker_route_t *route, side_t side, size_t i, bool *connected)
{
    if (route->route)
        return route_endpoint(route->route, side, i, connected);
    const side_conf_t *conf = &route->conf->sides[side];
    if (i >= conf->endpoint_count)
        return NULL;
    *connected = conf->endpoints[i].connect;
    return conf->endpoints[i].at.text;
}

const char *
stats_shown_value(const setting_t *setting)
{
    static const char secret[] = "password";
    size_t length = strlen(setting->key), tail = strlen(secret);
    bool hidden = length >= tail && strcmp(setting->key + length - tail, secret) == 0;
    return hidden && *setting->value ? "***" : setting->value;
}

char **
stats_topics(const broker_route_t *route, size_t *count, size_t max)
{
    *count = 0;
    return route->route && pattern_may_have(route->conf->pattern, SIDE_INGRESS) ? route_subscriptions(route->route, count, max) : NULL;
}

static const char *
version_of(void (*ask)(int *major, int *minor, int *patch), char text[40])
{
    int major, minor, patch;
    ask(&major, &minor, &patch);
    snprintf(text, 40, "%d.%d.%d", major, minor, patch);
    return text;
}

const char *
stats_libzmq_version(void)
{
    static char text[40];
    return version_of(zmq_version, text);
}

const char *
stats_czmq_version(void)
{
    static char text[40];
    return version_of(zsys_version, text);
}
