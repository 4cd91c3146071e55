// SPDX-License-Identifier: MPL-2.0
#include "admin/page.h"
#include "admin/fields.h"
#include "admin/problems.h"
#include "admin/stats.h"
#include "base/mem.h"

#include <assert.h>
#include <string.h>

const page_asset_t *
page_find(const char *path)
{
    for (const page_asset_t *asset = page_assets; asset->path; asset++)
        if (strcmp(asset->path, path) == 0)
            return asset;
    return NULL;
}

// What stands for a byte that HTML reads itself; NULL: the byte.
static const char *
entity_of(char byte)
{
    static const struct {
        char byte;
        const char *entity;
    } entities[] = { { '&', "&amp;" }, { '<', "&lt;" }, { '>', "&gt;" }, { '"', "&quot;" }, { '\'', "&#39;" } };
    for (size_t i = 0; i < COUNT(entities); i++)
        if (entities[i].byte == byte)
            return entities[i].entity;
    return NULL;
}

static void
put(text_t *out, const char *text)
{
    text_t shown = { 0 };
    text_shown(&shown, text, strlen(text)); // no control characters, nothing but UTF-8
    for (const char *at = shown.data; *at; at++)
        if (entity_of(*at))
            text_add(out, "%s", entity_of(*at));
        else
            text_char(out, *at);
    text_free(&shown);
}

static void
write_number(text_t *out, const char *inside, const char *name, double number)
{
    text_add(out, "<td class=\"n\"><data data-in=\"%s\" data-field=\"%s\" value=\"%.15g\">%.15g</data></td>", inside,
             name, number, number);
}

static void
write_field(text_t *out, const broker_route_t *route, side_t side, field_id_t id)
{
    write_number(out, side_name(side), field_at(id)->name, (double)field_shown(route, side, id));
}

// In the order of the columns in index.html, with the names of the API.
static void
write_numbers(const broker_route_t *route, text_t *out)
{
    write_number(out, "rates", "in_1s", route->rate_in_1s);
    write_number(out, "rates", "out_1s", route->rate_out_1s);
    write_field(out, route, SIDE_FRONTEND, FIELD_MESSAGES_RECEIVED);
    write_field(out, route, SIDE_BACKEND, FIELD_MESSAGES_SENT);
    write_field(out, route, SIDE_FRONTEND, FIELD_CONNECTIONS);
    write_field(out, route, SIDE_BACKEND, FIELD_CONNECTIONS);
    write_number(out, "", "dropped", (double)stats_dropped(route));
}

static void
write_row(const broker_route_t *route, text_t *out)
{
    problem_t problems[PROBLEMS_MAX];
    size_t count = problems_of(route, problems);
    text_add(out, "<tr data-route=\"");
    put(out, route->conf->name);
    text_add(out, "\"><th scope=\"row\" data-field=\"name\">");
    put(out, route->conf->name);
    text_add(out, "</th><td data-field=\"type\">%s</td><td data-field=\"state\">%s</td>", route->conf->pattern->name,
             route_state_name(route->state));
    write_numbers(route, out);
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
