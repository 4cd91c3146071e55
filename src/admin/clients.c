// SPDX-License-Identifier: MPL-2.0
#include "admin/clients.h"

#include "admin/listing.h"
#include "admin/reply.h"
#include "base/mem.h"

static const listing_field_t fields[] = {
    { "id", "ID", COLUMN_RIGHT },
    { "route", "ROUTE", 0 },
    { "side", "SIDE", 0 },
    { "peer", NULL, 0 },
    { NULL, "PEER", 0 }, // "(away)" is a state of its own in JSON
    { "user", "USER", 0 },
    { "connected_at", "CONNECTED_AT", 0 },
    { "backlog_bytes", "BACKLOG_BYTES", COLUMN_RIGHT | LISTING_SIGNED },
    { "socket_type", "TYPE", 0 },
    { "zmtp", "ZMTP", 0 },
    { "mechanism", "MECHANISM", 0 },
    { "messages_received", "RECEIVED", COLUMN_RIGHT },
    { "messages_sent", "SENT", COLUMN_RIGHT },
    { "received_bytes", NULL, 0 },
    { "sent_bytes", NULL, 0 },
    { "queued", "QUEUED", COLUMN_RIGHT },
    { "queued_bytes", "QUEUED_BYTES", COLUMN_RIGHT },
    { "dropped", "DROPPED", COLUMN_RIGHT },
    { "subscriptions", "SUBSCRIPTIONS", COLUMN_RIGHT },
    { "idle_ms", "IDLE_MS", COLUMN_RIGHT },
    { "routing_id", NULL, 0 },
    { "state", NULL, 0 },
};

typedef struct {
    listing_t list;
    size_t count, max; // 0: any number
} writing_t;

static void
write_routing_id(listing_t *list, const client_t *client)
{
    text_t id = { 0 };
    if (client->routing_id)
        text_escaped(&id, client->routing_id, client->routing_id_size);
    listing_text(list, id.data);
    text_free(&id);
}

static void
write_one(const client_t *client, void *arg)
{
    writing_t *self = arg;
    listing_t *list = &self->list;
    char peer[sizeof client->peer + 8];
    if (self->max && self->count++ >= self->max)
        return;
    snprintf(peer, sizeof peer, "%s%s", client->peer, client->away ? " (away)" : "");
    listing_number(list, (int64_t)client->id);
    listing_text(list, client->route);
    listing_text(list, side_name(client->side));
    listing_text(list, client->peer);
    listing_text(list, peer);
    listing_text(list, client->user);
    listing_time(list, client->since_wall_ns);
    listing_number(list, client->backlog_bytes);
    listing_text(list, client->socket_type);
    listing_text(list, client->zmtp);
    listing_text(list, client->mechanism);
    listing_number(list, client->messages_received);
    listing_number(list, client->messages_sent);
    listing_number(list, client->received_bytes);
    listing_number(list, client->sent_bytes);
    listing_number(list, client->queued);
    listing_number(list, client->queued_bytes);
    listing_number(list, client->dropped);
    listing_number(list, client->subscriptions);
    listing_number(list, client->idle_ms);
    write_routing_id(list, client);
    listing_text(list, client->away ? "away" : "connected");
}

void
clients_write(json_t *json, broker_t *broker, const char *route, size_t max)
{
    writing_t writing = { .list = listing_into(json, fields, COUNT(fields)), .max = max };
    json_array(json, "clients");
    broker_clients(broker, route, write_one, &writing);
    json_array_end(json);
}

void
show_clients(request_t *request)
{
    broker_route_t route;
    writing_t writing = { 0 };
    if (reply_arg(request, 0) && !reply_find_route(request, &route))
        return;
    listing_open(&writing.list, request->out, request->json, "clients", fields, COUNT(fields));
    broker_clients(request->broker, reply_arg(request, 0), write_one, &writing);
    listing_close(&writing.list);
}

// --- the slowest one -----------------------------------------------------------------

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
    writing_t writing = { .list = listing_into(self->json, fields, COUNT(fields)) };
    writing.list.row_key = "slowest_client";
    write_one(client, &writing);
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
