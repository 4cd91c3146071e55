// SPDX-License-Identifier: MPL-2.0
// page.c - see page.h.

#include "admin/page.h"
#include "admin/problems.h"
#include "admin/stats.h"
#include "base/mem.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

const page_asset_t *
page_find(const char *path)
{
    for (const page_asset_t *asset = page_assets; asset->path; asset++)
        if (strcmp(asset->path, path) == 0)
            return asset;
    return NULL;
}

static void
put(text_t *out, const char *text)
{
    text_t shown = { 0 };
    text_shown(&shown, text, strlen(text)); // no control characters, nothing but UTF-8
    for (const char *at = shown.data; *at; at++)
        switch (*at) {
        case '&': text_add(out, "&amp;"); break;
        case '<': text_add(out, "&lt;"); break;
        case '>': text_add(out, "&gt;"); break;
        case '"': text_add(out, "&quot;"); break;
        case '\'': text_add(out, "&#39;"); break;
        default: text_char(out, *at);
        }
    text_free(&shown);
}

static double
rate_in(const broker_route_t *route)
{
    return route->rate_in_1s;
}

static double
rate_out(const broker_route_t *route)
{
    return route->rate_out_1s;
}

static double
received(const broker_route_t *route)
{
    return (double)STATS(route, sides[SIDE_FRONTEND].messages_received);
}

static double
sent(const broker_route_t *route)
{
    return (double)STATS(route, sides[SIDE_BACKEND].messages_sent);
}

static double
frontend_clients(const broker_route_t *route)
{
    return (double)counter_get(&route->counters->sides[SIDE_FRONTEND].connections);
}

static double
backend_clients(const broker_route_t *route)
{
    return (double)counter_get(&route->counters->sides[SIDE_BACKEND].connections);
}

static double
dropped(const broker_route_t *route)
{
    return (double)stats_dropped(route);
}

// In the order of the columns in index.html; the names are those of the API.
static const struct {
    const char *inside, *name; // inside "": a field of the route itself
    double (*number)(const broker_route_t *route);
} numbers[] = {
    { "rates", "in_1s", rate_in },
    { "rates", "out_1s", rate_out },
    { "frontend", "messages_received", received },
    { "backend", "messages_sent", sent },
    { "frontend", "connections", frontend_clients },
    { "backend", "connections", backend_clients },
    { "", "dropped", dropped },
};

static void
write_row(const broker_route_t *route, text_t *out)
{
    problem_t problems[PROBLEMS_MAX];
    size_t count = problems_of(route, problems);
    text_add(out, "<tr data-route=\"");
    put(out, route->conf->name);
    text_add(out, "\"><th scope=\"row\" data-field=\"name\">");
    put(out, route->conf->name);
    text_add(out, "</th><td data-field=\"type\">%s</td><td data-field=\"state\">%s</td>", route->conf->pattern->name, route_state_name(route->state));
    for (size_t i = 0; i < COUNT(numbers); i++) {
        double number = numbers[i].number(route);
        text_add(out, "<td class=\"n\"><data data-in=\"%s\" data-field=\"%s\" value=\"%.15g\">%.15g</data></td>", numbers[i].inside, numbers[i].name, number, number);
    }
    text_add(out, "<td>");
    for (size_t i = 0; i < count; i++) {
        text_add(out, "%s", i ? "; " : "");
        put(out, problems[i].text);
    }
    text_add(out, "</td></tr>\n");
}

void
page_write(broker_t *broker, text_t *out)
{
    static const char marker[] = "<!--ROWS-->";
    // embed.sh ends every file with a zero byte: it can be read as a string.
    const page_asset_t *index = page_find("/");
    const char *html = (const char *)index->bytes, *rows = strstr(html, marker);
    assert(rows);
    text_bytes(out, html, (size_t)(rows - html));
    broker_route_t route;
    for (size_t i = 0; broker_at(broker, i, &route); i++)
        write_row(&route, out);
    text_add(out, "%s", rows + strlen(marker));
}
