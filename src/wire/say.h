// SPDX-License-Identifier: MPL-2.0
// say.h - what the log and the counters hear of connections.

#ifndef ZB_WIRE_SAY_H
#define ZB_WIRE_SAY_H

#include "wire/internal.h"

void say_opened(const conn_t *conn);
void say_ended(const conn_t *conn, bool was_open);
void say_lost(const conn_t *conn, uint64_t lost, uint64_t requeued); // what it left behind
void say_full(const wport_t *port, bool full);
void say_denied(conn_t *conn, const char *action, const void *topic, size_t size);
void say_quota(conn_t *conn, size_t size, const char *key, int64_t limit); // a subscription over it is ignored
void say_slow(conn_t *conn);             // it loses messages

#endif
