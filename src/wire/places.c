// SPDX-License-Identifier: MPL-2.0
#include "wire/places.h"

#include "wire/conn.h"
#include "wire/doors.h"
#include "wire/say.h"

enum { UNNAMED_MOST = 256 }; // of a side

bool
places_free(const wport_t *port)
{
    return port->conf->max_clients <= 0 || port->count < (uint64_t)port->conf->max_clients;
}

bool
places_enter(conn_t *conn)
{
    if (!places_free(conn->port)) {
        conn_refuse(conn, HANDSHAKE_LIMITED, "max_clients is reached");
        return false;
    }
    if (conn->port->conf->max_clients > 0 && conn->port->count + 1 >= (uint64_t)conn->port->conf->max_clients)
        doors_close_side(conn->port);
    return true;
}

void
places_leave(conn_t *conn)
{
    doors_open_side(conn->port);
}

// The newest connection is at the front.
static conn_t *
oldest_unnamed(const wport_t *port)
{
    conn_t *oldest = NULL;
    for (conn_t *i = port->conns; i; i = i->next)
        if (i->handshake && !i->broken)
            oldest = i;
    return oldest;
}

void
places_make_room(wport_t *port)
{
    if (port->unnamed < UNNAMED_MOST)
        return;
    conn_t *oldest = oldest_unnamed(port);
    if (oldest)
        conn_refuse(oldest, HANDSHAKE_LIMITED, "too many are in their handshake: the oldest has to go");
}
