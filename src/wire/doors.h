// SPDX-License-Identifier: MPL-2.0
// doors.h - the listening descriptors of a route: accepting, and not accepting.

#ifndef ZB_WIRE_DOORS_H
#define ZB_WIRE_DOORS_H

#include "wire/internal.h"

void doors_add(wire_t *self, listener_t *listener, side_t side);    // borrowed
void doors_remove(wire_t *self, const listener_t *listener);
void doors_remove_side(wire_t *self, side_t side);
void doors_remove_all(wire_t *self);
void doors_close_side(wport_t *port); // it is full: newcomers wait in the kernel
void doors_open_side(wport_t *port);
void doors_look_at_crowd(wport_t *port); // so many were in their handshake that the next had to wait: is it over?
void doors_hold(wire_t *self); // whom shortage.h keeps waiting, or no longer

#endif
