// SPDX-License-Identifier: MPL-2.0
#include "wire/clients.h"

#include "base/clock.h"
#include "base/mem.h"
#include "wire/sides.h"
#include "wire/conn.h"
#include "wire/durable.h"
#include "wire/fan.h"
#include "zmtp/peertype.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <linux/sockios.h>

// --- the list ------------------------------------------------------------------------

typedef struct {
    client_t *at;
    size_t count, room;
} list_t;

static int64_t
backlog(const conn_t *conn)
{
    int bytes = 0;
    return ioctl(conn->fd, SIOCOUTQ, &bytes) == -1 ? -1 : bytes;
}

static const char *
version(const conn_t *conn)
{
    return conn->major == 1 ? "1.0" : conn->major == 2 ? "2.0" : conn->minor > 0 ? "3.1" : "3.0";
}

// The routing id is a copy: the connection may end before it is shown.
static void
describe(const conn_t *conn, client_t *client)
{
    const peertype_t *type = peertype_at(conn->type);
    client_know_nothing(client);
    client->id = conn->id;
    client->route = conn->wire->name;
    client->side = conn->port->side;
    client->outgoing = conn->outgoing;
    client->since_wall_ns = conn->since_wall_ns;
    client->fd = conn->fd;
    client->backlog_bytes = backlog(conn);
    snprintf(client->peer, sizeof client->peer, "%s", conn->peer_name);
    snprintf(client->user, sizeof client->user, "%s", conn->user ? conn->user : "");
    client->socket_type = type ? type->name : NULL;
    client->zmtp = version(conn);
    client->mechanism = handshake_mechanism_name(conn->port->greeting.mechanism);
    if (conn->routing_id_size > 0) {
        void *copy = xcalloc(1, conn->routing_id_size);
        client->routing_id = memcpy(copy, conn->routing_id, conn->routing_id_size);
        client->routing_id_size = conn->routing_id_size;
    }
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

static void
add_away(void *arg, const client_t *client)
{
    list_t *list = arg;
    mem_grow(list->at, list->count, list->room);
    list->at[list->count++] = *client;
}

static int
collect(wire_t *self, void *arg)
{
    list_t *list = arg;
    for (side_t side = 0; side < SIDES; side++)
        for (const conn_t *conn = self->ports[side].conns; conn; conn = conn->next) {
            if (conn->state != CONN_OPEN || conn->broken || conn->left)
                continue;
            mem_grow(list->at, list->count, list->room);
            describe(conn, &list->at[list->count++]);
        }
    if (self->ports[SIDE_BACKEND].durables)
        durables_each(self->ports[SIDE_BACKEND].durables, add_away, list);
    return 0;
}

static int
by_id(const void *a, const void *b)
{
    const client_t *first = a, *second = b;
    return (first->id > second->id) - (first->id < second->id);
}

void
clients_each(route_t *self, client_fn_t *fn, void *arg)
{
    list_t list = { 0 };
    wire_call(self, collect, &list);
    if (list.count > 0)
        qsort(list.at, list.count, sizeof *list.at, by_id);
    for (size_t i = 0; i < list.count; i++) {
        fn(&list.at[i], arg);
        free((void *)list.at[i].routing_id);
    }
    free(list.at);
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
    return wire_call(self, kick, &id);
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

static int
collect_down(wire_t *self, void *arg)
{
    downs_t *downs = arg;
    for (const dialled_t *i = self->dialled; i; i = i->next) {
        int64_t since_ms;
        const char *reason = dial_reason(i->dial, &since_ms);
        if (!reason)
            continue;
        mem_grow(downs->at, downs->count, downs->room);
        down_t *down = &downs->at[downs->count++];
        *down = (down_t){ .side = i->port->side, .since_ms = since_ms };
        snprintf(down->endpoint, sizeof down->endpoint, "%s", dial_endpoint(i->dial));
        snprintf(down->reason, sizeof down->reason, "%s", reason);
    }
    return 0;
}

void
clients_endpoints_down(route_t *self, endpoint_down_fn_t *fn, void *arg)
{
    downs_t downs = { 0 };
    wire_call(self, collect_down, &downs);
    int64_t wall_ms = clock_wall_ns() / 1000000 - clock_mono_ms();
    for (size_t i = 0; i < downs.count; i++)
        fn(downs.at[i].side, downs.at[i].endpoint, downs.at[i].reason, wall_ms + downs.at[i].since_ms, arg);
    free(downs.at);
}
