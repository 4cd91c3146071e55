// SPDX-License-Identifier: MPL-2.0
#include "wire/clients.h"

#include "base/clock.h"
#include "base/mem.h"
#include "wire/cluster.h"
#include "wire/conn.h"
#include "wire/durable.h"
#include "wire/fan.h"
#include "zmtp/peertype.h"

#include <stdlib.h>
#include <stdio.h>

// --- the list ------------------------------------------------------------------------

static const char *
version(const conn_t *conn)
{
    return conn->major == 1 ? "1.0" : conn->major == 2 ? "2.0" : conn->minor > 0 ? "3.1" : "3.0";
}

static void
list_conn(client_list_t *list, const conn_t *conn)
{
    const peertype_t *type = peertype_at(conn->type);
    client_t *client = client_list_add(list, conn->wire->name, conn->port->side, conn->id, conn->peer_name);
    client_connected_by(client, conn->fd);
    client_named(client, conn->routing_id, conn->routing_id_size);
    client->is_ipc = conn->ipc;
    client->outgoing = conn->outgoing;
    client->since_wall_ns = conn->since_wall_ns;
    snprintf(client->user, sizeof client->user, "%s", conn->user ? conn->user : "");
    client->socket_type = type ? type->name : NULL;
    client->zmtp = version(conn);
    client->mechanism = handshake_mechanism_name(conn->port->greeting.mechanism);
    client->messages_received = (int64_t)conn->messages_received;
    client->messages_sent = (int64_t)conn->messages_sent;
    client->received_bytes = (int64_t)conn->received_bytes;
    client->sent_bytes = (int64_t)conn->sent_bytes;
    client->queued = (int64_t)conn->out.load.messages;
    client->queued_bytes = (int64_t)conn->out.load.payload;
    client->dropped = (int64_t)conn->dropped;
    client->subscriptions = (int64_t)fan_topics_of(conn);
    client->idle_ms = conn->wire->now_ms - conn->heard_ms;
}

static int
collect(wire_t *self, void *list)
{
    for (side_t side = 0; side < SIDES; side++)
        for (const conn_t *conn = self->ports[side].conns; conn; conn = conn->next)
            if (conn->state == CONN_OPEN && !conn->broken && !conn->left)
                list_conn(list, conn);
    if (self->ports[SIDE_BACKEND].durables)
        durables_list(self->ports[SIDE_BACKEND].durables, list);
    return 0;
}

void
clients_each(route_t *self, client_fn_t *fn, void *arg)
{
    client_list_t list = { 0 };
    route_call(self, collect, &list);
    client_list_each(&list, fn, arg);
}

// --- one of them ---------------------------------------------------------------------

static int
kick(wire_t *self, void *arg)
{
    const uint64_t *id = arg;
    for (side_t side = 0; side < SIDES; side++)
        for (conn_t *conn = self->ports[side].conns; conn; conn = conn->next)
            if (conn->id == *id && conn->state == CONN_OPEN && !conn->broken) {
                conn_break(conn, CUT_KICK, "an operator said so");
                return 0;
            }
    durables_t *durables = self->ports[SIDE_BACKEND].durables;
    return durables && durables_forget(durables, *id) ? 0 : -1;
}

int
clients_kick(route_t *self, uint64_t id)
{
    return route_call(self, kick, &id);
}

// --- endpoints -----------------------------------------------------------------------

typedef struct {
    side_t side;
    char endpoint[512], reason[256];
    int64_t since_ms; // of the loop's clock
} down_t;

typedef struct {
    down_t *at;
    size_t count, room;
} downs_t;

static void
add_down(downs_t *downs, side_t side, const char *endpoint, const char *reason, int64_t since_ms)
{
    mem_grow(downs->at, downs->count, downs->room);
    down_t *down = &downs->at[downs->count++];
    *down = (down_t){ .side = side, .since_ms = since_ms };
    snprintf(down->endpoint, sizeof down->endpoint, "%s", endpoint);
    snprintf(down->reason, sizeof down->reason, "%s", reason);
}

static int
collect_down(wire_t *self, void *arg)
{
    char why[256];
    int64_t since_ms;
    if (cluster_is_away(self, why, &since_ms))
        add_down(arg, SIDE_BACKEND, self->conf->nats.servers, why, since_ms);
    for (const dialled_t *i = self->dialled; i; i = i->next) {
        const char *reason = dial_reason(i->dial, &since_ms);
        if (reason)
            add_down(arg, i->port->side, dial_endpoint(i->dial), reason, since_ms);
    }
    return 0;
}

void
clients_endpoints_down(route_t *self, endpoint_down_fn_t *fn, void *arg)
{
    downs_t downs = { 0 };
    route_call(self, collect_down, &downs);
    int64_t wall_ms = clock_wall_ns() / 1000000 - clock_mono_ms();
    for (size_t i = 0; i < downs.count; i++)
        fn(downs.at[i].side, downs.at[i].endpoint, downs.at[i].reason, wall_ms + downs.at[i].since_ms, arg);
    free(downs.at);
}
