// SPDX-License-Identifier: MPL-2.0
// show.c - the commands that show routes: as tables, or as JSON.

#include "admin/reply.h"

#include "admin/fields.h"
#include "admin/listing.h"
#include "admin/problems.h"
#include "admin/stats.h"
#include "admin/statsjson.h"
#include "base/clock.h"
#include "base/mem.h"
#include "conf/engine.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TOPICS_MAX = 10000 };

// --- routes and stats ---------------------------------------------------------------

static void
add_json_route(request_t *request, const broker_route_t *route, void *context)
{
    statsjson_route(context, request->broker, route, STATS_PLAIN);
}

static void
add_json_detail(request_t *request, const broker_route_t *route, void *context)
{
    statsjson_route(context, request->broker, route, STATS_DETAIL);
}

static void
show_json_routes(request_t *request, void (*add)(request_t *request, const broker_route_t *route, void *context))
{
    json_t json = json_document(request->out);
    json_array(&json, "routes");
    reply_for_routes(request, add, &json);
    json_array_end(&json);
    json_document_end(&json);
}

// Print a table that ADD fills for each route.
static void
show_table(request_t *request, const column_t *columns, size_t count,
           void (*add)(request_t *request, const broker_route_t *route, void *table))
{
    table_t table = table_on(columns, count);
    reply_for_routes(request, add, &table);
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

// A column of `show stats`, and what it has of a route.
typedef struct stats_column {
    const char *heading; // NULL: that of the field, after the side
    void (*add)(const struct stats_column *self, table_t *table, const broker_route_t *route);
    size_t which; // field, reason, or offset in broker_route_t
    side_t side;  // of the field
    int digits;   // of a real number
} stats_column_t;

static void
add_name(const stats_column_t *self, table_t *table, const broker_route_t *route)
{
    (void)self;
    table_cell(table, "%s", route->conf->name);
}

static void
add_state(const stats_column_t *self, table_t *table, const broker_route_t *route)
{
    (void)self;
    table_cell(table, "%s", route_state_name(route->state));
}

static void
add_real(const stats_column_t *self, table_t *table, const broker_route_t *route)
{
    double number = *(const double *)(const void *)((const char *)route + self->which);
    table_cell(table, "%.*f", self->digits, number);
}

static void
add_share(const stats_column_t *self, table_t *table, const broker_route_t *route)
{
    (void)self;
    table_cell(table, "%.1f%%", route->blocked_share * 100);
}

static void
add_dropped(const stats_column_t *self, table_t *table, const broker_route_t *route)
{
    (void)self;
    table_cell(table, "%" PRIu64, stats_dropped(route));
}

static void
add_blocked_seconds(const stats_column_t *self, table_t *table, const broker_route_t *route)
{
    (void)self;
    double blocked = 0;
    for (side_t side = 0; side < SIDES; side++)
        blocked += side == SIDE_CAPTURE ? 0 : stats_blocked_seconds(route, side);
    table_cell(table, "%.1f", blocked);
}

static void
add_field(const stats_column_t *self, table_t *table, const broker_route_t *route)
{
    field_id_t id = (field_id_t)self->which;
    if (id >= FIELDS_OF_SIDE || stats_has_side(route, self->side))
        table_cell(table, "%" PRIu64, field_shown(route, self->side, id));
    else
        table_cell(table, "-");
}

static void
add_reason(const stats_column_t *self, table_t *table, const broker_route_t *route)
{
    table_cell(table, "%" PRIu64, STATS(route, dropped[self->which]));
}

#define PLAIN(heading, add) { heading, add, 0, SIDES, 0 }
#define REAL(heading, member, digits) { heading, add_real, offsetof(broker_route_t, member), SIDES, digits }
#define SIDE_FIELD(side, id) { NULL, add_field, id, side, 0 }
#define ROUTE_FIELD(id) { NULL, add_field, id, SIDES, 0 }
#define REASON(heading, reason) { heading, add_reason, reason, SIDES, 0 }

// What a narrow terminal must still show stands first. A column never moves: what came later stands at the end.
// clang-format off
static const stats_column_t stats_columns[] = {
    PLAIN("ROUTE", add_name), PLAIN("STATE", add_state),
    REAL("IN/1S", rate_in_1s, 1), REAL("OUT/1S", rate_out_1s, 1),
    REAL("IN/60S", rate_in_60s, 1), REAL("OUT/60S", rate_out_60s, 1),
    PLAIN("DROPPED", add_dropped), PLAIN("BLOCKED_SECONDS", add_blocked_seconds),
    SIDE_FIELD(SIDE_FRONTEND, FIELD_MESSAGES_RECEIVED), SIDE_FIELD(SIDE_FRONTEND, FIELD_MESSAGES_SENT),
    SIDE_FIELD(SIDE_BACKEND, FIELD_MESSAGES_RECEIVED), SIDE_FIELD(SIDE_BACKEND, FIELD_MESSAGES_SENT),
    SIDE_FIELD(SIDE_FRONTEND, FIELD_RECEIVED_BYTES), SIDE_FIELD(SIDE_FRONTEND, FIELD_SENT_BYTES),
    SIDE_FIELD(SIDE_BACKEND, FIELD_RECEIVED_BYTES), SIDE_FIELD(SIDE_BACKEND, FIELD_SENT_BYTES),
    SIDE_FIELD(SIDE_INGRESS, FIELD_MESSAGES_RECEIVED), SIDE_FIELD(SIDE_INGRESS, FIELD_RECEIVED_BYTES),
    SIDE_FIELD(SIDE_CAPTURE, FIELD_MESSAGES_SENT),
    REASON("HWM", DROP_HWM), REASON("UNDELIVERABLE", DROP_UNDELIVERABLE), REASON("ACL", DROP_ACL),
    REASON("QUOTA", DROP_QUOTA), REASON("STALLED", DROP_STALLED), REASON("SHUTDOWN", DROP_SHUTDOWN),
    ROUTE_FIELD(FIELD_CAPTURE_DROPPED),
    REAL("BYTES_IN/1S", bytes_in_1s, 0), REAL("BYTES_OUT/1S", bytes_out_1s, 0),
    SIDE_FIELD(SIDE_FRONTEND, FIELD_CONNECTIONS), SIDE_FIELD(SIDE_BACKEND, FIELD_CONNECTIONS),
    PLAIN("BLOCKED/60S", add_share),
    REASON("PEER_LOST", DROP_PEER_LOST), REASON("TIMEOUT", DROP_TIMEOUT), REASON("EXPIRED", DROP_EXPIRED),
    ROUTE_FIELD(FIELD_REQUEUED),
};
// clang-format on

static void
add_stats_row(request_t *request, const broker_route_t *route, void *table)
{
    (void)request;
    for (size_t i = 0; i < COUNT(stats_columns); i++)
        stats_columns[i].add(&stats_columns[i], table, route);
}

// "FRONTEND_RECEIVED"
static void
write_heading(const stats_column_t *column, char *heading, size_t size)
{
    const char *of_field = column->heading ? column->heading : field_at((field_id_t)column->which)->heading;
    bool of_side = column->side < SIDES;
    snprintf(heading, size, "%s%s%s", of_side ? side_name(column->side) : "", of_side ? "_" : "", of_field);
    for (char *at = heading; *at; at++)
        *at = (char)toupper((unsigned char)*at);
}

static void
show_stats_table(request_t *request)
{
    char headings[COUNT(stats_columns)][40];
    column_t columns[COUNT(stats_columns)];
    for (size_t i = 0; i < COUNT(stats_columns); i++) {
        bool is_text = stats_columns[i].add == add_name || stats_columns[i].add == add_state;
        write_heading(&stats_columns[i], headings[i], sizeof headings[i]);
        columns[i] = (column_t){ headings[i], is_text ? 0 : COLUMN_RIGHT };
    }
    show_table(request, columns, COUNT(columns), add_stats_row);
}

void
show_stats(request_t *request)
{
    if (request->json)
        show_json_routes(request, add_json_route);
    else
        show_stats_table(request);
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

// --- subscriptions ------------------------------------------------------------------

static void
add_topics(request_t *request, const broker_route_t *route, void *context)
{
    (void)request;
    listing_t *list = context;
    size_t count = 0;
    char **topics = stats_topics(route, &count, TOPICS_MAX);
    uint64_t total = counter_get(&route->counters->subscriptions);
    list->more += (int64_t)(total > count ? total - count : 0);
    for (size_t i = 0; i < count; i++) {
        listing_text(list, route->conf->name);
        listing_quoted(list, topics[i]);
        free(topics[i]);
    }
    free(topics);
}

void
show_subscriptions(request_t *request)
{
    static const listing_field_t fields[] = { { "route", "ROUTE", 0 }, { "topic", "TOPIC", 0 } };
    listing_t list;
    listing_open(&list, request->out, request->json, "subscriptions", fields, COUNT(fields));
    list.more = 0;
    reply_for_routes(request, add_topics, &list);
    listing_close(&list);
}
