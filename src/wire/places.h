// SPDX-License-Identifier: MPL-2.0
// places.h - how many may be here: max_clients of a side is exact, and whoever has not
// finished the handshake has no place yet, but a bounded waiting room.

#ifndef ZB_WIRE_PLACES_H
#define ZB_WIRE_PLACES_H

#include "wire/internal.h"

bool places_enter(conn_t *conn); // false: there is none, and it is refused
void places_leave(conn_t *conn);

// May one more be accepted now? Of those in their handshake the oldest has to go when there are too many.
bool places_free(const wport_t *port);
void places_make_room(wport_t *port);

#endif
