// SPDX-License-Identifier: MPL-2.0
// outbox.h - what waits for a stream on a NATS server: on the disk, in order, until the
// stream has acknowledged it. So the servers may be away, and this process may end.

#ifndef ZB_WIRE_OUTBOX_H
#define ZB_WIRE_OUTBOX_H

#include "store/jetstream.h"
#include "store/store.h"
#include "wire/internal.h"

typedef struct outbox outbox_t;

// The store of WIRE's configuration. CHANGED is called when there may be room. NULL, with DIAG.
outbox_t *outbox_open(wire_t *wire, void (*changed)(wire_t *wire), diag_t *diag);
void outbox_begin(outbox_t *self, jetstream_t *jetstream,
                  const char *prefix); // in the route's thread; of the subjects, or NULL
void outbox_configure(outbox_t *self);

given_t outbox_put(outbox_t *self, const piece_t *piece);
store_t *outbox_store(const outbox_t *self);
uint64_t outbox_acknowledged(const outbox_t *self); // all below this sequence is in the stream
void outbox_turn(outbox_t *self);                   // all that was put for now

void outbox_hear(outbox_t *self);           // the stream has said something, or is there again
bool outbox_is_empty(const outbox_t *self); // all is in the stream

// At the end: nothing else is published from here.
void outbox_stop(outbox_t *self);
bool outbox_is_written(outbox_t *self);       // what was put is on the disk, and goes there without waiting for more
bool outbox_has_landed(const outbox_t *self); // the stream has all that was published

// What was put is on the disk then. Returns how many messages are lost. *SELF_P may be NULL.
uint64_t outbox_close(outbox_t **self_p, int64_t wait_ms);

#endif
