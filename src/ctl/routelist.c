// SPDX-License-Identifier: MPL-2.0
// routelist.c - see routelist.h.

#include "ctl/routelist.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

enum { ENDPOINTS_SHOWN = 20 };

// --- state ---------------------------------------------------------------------------------

const char *
routelist_state(const document_value_t *route)
{
    bool blocked = value_is(value_member(route, "blocked"), VALUE_OBJECT);
    return blocked ? "blocked" : value_text(value_member(route, "state"));
}

// As bad as the worst of its problems. One that does not run is worth a look in any case.
tone_t
routelist_tone(const document_value_t *route)
{
    const document_value_t *worst = value_first(value_member(route, "problems"));
    tone_t tone = sheet_tone_of(value_text(value_member(worst, "level")));
    bool runs = strcmp(value_text(value_member(route, "state")), "running") == 0;
    return tone == TONE_PLAIN && !runs ? TONE_WARNING : tone;
}

static void
add_name_and_state(const sheet_t *sheet, table_t *table, const document_value_t *route, const char *type)
{
    sheet_cell(sheet, table, TONE_PLAIN, value_text(value_member(route, "name")));
    if (type)
        sheet_cell(sheet, table, TONE_PLAIN, type);
    sheet_cell(sheet, table, routelist_tone(route), routelist_state(route));
}

// --- figures -------------------------------------------------------------------------------

// clang-format off
static const struct {
    const char *heading;
    char key;
    unit_t unit;
    const char *paths[5]; // what is added up
} figures[] = {
    { "IN/s",    'i', UNIT_RATE,    { "rates.in_1s" } },
    { "OUT/s",   'o', UNIT_RATE,    { "rates.out_1s" } },
    { "BYTES/s", 'b', UNIT_BYTES,   { "rates.bytes_in_1s", "rates.bytes_out_1s" } },
    { "CLIENTS", 'c', UNIT_COUNT,   { "frontend.connections", "backend.connections", "ingress.connections", "ack.connections", "worker_ack.connections" } },
    { "DROPPED", 'd', UNIT_COUNT,   { "dropped" } },
    { "BLOCKED", 'k', UNIT_SECONDS, { "frontend.blocked_seconds", "backend.blocked_seconds", "ingress.blocked_seconds" } },
};
// clang-format on

enum { FIGURES = COUNT(figures) };

const char *
routelist_heading(size_t column, char *key)
{
    if (column >= FIGURES)
        return NULL;
    *key = figures[column].key;
    return figures[column].heading;
}

// Of an object: of all its members.
static double
sum(const document_value_t *value)
{
    double total = value && value->kind == VALUE_NUMBER ? value->number : 0;
    for (const document_value_t *member = value_is(value, VALUE_OBJECT) ? value->first : NULL; member;
         member = member->next)
        total += sum(member);
    return total;
}

double
routelist_figure(const document_value_t *route, size_t column)
{
    double total = 0;
    for (size_t i = 0; i < COUNT(figures[column].paths) && figures[column].paths[i]; i++)
        total += sum(value_at(route, figures[column].paths[i]));
    return total;
}

static void
add_total(const sheet_t *sheet, table_t *table, const document_value_t *const *routes, size_t count)
{
    sheet_cell(sheet, table, TONE_HEADING, "total");
    table_blank(table);
    for (size_t column = 0; column < FIGURES; column++) {
        double total = 0;
        for (size_t i = 0; i < count; i++)
            total += routelist_figure(routes[i], column);
        sheet_number(sheet, table, figures[column].unit, total);
        table_paint(table, sheet_paint(sheet, TONE_HEADING));
    }
}

static void
print_figures(sheet_t *sheet, const document_value_t *const *routes, size_t count, bool with_total)
{
    column_t columns[2 + FIGURES] = { { "ROUTE", COLUMN_GIVES_WAY }, { "STATE", 0 } };
    for (size_t i = 0; i < FIGURES; i++)
        columns[2 + i] = (column_t){ figures[i].heading, COLUMN_RIGHT };
    table_t table = table_on(columns, COUNT(columns));
    table.limit = sheet->width;
    if (with_total && count > 1)
        add_total(sheet, &table, routes, count);
    for (size_t i = 0; i < count; i++) {
        add_name_and_state(sheet, &table, routes[i], NULL);
        for (size_t column = 0; column < FIGURES; column++)
            sheet_number(sheet, &table, figures[column].unit, routelist_figure(routes[i], column));
    }
    table_print(&table, &sheet->out);
    table_free(&table);
}

void
routelist_print(sheet_t *sheet, const document_value_t *const *routes, size_t count)
{
    print_figures(sheet, routes, count, true);
}

void
routelist_figures(const view_t *view)
{
    const document_value_t **routes = NULL;
    size_t count = 0, room = 0;
    for (const document_value_t *route = value_first(value_member(view->answers[0], "routes")); route;
         route = route->next) {
        mem_grow(routes, count, room);
        routes[count++] = route;
    }
    print_figures(view->sheet, routes, count, false);
    free(routes);
}

// --- endpoints -------------------------------------------------------------------------------

static bool
is_among(const document_value_t *list, const char *text)
{
    for (const document_value_t *value = value_first(list); value; value = value->next)
        if (strcmp(value_text(value), text) == 0)
            return true;
    return false;
}

// The next endpoint of a side, with an arrow if it is connected to. A blank cell: there are no more.
static void
add_endpoint(const sheet_t *sheet, table_t *table, const document_value_t *side, const document_value_t **endpoint)
{
    if (!*endpoint) {
        table_blank(table);
        return;
    }
    text_t text = { 0 };
    const char *plain = value_text(*endpoint);
    text_add(&text, "%s%s", is_among(value_member(side, "connects"), plain) ? ">" : "", plain);
    sheet_cell(sheet, table, TONE_PLAIN, text.data);
    text_free(&text);
    *endpoint = (*endpoint)->next;
}

// A row for the first endpoint of each side, and below it one for each of the others.
static void
add_route(const sheet_t *sheet, table_t *table, const document_value_t *route)
{
    const document_value_t *front = value_member(route, "frontend"), *back = value_member(route, "backend");
    const document_value_t *ends[] = { value_first(value_member(front, "endpoints")),
                                       value_first(value_member(back, "endpoints")) };
    add_name_and_state(sheet, table, route, value_text(value_member(route, "type")));
    for (int shown = 1;; shown++) {
        add_endpoint(sheet, table, front, &ends[0]);
        add_endpoint(sheet, table, back, &ends[1]);
        if ((!ends[0] && !ends[1]) || shown == ENDPOINTS_SHOWN)
            break;
        for (int i = 0; i < 3; i++)
            table_blank(table);
    }
    if (ends[0] || ends[1]) {
        for (int i = 0; i < 3; i++)
            table_blank(table);
        sheet_cell(sheet, table, TONE_PLAIN, ends[0] ? "..." : "");
        sheet_cell(sheet, table, TONE_PLAIN, ends[1] ? "..." : "");
    }
}

void
routelist_endpoints(const view_t *view)
{
    static const column_t columns[] = {
        { "ROUTE", COLUMN_GIVES_WAY },   { "TYPE", 0 }, { "STATE", 0 }, { "FRONTEND", COLUMN_GIVES_WAY },
        { "BACKEND", COLUMN_GIVES_WAY },
    };
    table_t table = table_on(columns, COUNT(columns));
    table.limit = view->sheet->width;
    for (const document_value_t *route = value_first(value_member(view->answers[0], "routes")); route;
         route = route->next)
        add_route(view->sheet, &table, route);
    table_print(&table, &view->sheet->out);
    table_free(&table);
}
