// SPDX-License-Identifier: MPL-2.0
// dialled.h - an endpoint that a side connects to: what the loop watches for it, and what
// becomes of the connection that it made. connect.h makes them.

#ifndef ZB_WIRE_DIALLED_H
#define ZB_WIRE_DIALLED_H

#include "wire/internal.h"

dialled_t *dialled_find(const wport_t *port, const char *endpoint); // NULL: there is none
void dialled_watch(dialled_t *self);                                // its descriptor may have changed

// What became of a connection, whoever made it.
void dialled_opened(const conn_t *conn);
void dialled_ended(conn_t *conn, bool was_open);

#endif
