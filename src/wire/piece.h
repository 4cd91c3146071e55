// SPDX-License-Identifier: MPL-2.0
// piece.h - a message on its way: what it begins with, and how it gets into a queue.

#ifndef ZB_WIRE_PIECE_H
#define ZB_WIRE_PIECE_H

#include "wire/internal.h"

#include <string.h>

// The body of the first frame of PIECE, with what goes before it.
static inline const uint8_t *
piece_first(const piece_t *piece, size_t *size)
{
    frame_head_t head = { 0 };
    const uint8_t *at = piece->prefix ? piece->prefix : piece->chunk->data + piece->at;
    frame_read(at, piece->prefix ? piece->prefix_size : piece->size, &head);
    *size = head.body;
    return at + head.head;
}

// PIECE begins with its second frame from now on. False: it had none.
static inline bool
piece_skip_first(piece_t *piece)
{
    size_t size;
    const uint8_t *body = piece_first(piece, &size);
    size_t frame = (size_t)(body - piece->chunk->data) - piece->at + size;
    piece->at += frame;
    piece->size -= frame;
    piece->load.payload -= size;
    return piece->size > 0;
}

static inline void
piece_queue_prefixed(spans_t *out, chunk_pool_t *pool, const piece_t *piece)
{
    bool whole = piece->size < SPANS_COPY_BELOW;
    size_t size = piece->prefix_size + (whole ? piece->size : 0);
    uint8_t *at = spans_place(out, pool, size, whole ? piece->load : (load_t){ 0 });
    memcpy(at, piece->prefix, piece->prefix_size);
    if (whole)
        memcpy(at + piece->prefix_size, piece->chunk->data + piece->at, piece->size);
    else
        spans_share(out, piece->chunk, piece->at, piece->size, piece->load);
}

// PIECE, with what goes before it, to the end of OUT.
static inline void
piece_queue(spans_t *out, chunk_pool_t *pool, const piece_t *piece)
{
    if (piece->prefix)
        piece_queue_prefixed(out, pool, piece);
    else
        spans_add(out, pool, piece->chunk, piece->at, piece->size, piece->load);
}

#endif
