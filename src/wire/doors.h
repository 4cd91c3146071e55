// SPDX-License-Identifier: MPL-2.0
// doors.h - the listening descriptors of a route: which of them are watched. What happens
// at one of them is in accept.h.

#ifndef ZB_WIRE_DOORS_H
#define ZB_WIRE_DOORS_H

#include "wire/internal.h"

// LISTENER is borrowed; ON_KNOCK: somebody waits there.
void doors_add(wire_t *self, listener_t *listener, side_t side, void (*on_knock)(watched_t *watched, uint32_t events));
void doors_remove(wire_t *self, const listener_t *listener);
void doors_remove_side(wire_t *self, side_t side);
void doors_remove_all(wire_t *self);
void doors_close(door_t *door);
void doors_close_side(wport_t *port); // it is full: newcomers wait in the kernel
void doors_open_side(wport_t *port);
void doors_hold(wire_t *self);        // whom shortage.h keeps waiting, or no longer

#endif
