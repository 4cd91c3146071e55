// SPDX-License-Identifier: MPL-2.0
// places.h - how many may be here: max_clients of a side and of the process is exact,
// and whoever has not finished the handshake has no place yet, but one in a bounded
// waiting room.

#ifndef ZB_WIRE_PLACES_H
#define ZB_WIRE_PLACES_H

#include "wire/internal.h"

// For one more in its handshake, who comes from there; false: there is no place.
bool places_wait(wport_t *port, stranger_t *stranger);
void places_unnamed(conn_t *conn, stranger_t *stranger); // it is the one
void places_named(conn_t *conn);   // its handshake is over, one way or the other

bool places_enter(conn_t *conn);   // it is a client now; false: there is no place, and it is refused
void places_leave(conn_t *conn);
void places_keep(conn_t *conn);      // it has been a client of another route, whatever the limit is here
void places_hand_over(conn_t *conn); // it goes there: nobody is let in instead
// Many are in their handshake, and none of them for long: the next ones wait in the kernel for a moment.
bool places_crowded(const wport_t *port);
void places_look_at_crowd(wport_t *port); // is that over?

#endif
