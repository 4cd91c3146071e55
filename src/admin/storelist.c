// SPDX-License-Identifier: MPL-2.0
#include "admin/storelist.h"

#include "admin/listing.h"
#include "admin/reply.h"
#include "admin/stats.h"
#include "base/clock.h"
#include "base/mem.h"
#include "store/store.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { NS_IN_S = 1000000000 };

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

// "nats: connected to nats://…, 3 waiting"
static void
describe_engine(const broker_route_t *route, text_t *out)
{
    int size;
    const char *server = server_of(route, &size);
    uint64_t waiting = counter_get(&route->counters->store.messages);
    text_bytes(out, "", 0);
    if (server)
        text_add(out, "nats: connected to %.*s, %" PRIu64 " waiting", size, server, waiting);
    else if (route_conf_is_shared(route->conf))
        text_add(out, "nats: not connected, %" PRIu64 " waiting: %s", waiting, away_of(route).reason);
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

// In the order of the columns.
static const struct {
    const char *key; // of JSON
    uint64_t (*of)(const counters_t *counters);
} jobs[] = { { "given", given_of }, { "unacked", unacked_of }, { "again", again_of }, { "dead", dead_of } };

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

static const listing_field_t fields[] = {
    { "route", "ROUTE", 0 },
    { "store", NULL, 0 },
    { "state", "STATE", 0 },
    { "folder", NULL, 0 },
    { "messages", "MESSAGES", COLUMN_RIGHT },
    { "bytes", "BYTES", COLUMN_RIGHT },
    { "max_bytes", NULL, 0 },
    { "files", NULL, 0 },
    { "oldest_seconds", "OLDEST", COLUMN_RIGHT },
    { "commit_p50_seconds", NULL, 0 },
    { "commit_p99_seconds", NULL, 0 },
    { "corrupt", NULL, 0 },
    { NULL, "GIVEN", COLUMN_RIGHT }, // where a route has acknowledged workers: those of `jobs`
    { NULL, "UNACKED", COLUMN_RIGHT },
    { NULL, "AGAIN", COLUMN_RIGHT },
    { NULL, "DEAD", COLUMN_RIGHT },
    { NULL, "ENGINE", 0 },
};

static void
write_one(listing_t *list, const broker_route_t *route)
{
    const store_counters_t *store = &route->counters->store;
    text_t engine = { 0 };
    describe_engine(route, &engine);
    listing_text(list, route->conf->name);
    listing_text(list, kind_of(route->conf));
    listing_text(list, state_name(route));
    listing_text(list, route->conf->store_dir);
    listing_number(list, (int64_t)counter_get(&store->messages));
    listing_number(list, (int64_t)counter_get(&store->bytes));
    listing_number(list, route->conf->store_max);
    listing_number(list, (int64_t)counter_get(&store->files));
    listing_seconds(list, age_of(route), 1, "s");
    listing_seconds(list, commit_time(route, 50), 0, "");
    listing_seconds(list, commit_time(route, 99), 0, "");
    listing_number(list, (int64_t)counter_get(&store->corrupt));
    for (size_t i = 0; i < COUNT(jobs); i++)
        listing_number(list, stats_has_side(route, SIDE_WORKER_ACK) ? (int64_t)jobs[i].of(route->counters) : -1);
    if (list->json) {
        write_jobs(list->json, route);
        write_engine(list->json, route);
    }
    listing_text(list, engine.data);
    text_free(&engine);
}

void
storelist_write(json_t *json, const char *key, const broker_route_t *route)
{
    listing_t list = listing_into(json, fields, COUNT(fields));
    list.row_key = key;
    if (route->conf->store == KEEP_NOTHING)
        json_null(json, key);
    else
        write_one(&list, route);
}

// --- the command -----------------------------------------------------------------------

static bool
is_asked_for(const request_t *request, const broker_route_t *route)
{
    const char *name = reply_arg(request, 0);
    return name ? strcmp(name, route->conf->name) == 0 : route->conf->store != KEEP_NOTHING;
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

void
storelist_show(request_t *request)
{
    listing_t list;
    listing_field_t shown[COUNT(fields)];
    broker_route_t route;
    if (reply_arg(request, 0) && !reply_find_route(request, &route))
        return;
    memcpy(shown, fields, sizeof shown);
    for (size_t i = COUNT(fields) - 1 - COUNT(jobs); i < COUNT(fields) - 1 && !any_has_jobs(request); i++)
        shown[i].heading = NULL;
    listing_open(&list, request->out, request->json, "stores", shown, COUNT(shown));
    for (size_t i = 0; broker_at(request->broker, i, &route); i++)
        if (is_asked_for(request, &route))
            write_one(&list, &route);
    listing_close(&list);
}
