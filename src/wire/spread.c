// SPDX-License-Identifier: MPL-2.0
#include "wire/spread.h"

#include "wire/conn.h"
#include "wire/output.h"
#include "wire/pump.h"
#include "wire/request.h"
#include "wire/services.h"

#include "zmtp/peertype.h"

#include <zmq.h>

// Round robin, message by message, among those with room.
static given_t
give(wport_t *self, const piece_t *piece)
{
    if (self->ready == 0)
        return NO_ROOM;
    if (self->turn >= self->ready)
        self->turn = 0;
    output_add(self->open[self->turn++], piece);
    return GIVEN;
}

// Peers that take one frame would drop a message of several, and nobody would know.
static given_t
give_one_frame(wport_t *self, const piece_t *piece)
{
    if (!(piece->chunk->data[piece->at] & FRAME_MORE))
        return give(self, piece);
    port_drop(self, DROP_UNDELIVERABLE, 1);
    return DROPPED;
}

static bool
pump_to_one(conn_t *conn, wport_t *to)
{
    for (;;) {
        piece_t run;
        conn_t *peer = to->open[0];
        if (input_run(conn, to->sndhwm - peer->out.load.messages, to->queue_bytes - peer->out.bytes, &run)) {
            pump_counted(conn, run.load);
            output_add(peer, &run);
        } else {
            int rc = input_next(conn, &run);
            if (rc != 1)
                return rc == 0;
            pump_received(conn, &run);
            port_give(to, &run);
        }
        if (input_empty(conn))
            return true;
        if (to->ready != 1 || to->count != 1)
            return pump(conn);
    }
}

static bool
pump_to_many(conn_t *conn, wport_t *to)
{
    piece_t piece;
    int rc;
    while ((rc = input_next(conn, &piece)) == 1) {
        if (port_give(to, &piece) == NO_ROOM)
            return pump_wait(conn, &piece);
        pump_received(conn, &piece);
    }
    return rc == 0;
}

static bool
pump_straight(conn_t *conn, wport_t *to)
{
    bool one = to->count == 1 && to->ready == 1 && to->returned.count == 0;
    return (one ? pump_to_one : pump_to_many)(conn, to);
}

// What has no place to go to is not sent by our peers.
bool
spread_hears_nothing(conn_t *conn, piece_t *piece)
{
    (void)conn;
    (void)piece;
    return true;
}

static int
only_one(conn_t *conn)
{
    if (conn->port->count == 0)
        return 0;
    conn_refuse(conn, HANDSHAKE_LIMITED, "a PAIR has a peer already");
    return -1;
}

// clang-format off
const socktype_t socktype_push    = { .type = ZMQ_PUSH,   .give = give, .pump = pump_straight, .hears = spread_hears_nothing, .keeps_for_others = true };
const socktype_t socktype_scatter = { .type = PEERTYPE_SCATTER, .give = give_one_frame, .pump = pump_straight, .hears = spread_hears_nothing,
                                      .keeps_for_others = true, .one_frame = true };
const socktype_t socktype_dealer  = { .type = ZMQ_DEALER, .give = give, .pump = pump_straight, .left = request_service_left,
                                     .keeps_for_others = true, .restore = services_restore };
const socktype_t socktype_pair    = { .type = ZMQ_PAIR,   .give = give, .pump = pump_straight, .joined = only_one, .rejoined = only_one };
const socktype_t socktype_pull    = { .type = ZMQ_PULL };
const socktype_t socktype_gather  = { .type = PEERTYPE_GATHER };
// clang-format on
