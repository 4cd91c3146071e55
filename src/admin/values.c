// SPDX-License-Identifier: MPL-2.0
// values.c - the commands about what a forwarder remembers.

#include "admin/reply.h"

#include "admin/listing.h"
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
write_values(request_t *request, route_value_t *values, size_t count, uint64_t more)
{
    static const listing_field_t fields[] = {
        { "topic", "TOPIC", 0 },
        { "bytes", "BYTES", COLUMN_RIGHT },
        { "age_seconds", "AGE", COLUMN_RIGHT },
    };
    listing_t list;
    listing_open(&list, request->out, request->json, "values", fields, COUNT(fields));
    for (size_t i = 0; i < count; i++) {
        listing_quoted(&list, values[i].topic);
        listing_number(&list, (int64_t)values[i].bytes);
        listing_seconds(&list, (double)values[i].age_ms / 1000, 1, "s");
        free(values[i].topic);
    }
    list.more = (int64_t)more;
    listing_close(&list);
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
        write_values(request, values, count, more);
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
        reply_done(request, "route %s: %" PRIu64 " message%s forgotten\n", route.conf->name, cleared, text_plural(cleared));
    }
    text_free(&prefix);
}
