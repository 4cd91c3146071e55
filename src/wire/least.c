// SPDX-License-Identifier: MPL-2.0
#include "wire/least.h"

#include "base/mem.h"
#include "wire/output.h"
#include "wire/ranks.h"
#include "wire/spread.h"

#include <linux/sockios.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <zmq.h>

enum { LOOK_MOST = 64 }; // workers at once

typedef struct {
    rank_t rank; // first
    conn_t *conn;
} rated_worker_t;

// Of a port.
typedef struct {
    ranks_t ranks;
    int64_t looked_ms;
    uint32_t next; // worker to look at
} least_t;

// Over ipc the kernel counts memory, not bytes: more than there is, but nothing when there is nothing.
static uint64_t
in_kernel(const conn_t *conn)
{
    int bytes = 0;
    if (!conn->written || conn->fd == -1 || ioctl(conn->fd, SIOCOUTQ, &bytes) == -1 || bytes <= 0)
        return 0;
    return written_last(conn->written, (uint64_t)bytes);
}

static void
look_at(least_t *self, const conn_t *conn)
{
    rated_worker_t *worker = conn->own;
    if (worker->rank.weight == 0)
        return;
    uint64_t waiting = conn->out.load.messages + in_kernel(conn);
    uint32_t weight = waiting < RANKS_MOST ? (uint32_t)waiting : RANKS_MOST - 1;
    if (weight != worker->rank.weight)
        ranks_put(&self->ranks, &worker->rank, weight);
}

static void
look(least_t *self, const wport_t *port)
{
    if (self->looked_ms == port->wire->now_ms)
        return;
    self->looked_ms = port->wire->now_ms;
    for (uint32_t i = 0; i < port->count && i < LOOK_MOST; i++) {
        if (self->next >= port->count)
            self->next = 0;
        look_at(self, port->open[self->next++]);
    }
}

static given_t
give(wport_t *port, const piece_t *piece)
{
    least_t *self = port->own;
    if (port->ready == 0)
        return NO_ROOM;
    look(self, port);
    for (rank_t *rank = ranks_first(&self->ranks); rank; rank = ranks_next(&self->ranks, rank)) {
        conn_t *conn = ((rated_worker_t *)rank)->conn;
        if (conn->full)
            continue;
        ranks_put(&self->ranks, rank, rank->weight + (uint32_t)piece->load.messages);
        output_add(conn, piece);
        return GIVEN;
    }
    return NO_ROOM;
}

static void
enter(conn_t *conn)
{
    least_t *self = conn->port->own;
    rated_worker_t *worker = conn->own = xcalloc(1, sizeof *worker);
    worker->conn = conn;
    ranks_put(&self->ranks, &worker->rank, (uint32_t)(conn->out.load.messages + in_kernel(conn)));
}

static int
joined(conn_t *conn)
{
    enter(conn);
    return 0;
}

static void
left(conn_t *conn)
{
    least_t *self = conn->port->own;
    rated_worker_t *worker = conn->own;
    ranks_take(&self->ranks, &worker->rank);
    free(worker);
    conn->own = NULL;
}

static void
least_close(wport_t *port)
{
    least_t *self = port->own;
    for (rank_t *rank; (rank = ranks_first(&self->ranks));) { // their connections went to another route
        ranks_take(&self->ranks, rank);
        free(rank);
    }
    ranks_free(&self->ranks);
    free(self);
    port->own = NULL;
}

static const socktype_t socktype_least = { .type = ZMQ_PUSH,
                                           .give = give,
                                           .hears = spread_hears_nothing,
                                           .joined = joined,
                                           .rejoined = joined,
                                           .left = left,
                                           .close = least_close,
                                           .keeps_for_others = true };

void
least_configure(wport_t *port)
{
    bool is_streamer = port->side == SIDE_BACKEND && port->conf->type == ZMQ_PUSH;
    bool wanted = is_streamer && port->wire->conf->dispatch == DISPATCH_LEAST,
         is_on = port->socktype == &socktype_least;
    if (wanted == is_on)
        return;
    if (wanted)
        port->own = xcalloc(1, sizeof(least_t));
    for (uint32_t i = 0; i < port->count; i++)
        (wanted ? enter : left)(port->open[i]);
    if (!wanted)
        least_close(port);
    port->socktype = wanted ? &socktype_least : &socktype_push;
}
