// SPDX-License-Identifier: MPL-2.0
// connect.h - the endpoints that a route connects to: one connection each, made again
// whenever it ends, also when it was refused.

#ifndef ZB_WIRE_CONNECT_H
#define ZB_WIRE_CONNECT_H

#include "wire/internal.h"

void connect_add(wport_t *port, const endpoint_t *endpoint);
void connect_again(conn_t *conn, const char *endpoint); // CONN, of another route, is its connection: before connect_add
void connect_configure(wport_t *port); // its waits have changed
void connect_remove(wport_t *port, const char *endpoint); // its connection ends
void connect_remove_all(wire_t *self);
void connect_tick(wire_t *self);
int64_t connect_next_ms(const wire_t *self); // when connect_tick is due

#endif
