// SPDX-License-Identifier: MPL-2.0
// input.h - what comes in on a connection: bytes become whole messages, as frames
// of ZMTP 2.0, in the chunk that they were read into. Commands are taken out of
// them and dealt with.

#ifndef ZB_WIRE_INPUT_H
#define ZB_WIRE_INPUT_H

#include "wire/internal.h"

// Read what is there, at most a chunk. False: nothing came, and readable or broken say why.
bool input_read(conn_t *self);

// Bytes that came with the end of the handshake.
void input_begin(conn_t *self, const uint8_t *bytes, size_t size);

// Collect one whole message. 1: it is [start, scan); 0: more has to come; -1: the connection is broken.
int input_collect(conn_t *self);

// Most messages are one short frame, as it comes: those need no more than a look. The size of the next one, 0: see
// input_collect.
static inline size_t
input_short(const conn_t *self)
{
    if (!self->as_it_comes || !self->in || self->scan != self->raw || self->start != self->scan)
        return 0;
    const uint8_t *at = self->in->data + self->raw;
    size_t have = self->in->size - self->raw;
    bool is_there = have >= FRAME_SHORT_HEAD && at[0] == 0 && have - FRAME_SHORT_HEAD >= at[1];
    return is_there && at[1] <= self->port->maxmsgsize ? FRAME_SHORT_HEAD + (size_t)at[1] : 0;
}

static inline size_t
input_size(const conn_t *self) // bytes that are not taken
{
    return self->in ? self->in->size - self->start : 0;
}

static inline bool
input_empty(const conn_t *self) // all that came was taken
{
    return !self->in || self->start == self->in->size;
}

// Whole messages that lie behind each other, at most MOST and about MOST_BYTES, as PIECE: taken off the connection.
// What is not as most are ends it: there may be none.
void input_run(conn_t *self, uint64_t most, uint64_t most_bytes, piece_t *run);

// The size of the next message, of however many parts, if it is there whole and can go out as it came; 0: see
// input_collect.
size_t input_look(const conn_t *self, uint64_t *payload);

// The next whole message, as PIECE: no longer the connection's, unless it is kept.
// Returns as input_collect does.
static inline int
input_next(conn_t *self, piece_t *piece)
{
    size_t size = input_short(self);
    if (size > 0) {
        *piece = (piece_t){ .from = self, .chunk = self->in, .at = self->raw, .size = size,
                            .load = { 1, size - FRAME_SHORT_HEAD } };
        self->start = self->scan = self->raw = self->raw + size;
        return 1;
    }
    uint64_t payload;
    size = input_look(self, &payload);
    if (size > 0) {
        *piece = (piece_t){ .from = self, .chunk = self->in, .at = self->raw, .size = size, .load = { 1, payload } };
        self->start = self->scan = self->raw = self->raw + size;
        return 1;
    }
    int rc = input_collect(self);
    if (rc != 1)
        return rc;
    *piece = (piece_t){ .from = self, .chunk = self->in, .at = self->start, .size = self->scan - self->start,
                        .load = { 1, self->payload } };
    self->start = self->scan;
    self->whole = false;
    self->payload = self->parts = 0;
    return 1;
}

// Nobody has taken it: it stays the next one.
static inline void
input_keep(conn_t *self, const piece_t *piece)
{
    self->start = piece->at;
    self->payload = piece->load.payload;
    self->whole = true;
}

// All that can be is digested: hold no more memory than that needs.
void input_rest(conn_t *self);
void input_free(conn_t *self);

#endif
