// SPDX-License-Identifier: MPL-2.0
//
// What a route takes over from one that anybody may have written: whatever it is, the
// connections that come of it can end one after the other, and nothing is left. The first
// octet chooses the socket type, and whether it is that of a side that remembers, the second how much of the rest is the port's own part.
#include "wire/handover.h"

#include "base/log.h"
#include "base/mem.h"
#include "wire/conn.h"
#include "wire/connlife.h"
#include "wire/portlife.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const int types[] = { ZMQ_ROUTER, ZMQ_XPUB, ZMQ_PUSH, ZMQ_DEALER, ZMQ_PAIR };
static const route_resources_t resources;
static counters_t counters;

static void
check(bool claim)
{
    if (!claim)
        abort();
}

static void
end_all(wire_t *wire, wport_t *port)
{
    while (port->conns) {
        conn_break(port->conns, CUT_NONE, "the end");
        connlife_serve(port->conns);
    }
    while (wire->ended) {
        conn_t *conn = wire->ended;
        wire->ended = conn->next;
        conn_free(conn);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || sodium_init() == -1)
        return 0;
    log_set_level(LOG_LEVEL_ERROR);
    route_conf_t conf = { .name = "r" };
    wire_t wire = { .conf = &conf, .name = conf.name, .resources = &resources, .counters = &counters, .closing = true };
    bool remembers = data[0] & 0x80;
    side_t side = remembers ? SIDE_BACKEND : SIDE_FRONTEND;
    wport_t *port = &wire.ports[side];
    diag_t *diag = diag_new();
    conf.sides[side].type = remembers ? ZMQ_XPUB : types[data[0] % COUNT(types)];
    conf.sides[side].max_parts = 100;
    conf.durable = remembers;
    conf.last_value = remembers && data[0] & 1 ? 10 : 0;
    conf.replay_messages = remembers && !(data[0] & 1) ? 10 : 0;
    conf.durable_messages = conf.durable_bytes = 10;
    wire.now_ms = INT64_MAX / 2;
    wire.scheduled_end = &wire.scheduled;
    check(loop_open(&wire.loop) == 0 && portlife_open(port, &wire, side, diag) == 0);
    port->greeting = (handshake_conf_t){ .type = conf.sides[side].type, .as_server = true, .asks = true };

    size_t own = (size - 2) * data[1] / 256;
    if (port->socktype->restore)
        port->socktype->restore(port, (record_fields_t){ data + 2, own });
    record_add(&wire.saved, data + 2 + own, size - 2 - own);
    handover_restore(&wire);
    end_all(&wire, port);
    portlife_close(port);
    check(wire.pool.bytes == 0 && wire.alive == 0);
    chunk_pool_empty(&wire.pool);
    loop_close(&wire.loop);
    diag_destroy(&diag);
    return 0;
}
