// SPDX-License-Identifier: MPL-2.0
// clients.h - who is connected, for whoever asks: lists, kick, endpoints that are not reached.

#ifndef ZB_WIRE_CLIENTS_H
#define ZB_WIRE_CLIENTS_H

#include "wire/internal.h"

// Of the engine's record.
void clients_each(route_t *self, client_fn_t *fn, void *arg);
int clients_kick(route_t *self, uint64_t id);
void clients_endpoints_down(route_t *self, endpoint_down_fn_t *fn, void *arg);

#endif
