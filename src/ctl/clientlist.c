// SPDX-License-Identifier: MPL-2.0
// clientlist.c - see clientlist.h.

#include "ctl/clientlist.h"

#include "base/clock.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    const document_value_t *value;
    size_t order;   // of the daemon's answer
    double backlog; // bytes that wait for it; -1: not known
} shown_client_t;

// In the kernel, and in queues of the broker where the engine knows them.
static double
backlog_of(const document_value_t *client)
{
    static const char *const keys[] = { "backlog_bytes", "queued_bytes" };
    double total = -1;
    for (size_t i = 0; i < COUNT(keys); i++) {
        const document_value_t *value = value_member(client, keys[i]);
        if (value_is(value, VALUE_NUMBER) && value->number >= 0)
            total = (total < 0 ? 0 : total) + value->number;
    }
    return total;
}

static int
furthest_behind_first(const void *a, const void *b)
{
    const shown_client_t *one = a, *other = b;
    if (one->backlog < other->backlog || one->backlog > other->backlog)
        return one->backlog < other->backlog ? 1 : -1;
    return one->order < other->order ? -1 : 1;
}

static shown_client_t *
read_clients(const document_value_t *list, bool slow, size_t *count)
{
    shown_client_t *clients = NULL;
    size_t room = 0;
    *count = 0;
    for (const document_value_t *value = value_first(list); value; value = value->next) {
        shown_client_t client = { .value = value, .order = *count, .backlog = backlog_of(value) };
        if (slow && client.backlog <= 0)
            continue;
        mem_grow(clients, *count, room);
        clients[(*count)++] = client;
    }
    if (*count)
        qsort(clients, *count, sizeof *clients, furthest_behind_first);
    return clients;
}

// --- columns -----------------------------------------------------------------------------

static void
put_text(const sheet_t *sheet, table_t *table, const shown_client_t *client, const char *key)
{
    sheet_cell(sheet, table, TONE_PLAIN, value_text(value_member(client->value, key)));
}

static void
put_peer(const sheet_t *sheet, table_t *table, const shown_client_t *client, const char *key)
{
    const char *state = value_text(value_member(client->value, "state"));
    char *text = xasprintf("%s%s", value_text(value_member(client->value, key)), state && strcmp(state, "away") == 0 ? " (away)" : "");
    sheet_cell(sheet, table, TONE_PLAIN, text);
    free(text);
}

static void
put_digits(const sheet_t *sheet, table_t *table, const shown_client_t *client, const char *key)
{
    const document_value_t *value = value_member(client->value, key);
    sheet_cell(sheet, table, TONE_PLAIN, value_is(value, VALUE_NUMBER) ? value->text : "");
}

static void
put_count(const sheet_t *sheet, table_t *table, const shown_client_t *client, const char *key)
{
    const document_value_t *value = value_member(client->value, key);
    sheet_number(sheet, table, UNIT_COUNT, value_is(value, VALUE_NUMBER) ? value->number : -1);
}

static void
put_age(const sheet_t *sheet, table_t *table, const shown_client_t *client, const char *key)
{
    sheet_number(sheet, table, UNIT_AGE, units_age(value_text(value_member(client->value, key)), clock_wall_ns()));
}

static void
put_backlog(const sheet_t *sheet, table_t *table, const shown_client_t *client, const char *key)
{
    (void)key;
    sheet_number(sheet, table, UNIT_BYTES, client->backlog);
}

typedef enum { ALWAYS, OF_SEVERAL_ROUTES, IF_KNOWN } when_t;

// clang-format off
static const struct {
    column_t column;
    when_t when;
    const char *key; // of the answer
    void (*put)(const sheet_t *sheet, table_t *table, const shown_client_t *client, const char *key);
} columns[] = {
    { { "ID", COLUMN_RIGHT },         ALWAYS,            "id",            put_digits },
    { { "ROUTE", COLUMN_GIVES_WAY },  OF_SEVERAL_ROUTES, "route",         put_text },
    { { "SIDE", 0 },                  ALWAYS,            "side",          put_text },
    { { "PEER", COLUMN_GIVES_WAY },   ALWAYS,            "peer",          put_peer },
    { { "USER", COLUMN_GIVES_WAY },   ALWAYS,            "user",          put_text },
    { { "AGE", COLUMN_RIGHT },        ALWAYS,            "connected_at",  put_age },
    { { "DROPPED", COLUMN_RIGHT },    IF_KNOWN,          "dropped",       put_count },
    { { "BACKLOG", COLUMN_RIGHT },    ALWAYS,            "backlog_bytes", put_backlog },
};
// clang-format on

static bool
is_known(const char *key, const shown_client_t *clients, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (value_is(value_member(clients[i].value, key), VALUE_NUMBER))
            return true;
    return false;
}

void
clientlist_print(sheet_t *sheet, const document_value_t *list, bool with_route, bool slow, size_t max)
{
    column_t shown[COUNT(columns)];
    size_t which[COUNT(columns)], shown_count = 0, count;
    shown_client_t *clients = read_clients(list, slow, &count);
    for (size_t i = 0; i < COUNT(columns); i++)
        if (columns[i].when == ALWAYS || (columns[i].when == OF_SEVERAL_ROUTES && with_route) ||
            (columns[i].when == IF_KNOWN && is_known(columns[i].key, clients, count))) {
            shown[shown_count] = columns[i].column;
            which[shown_count++] = i;
        }
    table_t table = table_on(shown, shown_count);
    table.limit = sheet->width;
    for (size_t i = 0; i < count && (!max || i < max); i++)
        for (size_t j = 0; j < shown_count; j++)
            columns[which[j]].put(sheet, &table, &clients[i], columns[which[j]].key);
    table_print(&table, &sheet->out);
    table_free(&table);
    free(clients);
}

void
clientlist_draw(const view_t *view)
{
    clientlist_print(view->sheet, value_member(view->answers[0], "clients"), !view->of_one, view->slow, 0);
}
