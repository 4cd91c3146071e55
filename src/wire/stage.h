// SPDX-License-Identifier: MPL-2.0
// stage.h - the form of a queue on the connection, where that is not the form of the
// queue itself: sealed by CURVE, or with the frames of ZMTP 1.0. It is made in pieces
// of at most a chunk, which are written before the next one is made.

#ifndef ZB_WIRE_STAGE_H
#define ZB_WIRE_STAGE_H

#include "wire/internal.h"

static inline bool
stage_is_needed(const conn_t *self)
{
    return self->curve || self->major == 1;
}

// Put into the stage, which is empty, what is due. False: its keys are used up.
bool stage_fill(conn_t *self);

// How many bytes of the queue went out with the stage: a frame of which only a part did counts one.
size_t stage_written(const conn_t *self);

#endif
