// SPDX-License-Identifier: MPL-2.0
// values.c - the commands about what a forwarder remembers.

#include "admin/reply.h"

#include "admin/table.h"
#include "admin/tokens.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdlib.h>

enum { VALUES_MAX = 10000 };

// The route, which must remember, and the beginning of a topic. False: the command has failed.
static bool
take_arguments(request_t *request, broker_route_t *route, text_t *prefix)
{
    const char *name = reply_arg(request, 0), *given = reply_arg(request, 1);
    if (!reply_find_route(request, route))
        return false;
    if (!route_conf_remembers(route->conf))
        reply_fail(
            request,
            "route %s remembers nothing: it has neither last_value nor replay_messages, replay_bytes or replay_time",
            name);
    else if (given && !tokens_unescape(given, prefix))
        reply_fail(request, "prefix %s: a backslash is written \\\\, a byte \\x1f", given);
    else
        return true;
    return false;
}

static void
print_json(request_t *request, const route_value_t *values, size_t count, uint64_t more)
{
    json_t json = json_document(request->out);
    json_array(&json, "values");
    for (size_t i = 0; i < count; i++) {
        json_object(&json, NULL);
        json_string(&json, "topic", values[i].topic);
        json_uint(&json, "bytes", values[i].bytes);
        json_real(&json, "age_seconds", (double)values[i].age_ms / 1000);
        json_object_end(&json);
    }
    json_array_end(&json);
    json_uint(&json, "more", more);
    json_document_end(&json);
}

static void
print_table(request_t *request, const route_value_t *values, size_t count, uint64_t more)
{
    static const column_t columns[] = { { "TOPIC", 0 }, { "BYTES", COLUMN_RIGHT }, { "AGE", COLUMN_RIGHT } };
    table_t table = table_on(columns, COUNT(columns));
    for (size_t i = 0; i < count; i++) {
        table_cell(&table, "\"%s\"", values[i].topic);
        table_cell(&table, "%" PRIu64, values[i].bytes);
        table_cell(&table, "%.1fs", (double)values[i].age_ms / 1000);
    }
    table_print(&table, request->out);
    if (more)
        text_add(request->out, "and %" PRIu64 " more\n", more);
    table_free(&table);
}

void
show_values(request_t *request)
{
    broker_route_t route;
    text_t prefix = { 0 };
    if (take_arguments(request, &route, &prefix)) {
        size_t count = 0;
        uint64_t more = 0;
        const route_prefix_t at = { prefix.data, prefix.size };
        route_value_t *values = route.route ? route_values(route.route, &at, &count, VALUES_MAX, &more) : NULL;
        (request->json ? print_json : print_table)(request, values, count, more);
        for (size_t i = 0; i < count; i++)
            free(values[i].topic);
        free(values);
    }
    text_free(&prefix);
}

void
act_clear_values(request_t *request)
{
    broker_route_t route;
    text_t prefix = { 0 };
    if (take_arguments(request, &route, &prefix)) {
        const route_prefix_t at = { prefix.data, prefix.size };
        uint64_t cleared = route.route ? route_clear_values(route.route, &at) : 0;
        reply_done(request, "route %s: %" PRIu64 " messages forgotten\n", route.conf->name, cleared);
    }
    text_free(&prefix);
}
