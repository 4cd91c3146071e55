// SPDX-License-Identifier: MPL-2.0
// output.h - what goes out on a connection: its queue of messages, in the form that
// the peer speaks, and between two of them a PING or a PONG that is due.

#ifndef ZB_WIRE_OUTPUT_H
#define ZB_WIRE_OUTPUT_H

#include "wire/internal.h"

// Put PIECE into its queue. There is room: the caller has looked.
void output_add(conn_t *self, const piece_t *piece);

// The same for messages at DATA that were remembered: there need be no room, and they take none of what there is. CHUNK
// is where they lie, NULL: in memory that is not to be shared.
void output_beyond(conn_t *self, chunk_t *chunk, const uint8_t *data, size_t size, load_t load);

// A frame of ours, not a message of the route: a subscription, a welcome.
void output_frame(conn_t *self, uint8_t flags, const void *head, size_t head_size, const void *body, size_t size);

// A command that goes between two messages at the next moment; one that waits there already is replaced.
void output_urgent(conn_t *self, const uint8_t *body, size_t size);

// Write what can be written now. When it fails the connection is broken.
void output_flush(conn_t *self);
void output_limits_changed(conn_t *self); // of its side: there may be room at once, or none any more

bool output_pending(const conn_t *self); // not all is written

// How many messages were written and not acknowledged by the peer's system.
uint64_t output_unacknowledged(const conn_t *self);

// The connection has ended: what was not sent. UNBEGUN, which is empty, gets the messages of which no byte was written.
load_t output_abandon(conn_t *self, spans_t *unbegun);

#endif
