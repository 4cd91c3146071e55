// SPDX-License-Identifier: MPL-2.0
#include "admin/storelist.h"

#include "admin/reply.h"
#include "admin/stats.h"
#include "admin/table.h"
#include "base/clock.h"
#include "base/mem.h"
#include "store/store.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { NS_IN_S = 1000000000 };

static const column_t columns[] = {
    { "ROUTE", 0 }, { "STATE", 0 }, { "MESSAGES", COLUMN_RIGHT }, { "BYTES", COLUMN_RIGHT }, { "OLDEST", COLUMN_RIGHT },
};
static const column_t engine_column = { "ENGINE", 0 };

static const char *
kind_of(const route_conf_t *conf)
{
    static const char *const kinds[] = {
        [KEEP_NOTHING] = "off", [KEEP_OVERFLOW] = "overflow", [KEEP_ALL] = "all", [KEEP_SHARED] = "nats"
    };
    return kinds[conf->store];
}

static store_state_t
state_of(const broker_route_t *route)
{
    return (store_state_t)counter_get(&route->counters->store.state);
}

static const char *
state_name(const broker_route_t *route)
{
    return route->conf->store == KEEP_NOTHING ? "off" : store_state_name(state_of(route));
}

// Of the oldest message, in seconds; negative: there is none.
static double
age_of(const broker_route_t *route)
{
    uint64_t oldest = counter_get(&route->counters->store.oldest_ns);
    int64_t age = clock_wall_ns() - (int64_t)oldest;
    return oldest == 0 ? -1 : age < 0 ? 0 : (double)age / NS_IN_S;
}

// Below what time so many commits of a hundred were done, in seconds; negative: there was none.
static double
commit_time(const broker_route_t *route, uint64_t percent)
{
    const counter_t *commits = route->counters->store.commits;
    uint64_t all = 0, sum = 0;
    for (unsigned i = 0; i < STORE_BUCKETS; i++)
        all += counter_get(&commits[i]);
    for (unsigned i = 0; i < STORE_BUCKETS; i++) {
        sum += counter_get(&commits[i]);
        if (sum * 100 >= all * percent && all > 0)
            return (double)store_bucket_ns(i < STORE_BUCKETS - 1 ? i : i - 1) / NS_IN_S;
    }
    return -1;
}

// --- one route with those of other machines ---------------------------------------------

// The server of its stream, of SIZE bytes; NULL: none now.
static const char *
server_of(const broker_route_t *route, int *size)
{
    uint64_t number = counter_get(&route->counters->store.server);
    const char *at = route_conf_is_shared(route->conf) && number > 0 ? route->conf->nats.servers : NULL;
    for (; at && number > 1; number--) {
        at = strchr(at, ',');
        at = at ? at + strspn(at, ", \t") : NULL;
    }
    *size = at ? (int)strcspn(at, ", \t") : 0;
    return at;
}

typedef struct {
    const char *servers;
    char reason[256];
} away_t;

static void
note_reason(side_t side, const char *endpoint, const char *reason, int64_t since_ms, void *arg)
{
    away_t *away = arg;
    (void)side;
    (void)since_ms;
    if (strncmp(endpoint, away->servers, strlen(endpoint)) == 0)
        snprintf(away->reason, sizeof away->reason, "%s", reason);
}

// Why its stream is away.
static away_t
away_of(const broker_route_t *route)
{
    away_t away = { .servers = route->conf->nats.servers };
    if (route->route)
        route_endpoints_down(route->route, note_reason, &away);
    return away;
}

static void
print_engine(table_t *table, const broker_route_t *route)
{
    int size;
    const char *server = server_of(route, &size);
    uint64_t waiting = counter_get(&route->counters->store.messages);
    if (!route_conf_is_shared(route->conf))
        table_cell(table, "%s", "");
    else if (server)
        table_cell(table, "nats: connected to %.*s, %" PRIu64 " waiting", size, server, waiting);
    else
        table_cell(table, "nats: not connected, %" PRIu64 " waiting: %s", waiting, away_of(route).reason);
}

static void
write_engine(json_t *json, const broker_route_t *route)
{
    int size;
    const char *server = server_of(route, &size);
    if (!route_conf_is_shared(route->conf)) {
        json_null(json, "engine_up");
        json_null(json, "server");
        json_null(json, "reason");
        return;
    }
    json_bool(json, "engine_up", server != NULL);
    char *name = server ? xstrndup(server, (size_t)size) : NULL;
    json_string(json, "server", name ? name : "");
    json_string(json, "reason", server ? NULL : away_of(route).reason);
    free(name);
}

const char *
storelist_problem(const broker_route_t *route)
{
    static const char *const words[] = {
        [STORE_READY] = NULL,
        [STORE_OPENING] = NULL,
        [STORE_FULL] = "the store is full (store_max): producers wait",
        [STORE_NO_DISK] = "the file system of the store is full: producers wait",
        [STORE_FAILED] = "the store cannot be written to: producers wait",
    };
    if (route_conf_is_shared(route->conf) && !words[state_of(route)] && !counter_get(&route->counters->store.server))
        return "its stream is away: messages wait on the disk";
    return route->conf->store == KEEP_NOTHING ? NULL : words[state_of(route)];
}

// --- acknowledged workers ----------------------------------------------------------------

static uint64_t
given_of(const counters_t *counters)
{
    return counter_get(&counters->jobs[JOB_GIVEN]);
}

static uint64_t
unacked_of(const counters_t *counters)
{
    return counter_get(&counters->outstanding);
}

static uint64_t
again_of(const counters_t *counters)
{
    return counter_get(&counters->jobs[JOB_AGAIN]);
}

static uint64_t
dead_of(const counters_t *counters)
{
    return counter_get(&counters->jobs[JOB_DEAD_LETTER]) + counter_get(&counters->jobs[JOB_EXPIRED]);
}

static const struct {
    const char *key; // of JSON
    column_t column;
    uint64_t (*of)(const counters_t *counters);
} jobs[] = {
    { "given", { "GIVEN", COLUMN_RIGHT }, given_of },
    { "unacked", { "UNACKED", COLUMN_RIGHT }, unacked_of },
    { "again", { "AGAIN", COLUMN_RIGHT }, again_of },
    { "dead", { "DEAD", COLUMN_RIGHT }, dead_of },
};

static void
print_jobs(table_t *table, const broker_route_t *route)
{
    for (size_t i = 0; i < COUNT(jobs); i++)
        if (stats_has_side(route, SIDE_WORKER_ACK))
            table_cell(table, "%" PRIu64, jobs[i].of(route->counters));
        else
            table_cell(table, "%s", "");
}

static void
write_jobs(json_t *json, const broker_route_t *route)
{
    if (!stats_has_side(route, SIDE_WORKER_ACK)) {
        json_null(json, "jobs");
        return;
    }
    json_object(json, "jobs");
    for (size_t i = 0; i < COUNT(jobs); i++)
        json_uint(json, jobs[i].key, jobs[i].of(route->counters));
    json_object_end(json);
}

// --- one of them ---------------------------------------------------------------------

static void
write_seconds(json_t *json, const char *key, double seconds)
{
    if (seconds < 0)
        json_null(json, key);
    else
        json_real(json, key, seconds);
}

static void
write_one(json_t *json, const char *key, const broker_route_t *route)
{
    const store_counters_t *store = &route->counters->store;
    json_object(json, key);
    json_string(json, "route", route->conf->name);
    json_string(json, "store", kind_of(route->conf));
    json_string(json, "state", state_name(route));
    json_string(json, "folder", route->conf->store_dir);
    json_uint(json, "messages", counter_get(&store->messages));
    json_uint(json, "bytes", counter_get(&store->bytes));
    json_uint(json, "max_bytes", (uint64_t)route->conf->store_max);
    json_uint(json, "files", counter_get(&store->files));
    write_seconds(json, "oldest_seconds", age_of(route));
    write_seconds(json, "commit_p50_seconds", commit_time(route, 50));
    write_seconds(json, "commit_p99_seconds", commit_time(route, 99));
    json_uint(json, "corrupt", counter_get(&store->corrupt));
    write_jobs(json, route);
    write_engine(json, route);
    json_object_end(json);
}

void
storelist_write(json_t *json, const char *key, const broker_route_t *route)
{
    if (route->conf->store == KEEP_NOTHING)
        json_null(json, key);
    else
        write_one(json, key, route);
}

static void
print_one(table_t *table, const broker_route_t *route)
{
    const store_counters_t *store = &route->counters->store;
    table_cell(table, "%s", route->conf->name);
    table_cell(table, "%s", state_name(route));
    table_cell(table, "%" PRIu64, counter_get(&store->messages));
    table_cell(table, "%" PRIu64, counter_get(&store->bytes));
    if (age_of(route) < 0)
        table_cell(table, "%s", "");
    else
        table_cell(table, "%.1fs", age_of(route));
    if (table->column_count > COUNT(columns) + 1)
        print_jobs(table, route);
    print_engine(table, route);
}

// --- the command -----------------------------------------------------------------------

static bool
is_asked_for(const request_t *request, const broker_route_t *route)
{
    const char *name = reply_arg(request, 0);
    return name ? strcmp(name, route->conf->name) == 0 : route->conf->store != KEEP_NOTHING;
}

static void
show_json(request_t *request)
{
    broker_route_t route;
    json_t json = json_document(request->out);
    json_array(&json, "stores");
    for (size_t i = 0; broker_at(request->broker, i, &route); i++)
        if (is_asked_for(request, &route))
            write_one(&json, NULL, &route);
    json_array_end(&json);
    json_document_end(&json);
}

static bool
any_has_jobs(const request_t *request)
{
    broker_route_t route;
    for (size_t i = 0; broker_at(request->broker, i, &route); i++)
        if (is_asked_for(request, &route) && stats_has_side(&route, SIDE_WORKER_ACK))
            return true;
    return false;
}

enum { COLUMNS_MOST = COUNT(columns) + COUNT(jobs) + 1 };

static size_t
choose_columns(const request_t *request, column_t chosen[COLUMNS_MOST])
{
    size_t count = COUNT(columns);
    memcpy(chosen, columns, sizeof columns);
    for (size_t i = 0; i < COUNT(jobs) && any_has_jobs(request); i++)
        chosen[count++] = jobs[i].column;
    chosen[count++] = engine_column;
    return count;
}

static void
show_table(request_t *request)
{
    broker_route_t route;
    column_t chosen[COLUMNS_MOST];
    table_t table = table_on(chosen, choose_columns(request, chosen));
    for (size_t i = 0; broker_at(request->broker, i, &route); i++)
        if (is_asked_for(request, &route))
            print_one(&table, &route);
    table_print(&table, request->out);
    table_free(&table);
}

void
storelist_show(request_t *request)
{
    broker_route_t route;
    if (!reply_arg(request, 0) || reply_find_route(request, &route))
        (request->json ? show_json : show_table)(request);
}
