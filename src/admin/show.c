// SPDX-License-Identifier: MPL-2.0
#include "admin/show.h"

#include "admin/clients.h"
#include "admin/problems.h"
#include "admin/stats.h"
#include "admin/status.h"
#include "admin/table.h"
#include "base/clock.h"
#include "base/mem.h"
#include "conf/engine.h"

#include <stdlib.h>
#include <string.h>

enum { TOPICS_MAX = 10000 };

// --- routes and stats ---------------------------------------------------------------

static void
add_json_route(request_t *request, const broker_route_t *route, void *context)
{
    stats_route(context, request->broker, route, STATS_PLAIN);
}

static void
add_json_detail(request_t *request, const broker_route_t *route, void *context)
{
    stats_route(context, request->broker, route, STATS_DETAIL);
}

static void
show_json_routes(request_t *request, void (*add)(request_t *request, const broker_route_t *route, void *context))
{
    size_t before = request->out->size;
    json_t json = answer_json(request);
    json_array(&json, "routes");
    bool found = answer_for_routes(request, add, &json);
    json_array_end(&json);
    answer_json_end(request, &json);
    if (!found)
        request->out->size = before;
}

// Print a table that ADD fills for each route.
static void
show_table(request_t *request, const column_t *columns, size_t count,
           void (*add)(request_t *request, const broker_route_t *route, void *table))
{
    table_t table = table_on(columns, count);
    if (answer_for_routes(request, add, &table))
        table_print(&table, request->out);
    table_free(&table);
}

// "tcp://*:5555,ipc:///run/x", a connect with an arrow in front.
static void
add_endpoints(table_t *table, const broker_route_t *route, side_t side)
{
    text_t text = { 0 };
    const char *endpoint;
    bool connected = false;
    text_bytes(&text, "", 0);
    for (size_t i = 0; (endpoint = stats_endpoint(route, side, i, &connected)); i++) {
        text_add(&text, "%s%s", i ? "," : "", connected ? ">" : "");
        text_shown(&text, endpoint, strlen(endpoint));
    }
    table_cell(table, "%s", text.data);
    text_free(&text);
}

static void
add_blocked(table_t *table, const broker_route_t *route)
{
    blocked_t blocked;
    char since[32] = "";
    bool waits = stats_blocked(route, &blocked);
    if (waits)
        clock_rfc3339(blocked.since_wall_ns, since);
    table_cell(table, "%s", waits ? side_name(blocked.side) : "");
    table_cell(table, "%s", since);
}

static void
add_route_row(request_t *request, const broker_route_t *route, void *context)
{
    (void)request;
    table_t *table = context;
    problem_t problems[PROBLEMS_MAX];
    size_t count = problems_of(route, problems);
    text_t problem = { 0 };
    text_shown(&problem, count ? problems[0].text : "", count ? strlen(problems[0].text) : 0);
    table_cell(table, "%s", route->conf->name);
    table_cell(table, "%s", route->conf->pattern->name);
    table_cell(table, "%s", route_state_name(route->state));
    add_blocked(table, route);
    table_cell(table, "%.0f", route->rate_in_1s);
    table_cell(table, "%.0f", route->rate_out_1s);
    table_cell(table, "%" PRIu64, counter_get(&route->counters->sides[SIDE_FRONTEND].connections));
    table_cell(table, "%" PRIu64, counter_get(&route->counters->sides[SIDE_BACKEND].connections));
    for (side_t side = 0; side <= SIDE_CAPTURE; side++)
        add_endpoints(table, route, side);
    table_cell(table, "%s", problem.data);
    table_cell(table, "%s", engine_name(route->conf->engine));
    for (side_t side = SIDE_ACK; side < SIDES; side++) // a column never moves
        add_endpoints(table, route, side);
    text_free(&problem);
}

void
show_routes(request_t *request)
{
    // clang-format off
    static const column_t columns[] = {
        { "ROUTE", 0 },           { "TYPE", 0 },          { "STATE", 0 },    { "BLOCKED", 0 }, { "SINCE", 0 },
        { "IN/S", 1 },            { "OUT/S", 1 },         { "FRONTEND_CLIENTS", 1 }, { "BACKEND_CLIENTS", 1 },
        { "FRONTEND", 0 },        { "BACKEND", 0 },       { "INGRESS", 0 },  { "CAPTURE", 0 }, { "PROBLEM", 0 },
        { "ENGINE", 0 },          { "ACK", 0 },           { "WORKER_ACK", 0 },
    };
    // clang-format on
    if (request->json)
        show_json_routes(request, add_json_route);
    else
        show_table(request, columns, COUNT(columns), add_route_row);
}

// What is counted for each side, in the order of the columns.
static const struct {
    side_t side;
    size_t offset; // in side_counters_t
} side_columns[] = {
    { SIDE_FRONTEND, offsetof(side_counters_t, messages_received) },
    { SIDE_FRONTEND, offsetof(side_counters_t, messages_sent) },
    { SIDE_BACKEND, offsetof(side_counters_t, messages_received) },
    { SIDE_BACKEND, offsetof(side_counters_t, messages_sent) },
    { SIDE_FRONTEND, offsetof(side_counters_t, received_bytes) },
    { SIDE_FRONTEND, offsetof(side_counters_t, sent_bytes) },
    { SIDE_BACKEND, offsetof(side_counters_t, received_bytes) },
    { SIDE_BACKEND, offsetof(side_counters_t, sent_bytes) },
    { SIDE_INGRESS, offsetof(side_counters_t, messages_received) },
    { SIDE_INGRESS, offsetof(side_counters_t, received_bytes) },
    { SIDE_CAPTURE, offsetof(side_counters_t, messages_sent) },
};

// A column never moves: reasons that came later stand at the end.
static void
add_dropped(table_t *table, const broker_route_t *route, drop_reason_t from, drop_reason_t to)
{
    for (drop_reason_t reason = from; reason < to; reason++)
        table_cell(table, "%" PRIu64, STATS(route, dropped[reason]));
}

static void
add_stats_row(request_t *request, const broker_route_t *route, void *context)
{
    (void)request;
    table_t *table = context;
    double blocked = 0;
    for (int side = 0; side < SIDES; side++)
        blocked += side == SIDE_CAPTURE ? 0 : stats_blocked_seconds(route, (side_t)side);
    table_cell(table, "%s", route->conf->name);
    table_cell(table, "%s", route_state_name(route->state));
    table_cell(table, "%.1f", route->rate_in_1s);
    table_cell(table, "%.1f", route->rate_out_1s);
    table_cell(table, "%.1f", route->rate_in_60s);
    table_cell(table, "%.1f", route->rate_out_60s);
    table_cell(table, "%" PRIu64, stats_dropped(route));
    table_cell(table, "%.1f", blocked);
    for (size_t i = 0; i < COUNT(side_columns); i++) {
        const char *side = (const char *)&route->counters->sides[side_columns[i].side];
        const counter_t *counter = (const counter_t *)(const void *)(side + side_columns[i].offset);
        if (stats_has_side(route, side_columns[i].side))
            table_cell(table, "%" PRIu64, stats_counter(route, counter));
        else
            table_cell(table, "-");
    }
    add_dropped(table, route, 0, DROP_PEER_LOST);
    table_cell(table, "%" PRIu64, STATS(route, capture_dropped));
    table_cell(table, "%.0f", route->bytes_in_1s);
    table_cell(table, "%.0f", route->bytes_out_1s);
    table_cell(table, "%" PRIu64, counter_get(&route->counters->sides[SIDE_FRONTEND].connections));
    table_cell(table, "%" PRIu64, counter_get(&route->counters->sides[SIDE_BACKEND].connections));
    table_cell(table, "%.1f%%", route->blocked_share * 100);
    add_dropped(table, route, DROP_PEER_LOST, DROP_REASONS);
    table_cell(table, "%" PRIu64, STATS(route, requeued));
}

void
show_stats(request_t *request)
{
    // clang-format off
    // What a narrow terminal must still show stands first.
    static const column_t columns[] = {
        { "ROUTE", 0 }, { "STATE", 0 }, { "IN/1S", 1 }, { "OUT/1S", 1 }, { "IN/60S", 1 }, { "OUT/60S", 1 }, { "DROPPED", 1 },
        { "BLOCKED_SECONDS", 1 },
        { "FRONTEND_RECEIVED", 1 }, { "FRONTEND_SENT", 1 }, { "BACKEND_RECEIVED", 1 }, { "BACKEND_SENT", 1 },
        { "FRONTEND_RECEIVED_BYTES", 1 }, { "FRONTEND_SENT_BYTES", 1 }, { "BACKEND_RECEIVED_BYTES", 1 }, { "BACKEND_SENT_BYTES", 1 },
        { "INGRESS_RECEIVED", 1 }, { "INGRESS_RECEIVED_BYTES", 1 }, { "CAPTURE_SENT", 1 },
        { "HWM", 1 }, { "UNDELIVERABLE", 1 }, { "ACL", 1 }, { "QUOTA", 1 }, { "STALLED", 1 }, { "SHUTDOWN", 1 },
        { "CAPTURE_DROPPED", 1 }, { "BYTES_IN/1S", 1 }, { "BYTES_OUT/1S", 1 },
        { "FRONTEND_CLIENTS", 1 }, { "BACKEND_CLIENTS", 1 }, { "BLOCKED/60S", 1 },
        { "PEER_LOST", 1 }, { "TIMEOUT", 1 }, { "EXPIRED", 1 }, { "REQUEUED", 1 },
    };
    // clang-format on
    _Static_assert(COUNT(columns) == 8 + COUNT(side_columns) + DROP_REASONS + 7, "a cell for each column");
    if (request->json)
        show_json_routes(request, add_json_route);
    else
        show_table(request, columns, COUNT(columns), add_stats_row);
}

// In lines: what the commands say that answer for a part of it.
void
show_route(request_t *request)
{
    static void (*const parts[])(request_t *request) = { show_routes, show_stats, show_clients, status_config };
    if (request->json) {
        show_json_routes(request, add_json_detail);
        return;
    }
    for (size_t i = 0; i < COUNT(parts) && !request->error.size; i++)
        parts[i](request);
}

// --- clients and subscriptions ------------------------------------------------------

void
show_clients(request_t *request)
{
    const char *name = answer_arg(request, 0);
    broker_route_t route;
    if (name && !broker_find(request->broker, name, &route)) {
        broker_no_route(request->broker, name, &request->error);
    } else if (request->json) {
        json_t json = answer_json(request);
        clients_write(&json, request->broker, name, 0);
        answer_json_end(request, &json);
    } else {
        clients_print(request->out, request->broker, name);
    }
}

typedef struct {
    json_t *json;   // or
    table_t *table; // one of the two
    uint64_t more;
} topics_out_t;

static void
add_topics(request_t *request, const broker_route_t *route, void *context)
{
    (void)request;
    topics_out_t *out = context;
    size_t count = 0;
    char **topics = stats_topics(route, &count, TOPICS_MAX);
    uint64_t total = counter_get(&route->counters->subscriptions);
    out->more += total > count ? total - count : 0;
    for (size_t i = 0; i < count; i++) {
        if (out->json) {
            json_object(out->json, NULL);
            json_string(out->json, "route", route->conf->name);
            json_string(out->json, "topic", topics[i]);
            json_object_end(out->json);
        } else {
            table_cell(out->table, "%s", route->conf->name);
            table_cell(out->table, "\"%s\"", topics[i]);
        }
        free(topics[i]);
    }
    free(topics);
}

void
show_subscriptions(request_t *request)
{
    static const column_t columns[] = { { "ROUTE", 0 }, { "TOPIC", 0 } };
    size_t before = request->out->size;
    if (request->json) {
        json_t json = answer_json(request);
        topics_out_t out = { .json = &json };
        json_array(&json, "subscriptions");
        bool found = answer_for_routes(request, add_topics, &out);
        json_array_end(&json);
        json_uint(&json, "more", out.more);
        answer_json_end(request, &json);
        if (!found)
            request->out->size = before;
        return;
    }
    table_t table = table_on(columns, COUNT(columns));
    topics_out_t out = { .table = &table };
    if (answer_for_routes(request, add_topics, &out)) {
        table_print(&table, request->out);
        if (out.more)
            text_add(request->out, "and %" PRIu64 " more\n", out.more);
    }
    table_free(&table);
}
