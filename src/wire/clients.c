// SPDX-License-Identifier: MPL-2.0
#include "wire/clients.h"

#include "base/mem.h"
#include "wire/sides.h"
#include "wire/conn.h"
#include "wire/fan.h"

#include <errno.h>
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

static void
describe(const conn_t *conn, client_t *client)
{
    *client = (client_t){
        .id = conn->id,
        .route = conn->wire->name,
        .side = conn->port->side,
        .outgoing = conn->outgoing,
        .since_wall_ns = conn->since_wall_ns,
        .fd = conn->fd,
        .backlog_bytes = backlog(conn),
    };
    snprintf(client->peer, sizeof client->peer, "%s", conn->peer_name);
    snprintf(client->user, sizeof client->user, "%s", conn->user ? conn->user : "");
}

static int
collect(wire_t *self, void *arg)
{
    list_t *list = arg;
    for (side_t side = 0; side < SIDES; side++)
        for (const conn_t *conn = self->ports[side].conns; conn; conn = conn->next) {
            if (conn->state != CONN_OPEN || conn->broken)
                continue;
            mem_grow(list->at, list->count, list->room);
            describe(conn, &list->at[list->count++]);
        }
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
    for (size_t i = 0; i < list.count; i++)
        fn(&list.at[i], arg);
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
    return -1;
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
    int64_t since_ms;
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
    for (size_t i = 0; i < downs.count; i++)
        fn(downs.at[i].side, downs.at[i].endpoint, downs.at[i].reason, downs.at[i].since_ms, arg);
    free(downs.at);
}
