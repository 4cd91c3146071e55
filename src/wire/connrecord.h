// SPDX-License-Identifier: MPL-2.0
// connrecord.h - one connection written down, in whatever state it is, and made again
// from that: its handshake, what came in and what is to go out, to the octet, and
// who its peer is. Not what is found out anew: rights, topics in the trie, places.

#ifndef ZB_WIRE_CONNRECORD_H
#define ZB_WIRE_CONNRECORD_H

#include "base/record.h"
#include "wire/internal.h"

// It has not ended and is not broken. The record holds its keys.
void connrecord_save(const conn_t *conn, record_t *to);

// What the record says of its topics and its endpoint is read by whoever puts the connection in its place.
typedef void connrecord_topic_fn(conn_t *conn, const uint8_t *topic, size_t size);
void connrecord_topics(conn_t *conn, record_fields_t from, connrecord_topic_fn *fn);
char *connrecord_endpoint(record_fields_t from); // to be freed; NULL: it was removed

// Its descriptor, if that is still the same connection, else -1.
int connrecord_fd(record_fields_t from);

// A connection of PORT with that descriptor, not in any list and not watched yet: see conn_enter. NULL: the record is
// wrong; FD stays open.
conn_t *connrecord_restore(wport_t *port, record_fields_t from, int fd);

#endif
