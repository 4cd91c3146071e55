// SPDX-License-Identifier: MPL-2.0
#include "wire/portlife.h"

#include "base/mem.h"
#include "wire/acks.h"
#include "wire/least.h"
#include "wire/options.h"
#include "wire/output.h"
#include "wire/publish.h"
#include "wire/request.h"
#include "wire/services.h"
#include "wire/spread.h"
#include "wire/upstream.h"
#include "wire/workers.h"

#include <stdlib.h>
#include <zmq.h>

// --- socket types ------------------------------------------------------------------

static const socktype_t *const socktypes[] = {
    &socktype_pair,   &socktype_push, &socktype_pull, &socktype_dealer, &socktype_scatter, &socktype_gather,
    &socktype_router, &socktype_pub,  &socktype_xpub, &socktype_sub,    &socktype_xsub,
};

const socktype_t *
socktype_find(int type)
{
    for (size_t i = 0; i < COUNT(socktypes); i++)
        if (socktypes[i]->type == type)
            return socktypes[i];
    return NULL;
}

// Some sides have their own, whatever they are to their peers.
static const socktype_t *
socktype_for(side_t side, int type)
{
    static const socktype_t *const own[SIDES] = { [SIDE_ACK] = &socktype_acks, [SIDE_WORKER_ACK] = &socktype_workers };
    return own[side] && type != -1 ? own[side] : socktype_find(type);
}

// --- life --------------------------------------------------------------------------

void
portlife_configure(wport_t *port)
{
    port->conf = &port->wire->conf->sides[port->side];
    options_read(port);
    services_configure(port);
    least_configure(port);
    for (conn_t *conn = port->conns; conn; conn = conn->next)
        output_limits_changed(conn);
}

int
portlife_open(wport_t *port, wire_t *wire, side_t side, diag_t *diag)
{
    *port = (wport_t){ .wire = wire, .side = side, .counters = &wire->counters->sides[side] };
    port->parked_end = &port->parked;
    port->conf = &wire->conf->sides[side];
    port->socktype = socktype_for(side, port->conf->type);
    if (!port->socktype) {
        diag_error(diag, wire->conf->place, "[route %s] engine wire has no %s", wire->name,
                   socket_type_name(port->conf->type));
        return -1;
    }
    portlife_configure(port);
    publish_keep(port);
    return 0;
}

void
portlife_close(wport_t *port)
{
    if (!port->socktype)
        return;
    if (port->socktype->close)
        port->socktype->close(port);
    spans_clear(&port->returned);
    free(port->open);
    port->open = NULL;
    port->socktype = NULL;
}
