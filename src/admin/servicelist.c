// SPDX-License-Identifier: MPL-2.0
// servicelist.c - the command `show services`: what a queue knows of those who answer.

#include "admin/reply.h"

#include "admin/table.h"
#include "base/clock.h"
#include "base/mem.h"

#include <string.h>
#include <zmq.h>

enum { NS_IN_S = 1000000000 };

static const column_t columns[] = {
    { "ID", 1 },      { "PEER", 0 },       { "UNANSWERED", 1 }, { "ANSWERED", 1 },
    { "RETRIED", 1 }, { "FREE_SINCE", 0 }, { "P50", 1 },        { "P99", 1 },
};

// --- JSON --------------------------------------------------------------------------

static void
write_count(json_t *json, const char *key, int64_t count)
{
    if (count < 0)
        json_null(json, key);
    else
        json_int(json, key, count);
}

static void
write_seconds(json_t *json, const char *key, int64_t ns)
{
    if (ns < 0)
        json_null(json, key);
    else
        json_real(json, key, (double)ns / NS_IN_S);
}

static void
write_one(const client_service_t *service, void *arg)
{
    json_t *json = arg;
    char since[32];
    clock_rfc3339(service->free_since_wall_ns, since);
    json_object(json, NULL);
    json_uint(json, "id", service->id);
    json_string(json, "peer", service->peer);
    write_count(json, "unanswered", service->unanswered);
    write_count(json, "answered", service->answered);
    write_count(json, "retried", service->retried);
    json_string(json, "free_since", service->free_since_wall_ns ? since : NULL);
    write_seconds(json, "p50_seconds", service->p50_ns);
    write_seconds(json, "p99_seconds", service->p99_ns);
    json_object_end(json);
}

// --- a table -----------------------------------------------------------------------

static void
print_count(table_t *table, int64_t count)
{
    if (count < 0)
        table_cell(table, "%s", "");
    else
        table_cell(table, "%" PRId64, count);
}

static void
print_seconds(table_t *table, int64_t ns)
{
    if (ns < 0)
        table_cell(table, "%s", "");
    else
        table_cell(table, "%.6f", (double)ns / NS_IN_S);
}

static void
print_one(const client_service_t *service, void *arg)
{
    table_t *table = arg;
    char since[32];
    text_t peer = { 0 };
    clock_rfc3339(service->free_since_wall_ns, since);
    text_shown(&peer, service->peer, strlen(service->peer));
    table_cell(table, "%" PRIu64, service->id);
    table_cell(table, "%s", peer.data);
    print_count(table, service->unanswered);
    print_count(table, service->answered);
    print_count(table, service->retried);
    table_cell(table, "%s", service->free_since_wall_ns ? since : "");
    print_seconds(table, service->p50_ns);
    print_seconds(table, service->p99_ns);
    text_free(&peer);
}

// --- the command ---------------------------------------------------------------------

// Why there is nothing to show of it; NULL: there is.
static const char *
refusal(const broker_route_t *route)
{
    const side_conf_t *sides = route->conf->sides;
    if (sides[SIDE_FRONTEND].type != ZMQ_ROUTER || sides[SIDE_BACKEND].type != ZMQ_DEALER)
        return "only a queue has services";
    return route->conf->engine == ENGINE_WIRE ? NULL : "its services are known with engine = wire only";
}

void
servicelist_show(request_t *request)
{
    broker_route_t route;
    if (!reply_find_route(request, &route))
        return;
    const char *reason = refusal(&route);
    if (reason) {
        reply_fail(request, "route %s: %s", route.conf->name, reason);
    } else if (request->json) {
        json_t json = json_document(request->out);
        json_array(&json, "services");
        if (route.route)
            route_backend_services(route.route, write_one, &json);
        json_array_end(&json);
        json_document_end(&json);
    } else {
        table_t table = table_on(columns, COUNT(columns));
        if (route.route)
            route_backend_services(route.route, print_one, &table);
        table_print(&table, request->out);
        table_free(&table);
    }
}
