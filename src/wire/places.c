// SPDX-License-Identifier: MPL-2.0
#include "wire/places.h"

#include "flow/capacity.h"
#include "wire/conn.h"
#include "wire/doors.h"
#include "wire/port.h"
#include "wire/strangers.h"

enum { HANDSHAKE_USUAL_MS = 1000 }; // a peer that means it has done it by then

static capacity_t *
capacity_of(const wport_t *port)
{
    return port->wire->resources->capacity;
}

// --- clients -------------------------------------------------------------------------

static void
set_place(conn_t *conn, bool has_place)
{
    conn->port->placed -= conn->has_place;
    conn->port->placed += has_place;
    conn->has_place = has_place;
}

bool
places_enter(conn_t *conn)
{
    capacity_t *capacity = capacity_of(conn->port);
    if (!port_has_place(conn->port)) {
        conn_refuse(conn, HANDSHAKE_LIMITED, "max_clients is reached");
        return false;
    }
    if (capacity && !capacity_take(capacity)) {
        conn_refuse(conn, HANDSHAKE_LIMITED, "the process is full");
        return false;
    }
    set_place(conn, true);
    if (!port_has_place(conn->port))
        doors_close_side(conn->port);
    return true;
}

static void
count(conn_t *conn, bool has_place)
{
    capacity_t *capacity = capacity_of(conn->port);
    if (capacity)
        capacity_count(capacity, (has_place ? 1 : 0) - (conn->has_place ? 1 : 0));
    set_place(conn, has_place);
}

void
places_keep(conn_t *conn)
{
    count(conn, true);
}

void
places_hand_over(conn_t *conn)
{
    count(conn, false);
    places_named(conn);
}

void
places_leave(conn_t *conn)
{
    capacity_t *capacity = capacity_of(conn->port);
    if (!conn->has_place)
        return;
    set_place(conn, false);
    if (capacity)
        capacity_give(capacity);
    doors_open_side(conn->port);
}

// --- those who have not said who they are ----------------------------------------------

void
places_unnamed(conn_t *conn, stranger_t *stranger)
{
    wport_t *port = conn->port;
    conn->stranger = stranger;
    conn->next_unnamed = port->newest_unnamed;
    if (conn->next_unnamed)
        conn->next_unnamed->previous_unnamed = conn;
    port->newest_unnamed = conn;
}

static void
unlink_unnamed(conn_t *conn)
{
    if (conn->next_unnamed)
        conn->next_unnamed->previous_unnamed = conn->previous_unnamed;
    *(conn->previous_unnamed ? &conn->previous_unnamed->next_unnamed : &conn->port->newest_unnamed) = conn->next_unnamed;
    conn->next_unnamed = conn->previous_unnamed = NULL;
}

// The oldest of those who come from where most come from.
static conn_t *
first_to_go(const wport_t *port)
{
    conn_t *first = NULL;
    for (conn_t *i = port->newest_unnamed; i; i = i->next_unnamed)
        if (!first || strangers_waiting(i->stranger) >= strangers_waiting(first->stranger))
            first = i;
    return first;
}

bool
places_crowded(const wport_t *port)
{
    capacity_t *capacity = capacity_of(port);
    if (!capacity || port->unnamed < capacity_unnamed_of_side(capacity))
        return false;
    const conn_t *first = first_to_go(port);
    return first && port->wire->now_ms - first->since_ms < HANDSHAKE_USUAL_MS;
}

void
places_look_at_crowd(wport_t *port)
{
    if (!port->crowded || places_crowded(port))
        return;
    port->crowded = false;
    doors_open_side(port);
}

void
places_named(conn_t *conn)
{
    capacity_t *capacity = capacity_of(conn->port);
    if (!conn->stranger)
        return;
    strangers_wait(conn->stranger, -1);
    unlink_unnamed(conn);
    conn->stranger = NULL;
    conn->port->unnamed--;
    if (capacity)
        capacity_give_unnamed(capacity);
    if (conn->port->crowded)
        places_look_at_crowd(conn->port);
}

// Strangers who say nothing keep nobody out: one of them goes, not who has just come.
static bool
make_room(wport_t *port)
{
    conn_t *first = first_to_go(port);
    if (!first)
        return false;
    places_named(first);
    conn_refuse(first, HANDSHAKE_LIMITED, "too many handshakes at once: it was the oldest from the address with most");
    return true;
}

bool
places_wait(wport_t *port, stranger_t *stranger)
{
    capacity_t *capacity = capacity_of(port);
    if (capacity && port->unnamed >= capacity_unnamed_of_side(capacity))
        make_room(port);
    while (capacity && !capacity_take_unnamed(capacity))
        if (!make_room(port))
            return false;
    port->unnamed++;
    strangers_wait(stranger, 1);
    return true;
}
