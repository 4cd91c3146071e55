// SPDX-License-Identifier: MPL-2.0
// clients.c - see clients.h.

#include "admin/clients.h"
#include "admin/table.h"
#include "base/clock.h"

#include <string.h>

typedef struct {
    json_t *json;
    size_t count, max;
} writing_t;

static void
write_one(const client_t *client, void *arg)
{
    writing_t *self = arg;
    char since[32];
    if (self->max && self->count++ >= self->max)
        return;
    clock_rfc3339(client->since_wall_ns, since);
    json_object(self->json, NULL);
    json_uint(self->json, "id", client->id);
    json_string(self->json, "route", client->route);
    json_string(self->json, "side", side_name(client->side));
    json_string(self->json, "peer", client->peer);
    json_string(self->json, "user", client->user);
    json_string(self->json, "connected_at", since);
    json_int(self->json, "backlog_bytes", client->backlog_bytes);
    json_object_end(self->json);
}

void
clients_write(json_t *json, broker_t *broker, const char *route, size_t max)
{
    writing_t writing = { .json = json, .max = max };
    watch_t *watch = broker_watch(broker);
    json_array(json, "clients");
    if (watch)
        watch_each(watch, route, write_one, &writing);
    json_array_end(json);
}

static void
print_one(const client_t *client, void *arg)
{
    table_t *table = arg;
    char since[32];
    text_t peer = { 0 }, user = { 0 };
    clock_rfc3339(client->since_wall_ns, since);
    text_shown(&peer, client->peer, strlen(client->peer));
    text_shown(&user, client->user, strlen(client->user));
    table_cell(table, "%" PRIu64, client->id);
    table_cell(table, "%s", client->route);
    table_cell(table, "%s", side_name(client->side));
    table_cell(table, "%s", peer.data);
    table_cell(table, "%s", user.data);
    table_cell(table, "%s", since);
    if (client->backlog_bytes < 0)
        table_cell(table, "-");
    else
        table_cell(table, "%" PRId64, client->backlog_bytes);
    text_free(&peer);
    text_free(&user);
}

void
clients_print(text_t *out, broker_t *broker, const char *route)
{
    static const column_t columns[] = {
        { "ID", 1 }, { "ROUTE", 0 }, { "SIDE", 0 }, { "PEER", 0 }, { "USER", 0 }, { "CONNECTED_AT", 0 }, { "BACKLOG_BYTES", 1 },
    };
    table_t table = table_on(columns, sizeof columns / sizeof *columns);
    watch_t *watch = broker_watch(broker);
    if (watch)
        watch_each(watch, route, print_one, &table);
    table_print(&table, out);
    table_free(&table);
}
