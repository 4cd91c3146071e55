// SPDX-License-Identifier: MPL-2.0
// subscribers.h - the peers of a side that publishes: they come and go, and ask for
// topics. What each of them has asked for is in fan.h.

#ifndef ZB_WIRE_SUBSCRIBERS_H
#define ZB_WIRE_SUBSCRIBERS_H

#include "wire/internal.h"

// Of the socket type's record.
int subscribers_join(conn_t *conn);
int subscribers_rejoin(conn_t *conn);
void subscribers_leave(conn_t *conn);
void subscribers_ask(conn_t *conn, const uint8_t *topic, size_t size, bool on); // by a command
bool subscribers_hear(conn_t *conn, piece_t *piece);                            // by a message

#endif
