// SPDX-License-Identifier: MPL-2.0
// connected.h - who is connected to a route: its engine knows, or the watch.

#ifndef ZB_CONNECTED_H
#define ZB_CONNECTED_H

#include "broker/internal.h"

// Cut the client ID of the route NAME, also of one that is on its way out. 0, or -1: it has no such client (any more).
int connected_kick(broker_t *self, const char *name, uint64_t id);

#endif
