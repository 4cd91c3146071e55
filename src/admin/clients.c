// SPDX-License-Identifier: MPL-2.0
#include "admin/clients.h"
#include "admin/table.h"
#include "base/clock.h"
#include "base/mem.h"

#include <string.h>

// What is counted of each, in the order of JSON and of the columns.
static const struct {
    const char *key, *heading; // NULL: no column
    size_t offset;
} figures[] = {
    { "messages_received", "RECEIVED", offsetof(client_t, messages_received) },
    { "messages_sent", "SENT", offsetof(client_t, messages_sent) },
    { "received_bytes", NULL, offsetof(client_t, received_bytes) },
    { "sent_bytes", NULL, offsetof(client_t, sent_bytes) },
    { "queued", "QUEUED", offsetof(client_t, queued) },
    { "queued_bytes", "QUEUED_BYTES", offsetof(client_t, queued_bytes) },
    { "dropped", "DROPPED", offsetof(client_t, dropped) },
    { "subscriptions", "SUBSCRIPTIONS", offsetof(client_t, subscriptions) },
    { "idle_ms", "IDLE_MS", offsetof(client_t, idle_ms) },
};

static int64_t
figure(const client_t *client, size_t i)
{
    int64_t number;
    memcpy(&number, (const char *)client + figures[i].offset, sizeof number);
    return number;
}

// --- JSON --------------------------------------------------------------------------

typedef struct {
    json_t *json;
    const char *key; // of the object, NULL in an array
    size_t count, max;
} writing_t;

static void
write_figure(json_t *json, const char *key, int64_t number)
{
    if (number < 0)
        json_null(json, key);
    else
        json_int(json, key, number);
}

static void
write_routing_id(json_t *json, const client_t *client)
{
    text_t id = { 0 };
    if (client->routing_id)
        text_escaped(&id, client->routing_id, client->routing_id_size);
    json_string(json, "routing_id", id.data);
    text_free(&id);
}

static void
write_one(const client_t *client, void *arg)
{
    writing_t *self = arg;
    char since[32];
    if (self->max && self->count++ >= self->max)
        return;
    clock_rfc3339(client->since_wall_ns, since);
    json_object(self->json, self->key);
    json_uint(self->json, "id", client->id);
    json_string(self->json, "route", client->route);
    json_string(self->json, "side", side_name(client->side));
    json_string(self->json, "peer", client->peer);
    json_string(self->json, "user", client->user);
    json_string(self->json, "connected_at", since);
    json_int(self->json, "backlog_bytes", client->backlog_bytes);
    json_string(self->json, "socket_type", client->socket_type);
    json_string(self->json, "zmtp", client->zmtp);
    json_string(self->json, "mechanism", client->mechanism);
    for (size_t i = 0; i < COUNT(figures); i++)
        write_figure(self->json, figures[i].key, figure(client, i));
    write_routing_id(self->json, client);
    json_string(self->json, "state", client->away ? "away" : "connected");
    json_object_end(self->json);
}

void
clients_write(json_t *json, broker_t *broker, const char *route, size_t max)
{
    writing_t writing = { .json = json, .max = max };
    json_array(json, "clients");
    broker_clients(broker, route, write_one, &writing);
    json_array_end(json);
}

typedef struct {
    json_t *json;
    uint64_t id;
    int64_t behind;
} slowest_t;

static int64_t
bytes_behind(const client_t *client)
{
    return (client->backlog_bytes > 0 ? client->backlog_bytes : 0) + (client->queued_bytes > 0 ? client->queued_bytes : 0);
}

static void
find_slowest(const client_t *client, void *arg)
{
    slowest_t *self = arg;
    int64_t behind = bytes_behind(client);
    if (behind <= self->behind)
        return;
    self->behind = behind;
    self->id = client->id;
}

static void
write_slowest(const client_t *client, void *arg)
{
    slowest_t *self = arg;
    if (client->id != self->id)
        return;
    write_one(client, &(writing_t){ .json = self->json, .key = "slowest_client" });
    self->id = 0;
}

void
clients_write_slowest(json_t *json, broker_t *broker, const char *route)
{
    slowest_t slowest = { .json = json };
    broker_clients(broker, route, find_slowest, &slowest);
    bool found = slowest.behind > 0;
    if (found)
        broker_clients(broker, route, write_slowest, &slowest);
    if (!found || slowest.id)
        json_null(json, "slowest_client");
}

// --- a table -----------------------------------------------------------------------

static void
print_figure(table_t *table, int64_t number)
{
    if (number < 0)
        table_cell(table, "-");
    else
        table_cell(table, "%" PRId64, number);
}

static void
print_word(table_t *table, const char *word)
{
    table_cell(table, "%s", word ? word : "");
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
    table_cell(table, "%s%s", peer.data, client->away ? " (away)" : "");
    table_cell(table, "%s", user.data);
    table_cell(table, "%s", since);
    print_figure(table, client->backlog_bytes);
    print_word(table, client->socket_type);
    print_word(table, client->zmtp);
    print_word(table, client->mechanism);
    for (size_t i = 0; i < COUNT(figures); i++)
        if (figures[i].heading)
            print_figure(table, figure(client, i));
    text_free(&peer);
    text_free(&user);
}

void
clients_print(text_t *out, broker_t *broker, const char *route)
{
    column_t columns[10 + COUNT(figures)] = {
        { "ID", 1 },           { "ROUTE", 0 },         { "SIDE", 0 }, { "PEER", 0 }, { "USER", 0 },
        { "CONNECTED_AT", 0 }, { "BACKLOG_BYTES", 1 }, { "TYPE", 0 }, { "ZMTP", 0 }, { "MECHANISM", 0 },
    };
    size_t count = 10;
    for (size_t i = 0; i < COUNT(figures); i++)
        if (figures[i].heading)
            columns[count++] = (column_t){ figures[i].heading, 1 };
    table_t table = table_on(columns, count);
    broker_clients(broker, route, print_one, &table);
    table_print(&table, out);
    table_free(&table);
}
