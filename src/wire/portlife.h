// SPDX-License-Identifier: MPL-2.0
// portlife.h - one side of a route from its opening to its end: which socket type serves
// its peers, and what its configuration makes of it.

#ifndef ZB_WIRE_PORTLIFE_H
#define ZB_WIRE_PORTLIFE_H

#include "wire/internal.h"

// The record of a socket type; NULL: this engine does not have it.
const socktype_t *socktype_find(int type);

// From the route's configuration. 0, or -1 with DIAG.
int portlife_open(wport_t *port, wire_t *wire, side_t side, diag_t *diag);
void portlife_close(wport_t *port);
void
portlife_configure(wport_t *port); // what may change while it runs, out of its configuration: also for who is there

#endif
