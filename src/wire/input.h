// SPDX-License-Identifier: MPL-2.0
// input.h - what comes in on a connection: bytes become whole messages, as frames
// of ZMTP 2.0, in the chunk that they were read into. Commands are taken out of
// them and dealt with.

#ifndef ZB_WIRE_INPUT_H
#define ZB_WIRE_INPUT_H

#include "store/store.h"
#include "wire/internal.h"

// Read what is there, at most a chunk. False: nothing came, and readable or broken say why.
bool input_read(conn_t *self);

// Bytes that came with the end of the handshake.
void input_begin(conn_t *self, const uint8_t *bytes, size_t size);

// Collect one whole message. 1: it is [start, scan); 0: more has to come; -1: the connection is broken.
int input_collect(conn_t *self);

// How large a message is.
typedef struct {
    size_t size; // with the heads of its frames; 0: it is not there whole, or is another than was looked for
    uint64_t payload;
} extent_t;

// Of the message at AT, whatever its frames are; none if it has a command in it.
extent_t input_extent(const wport_t *port, const uint8_t *at, size_t have);

// Of the message at AT, if that is a few short frames.
extent_t input_few_at(const wport_t *port, const uint8_t *at, size_t have);

// Most are one frame: those need no more than a look.
static inline extent_t
input_one_at(const wport_t *port, const uint8_t *at, size_t have)
{
    size_t head = FRAME_SHORT_HEAD;
    uint64_t body;
    if (have >= FRAME_SHORT_HEAD && at[0] == 0)
        body = at[1];
    else if (have >= FRAME_LARGE_HEAD && at[0] == FRAME_LARGE) {
        head = FRAME_LARGE_HEAD;
        body = frame_get64(at + 1);
    } else
        return (extent_t){ 0 };
    return body <= have - head && body <= port->maxmsgsize ? (extent_t){ head + body, body } : (extent_t){ 0 };
}

// The next message can go out as it came, and begins where nothing was looked at yet.
static inline bool
input_is_fresh(const conn_t *self)
{
    return self->as_it_comes && self->in && self->scan == self->raw && self->start == self->scan;
}

static inline extent_t
input_short(const conn_t *self)
{
    if (!input_is_fresh(self))
        return (extent_t){ 0 };
    const uint8_t *at = self->in->data + self->raw;
    size_t have = self->in->size - self->raw;
    bool is_few = have > 0 && at[0] == FRAME_MORE;
    return is_few ? input_few_at(self->port, at, have) : input_one_at(self->port, at, have);
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

// Whole messages that lie behind each other, at most MOST and about MOST_BYTES, as RUN: taken off the connection.
// What is not as most are ends it. False: there are none.
bool input_run(conn_t *self, uint64_t most, uint64_t most_bytes, piece_t *run);

// How such messages lie behind each other, at most MOST. Returns how many; they stay the connection's, until as many bytes
// are taken off it as those are that have found a place.
uint32_t input_parts(const conn_t *self, store_part_t *parts, uint32_t most);
void input_take(conn_t *self, size_t size);

// See input_next: for what is not short.
int input_next_long(conn_t *self, piece_t *piece);

// What comes next is a message that needs nothing done to it.
static inline int
input_cut(conn_t *self, piece_t *piece, extent_t extent)
{
    *piece = (piece_t){ .from = self, .chunk = self->in, .at = self->raw, .size = extent.size, .load = { 1, extent.payload } };
    self->start = self->scan = self->raw = self->raw + extent.size;
    return 1;
}

// The next whole message, as PIECE: no longer the connection's, unless it is kept.
// Returns as input_collect does.
static inline int
input_next(conn_t *self, piece_t *piece)
{
    extent_t extent = input_short(self);
    return __builtin_expect(extent.size > 0, 1) ? input_cut(self, piece, extent) : input_next_long(self, piece);
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

#endif
