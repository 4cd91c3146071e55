// SPDX-License-Identifier: MPL-2.0
#include "admin/statsjson.h"

#include "admin/clients.h"
#include "admin/fields.h"
#include "admin/problems.h"
#include "admin/recentlog.h"
#include "admin/stats.h"
#include "admin/storelist.h"
#include "admin/usage.h"
#include "base/clock.h"
#include "conf/engine.h"

#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

enum { HISTORY_SHORT = 60, CLIENTS_SHOWN = 200, TOPICS_SHOWN = 200, EVENTS_SHOWN = 20 };

// --- values and what is wrong --------------------------------------------------------

static void
json_time(json_t *json, const char *key, int64_t wall_ns)
{
    char text[32];
    clock_rfc3339(wall_ns, text);
    json_string(json, key, text);
}

// Durations and rates are told to the millisecond, not to the last bit.
static void
json_rounded(json_t *json, const char *key, double value)
{
    json_real(json, key, (double)(int64_t)(value * 1000 + 0.5) / 1000);
}

typedef struct {
    json_t *json;
    const char *route; // NULL: it is clear which one
} down_list_t;

static void
write_down(side_t side, const char *endpoint, const char *reason, int64_t since_ms, void *arg)
{
    const down_list_t *self = arg;
    json_object(self->json, NULL);
    if (self->route)
        json_string(self->json, "route", self->route);
    json_string(self->json, "side", side_name(side));
    json_string(self->json, "endpoint", endpoint);
    json_string(self->json, "reason", reason);
    json_time(self->json, "since", since_ms * 1000000);
    json_object_end(self->json);
}

static void
write_all_down(json_t *json, broker_t *broker)
{
    broker_route_t route;
    json_array(json, "endpoints_down");
    for (size_t i = 0; broker_at(broker, i, &route); i++)
        if (route.route)
            route_endpoints_down(route.route, write_down, &(down_list_t){ json, route.conf->name });
    json_array_end(json);
}

static void
write_problem(json_t *json, const char *route, const problem_t *problem)
{
    json_object(json, NULL);
    if (route)
        json_string(json, "route", route);
    json_string(json, "level", problem_level_name(problem->level));
    json_string(json, "text", problem->text);
    json_object_end(json);
}

static void
write_problem_of(const broker_route_t *route, const problem_t *problem, void *json)
{
    write_problem(json, route->conf->name, problem);
}

// What someone should look at.
static void
write_all_problems(json_t *json, broker_t *broker)
{
    json_array(json, "problems");
    problems_each(broker, PROBLEM_ERROR, write_problem_of, json);
    problems_each(broker, PROBLEM_WARNING, write_problem_of, json);
    json_array_end(json);
}

// --- the process ----------------------------------------------------------------------

static void
write_states(json_t *json, broker_t *broker)
{
    size_t states[ROUTE_STATES];
    stats_states(broker, states);
    json_object(json, "routes");
    for (int i = 0; i < ROUTE_STATES; i++)
        json_uint(json, route_state_name((route_state_t)i), states[i]);
    json_object_end(json);
}

void
statsjson_status(json_t *json, broker_t *broker)
{
    broker_status_t status;
    usage_t usage;
    char hostname[HOST_NAME_MAX + 1] = "";
    int64_t now = clock_wall_ns();
    broker_status(broker, &status);
    usage_read(&usage);
    gethostname(hostname, sizeof hostname - 1);
    json_string(json, "name", "zbroker");
    json_string(json, "version", PACKAGE_VERSION);
    json_string(json, "libzmq", stats_libzmq_version());
    json_string(json, "czmq", stats_czmq_version());
    json_string(json, "hostname", hostname);
    json_int(json, "pid", getpid());
    json_time(json, "time", now);
    json_time(json, "started", status.started_wall_ns);
    json_rounded(json, "uptime_seconds", (double)(now - status.started_wall_ns) / 1e9);
    json_string(json, "config_file", broker_conf(broker)->file);
    json_object(json, "last_reload");
    json_bool(json, "ok", status.reload_ok);
    json_time(json, "time", status.reload_wall_ns);
    json_lines(json, "problems", status.reload_problems);
    json_object_end(json);
    json_object(json, "reloads");
    json_uint(json, "success", status.reloads_success);
    json_uint(json, "failure", status.reloads_failure);
    json_object_end(json);
    json_bool(json, "stopping", status.stopping);
    json_bool(json, "full", status.full);
    json_rounded(json, "cpu_seconds", usage.cpu_seconds);
    json_int(json, "rss_bytes", usage.rss_bytes);
    json_uint(json, "message_bytes", status.message_bytes);
    json_uint(json, "max_memory", status.max_memory);
    json_int(json, "open_fds", usage.open_fds);
    json_int(json, "max_fds", usage.max_fds);
    write_states(json, broker);
    write_all_problems(json, broker);
    write_all_down(json, broker);
}

// --- a side ---------------------------------------------------------------------------

static void
write_endpoints(json_t *json, const broker_route_t *route, side_t side)
{
    const char *endpoint;
    bool connected = false;
    json_array(json, "endpoints");
    for (size_t i = 0; (endpoint = stats_endpoint(route, side, i, &connected)); i++)
        json_string(json, NULL, endpoint);
    json_array_end(json);
    json_array(json, "connects");
    for (size_t i = 0; (endpoint = stats_endpoint(route, side, i, &connected)); i++)
        if (connected)
            json_string(json, NULL, endpoint);
    json_array_end(json);
}

static const char *
security_name(security_t security)
{
    static const char *const names[] = {
        [SECURITY_UNSET] = "none",  [SECURITY_NONE] = "none",     [SECURITY_PLAIN] = "plain",
        [SECURITY_CURVE] = "curve", [SECURITY_GSSAPI] = "gssapi",
    };
    return names[security];
}

static void
write_fields(json_t *json, const broker_route_t *route, side_t side, field_id_t from, field_id_t to)
{
    for (field_id_t id = from; id < to; id++)
        json_uint(json, field_at(id)->name, field_shown(route, side, id));
}

// "dropped": what is counted by reason, or by result, from the counter FIRST on.
static void
write_counts(json_t *json, const char *key, const char *const *names, size_t count, const broker_route_t *route,
             const counter_t *first)
{
    json_object(json, key);
    for (size_t i = 0; i < count; i++)
        json_uint(json, names[i], stats_counter(route, &first[i]));
    json_object_end(json);
}

static void
write_side(json_t *json, const broker_route_t *route, side_t side)
{
    const side_counters_t *counters = &route->counters->sides[side];
    const side_conf_t *conf = &route->conf->sides[side];
    if (!stats_has_side(route, side)) {
        json_null(json, side_name(side));
        return;
    }
    json_object(json, side_name(side));
    json_string(json, "socket", socket_type_name(conf->type));
    json_string(json, "security", security_name(conf->security.mechanism));
    write_endpoints(json, route, side);
    write_fields(json, route, side, 0, FIELDS_OF_SIDE);
    json_rounded(json, "blocked_seconds", stats_blocked_seconds(route, side));
    write_counts(json, "cut", cut_reasons, CUT_REASONS, route, counters->cut);
    write_counts(json, "handshake_failures", handshake_reasons, HANDSHAKE_REASONS, route, counters->handshake_failures);
    write_counts(json, "auth", auth_results, AUTH_RESULTS, route, counters->auth);
    json_object_end(json);
}

// --- a route --------------------------------------------------------------------------

static void
write_acked(json_t *json, const broker_route_t *route)
{
    if (stats_has_side(route, SIDE_ACK))
        write_counts(json, "acks", ack_results, ACK_RESULTS, route, route->counters->acks);
    if (!stats_has_side(route, SIDE_WORKER_ACK))
        return;
    json_object(json, "jobs");
    for (int i = 0; i < JOB_RESULTS; i++)
        json_uint(json, job_results[i], STATS(route, jobs[i]));
    json_uint(json, "outstanding", counter_get(&route->counters->outstanding));
    json_object_end(json);
}

static void
write_state(json_t *json, const broker_route_t *route)
{
    blocked_t blocked;
    problem_t problems[PROBLEMS_MAX];
    json_string(json, "state", route_state_name(route->state));
    json_string(json, "failure", route->state == ROUTE_FAILED ? route->failure : NULL);
    json_rounded(json, "uptime_seconds", (double)(clock_wall_ns() - route->started_wall_ns) / 1e9);
    if (stats_blocked(route, &blocked)) {
        json_object(json, "blocked");
        json_string(json, "side", side_name(blocked.side));
        json_time(json, "since", blocked.since_wall_ns);
        json_rounded(json, "seconds", blocked.seconds);
        json_object_end(json);
    } else {
        json_null(json, "blocked");
    }
    json_array(json, "problems");
    size_t count = problems_of(route, problems);
    for (size_t i = 0; i < count; i++)
        write_problem(json, NULL, &problems[i]);
    json_array_end(json);
    json_array(json, "endpoints_down");
    if (route->route)
        route_endpoints_down(route->route, write_down, &(down_list_t){ json, NULL });
    json_array_end(json);
}

static void
write_rates(json_t *json, const broker_route_t *route)
{
    json_object(json, "rates");
    json_rounded(json, "in_1s", route->rate_in_1s);
    json_rounded(json, "out_1s", route->rate_out_1s);
    json_rounded(json, "in_60s", route->rate_in_60s);
    json_rounded(json, "out_60s", route->rate_out_60s);
    json_rounded(json, "bytes_in_1s", route->bytes_in_1s);
    json_rounded(json, "bytes_out_1s", route->bytes_out_1s);
    json_object_end(json);
}

static void
write_history(json_t *json, const broker_route_t *route, stats_depth_t depth)
{
    uint32_t count = route->history_count;
    uint32_t skipped = depth == STATS_HISTORY && count > HISTORY_SHORT ? count - HISTORY_SHORT : 0;
    json_array(json, "history");
    for (uint32_t i = skipped; i < count; i++)
        json_uint(json, NULL, route->history[i]);
    json_array_end(json);
    if (depth != STATS_DETAIL)
        return;
    json_array(json, "history_out");
    for (uint32_t i = 0; i < count; i++)
        json_uint(json, NULL, route->history_out[i]);
    json_array_end(json);
}

// The histogram, not cumulative: how many messages had at most LE bytes and more than the LE before.
static void
write_sizes(json_t *json, const broker_route_t *route)
{
    json_array(json, "message_size_bytes");
    for (unsigned i = 0; i < SIZE_BUCKETS; i++) {
        json_object(json, NULL);
        if (i + 1 < SIZE_BUCKETS)
            json_uint(json, "le", size_bucket_limit(i));
        else
            json_null(json, "le");
        json_uint(json, "count", STATS(route, sizes[i]));
        json_object_end(json);
    }
    json_array_end(json);
}

void
statsjson_settings(json_t *json, const char *key, const settings_t *settings)
{
    json_array(json, key);
    for (size_t i = 0; i < settings->count; i++) {
        json_object(json, NULL);
        json_string(json, "key", settings->at[i].key);
        json_string(json, "value", stats_shown_value(&settings->at[i]));
        json_bool(json, "default", settings->at[i].is_default);
        json_object_end(json);
    }
    json_array_end(json);
}

static void
write_topics(json_t *json, const broker_route_t *route)
{
    size_t count = 0;
    char **topics = stats_topics(route, &count, TOPICS_SHOWN);
    json_array(json, "topics");
    for (size_t i = 0; i < count; i++) {
        json_string(json, NULL, topics[i]);
        free(topics[i]);
    }
    json_array_end(json);
    free(topics);
}

void
statsjson_events(json_t *json, const char *route)
{
    logged_t events[EVENTS_SHOWN];
    recentlog_write(json, "events", events, recentlog_of(route, events, EVENTS_SHOWN));
}

void
statsjson_route(json_t *json, broker_t *broker, const broker_route_t *route, stats_depth_t depth)
{
    json_object(json, NULL);
    json_string(json, "name", route->conf->name);
    json_string(json, "type", route->conf->pattern->name);
    json_string(json, "engine", engine_name(route->conf->engine));
    write_state(json, route);
    for (int side = 0; side < SIDES; side++)
        write_side(json, route, (side_t)side);
    write_rates(json, route);
    if (depth != STATS_PLAIN)
        write_history(json, route, depth);
    json_rounded(json, "blocked_share", route->blocked_share);
    write_counts(json, "dropped", drop_reasons, DROP_REASONS, route, route->counters->dropped);
    write_acked(json, route);
    storelist_write(json, "store", route);
    write_fields(json, route, SIDES, FIELDS_OF_SIDE, FIELDS);
    write_sizes(json, route);
    if (depth == STATS_DETAIL) {
        statsjson_settings(json, "options", &route->conf->settings);
        clients_write(json, broker, route->conf->name, CLIENTS_SHOWN);
        clients_write_slowest(json, broker, route->conf->name);
        write_topics(json, route);
        statsjson_events(json, route->conf->name);
    }
    json_object_end(json);
}
