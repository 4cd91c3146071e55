// SPDX-License-Identifier: MPL-2.0
#include "zmq/message.h"

#include "base/mem.h"

#include <stdlib.h>

_Static_assert(sizeof(zmq_msg_t) <= sizeof(tap_hold_t), "a hold has room for a frame of libzmq's");

zmq_msg_t *
message_add(message_t *self)
{
    mem_grow(self->frames, self->count, self->room);
    zmq_msg_t *frame = &self->frames[self->count++];
    zmq_msg_init(frame);
    return frame;
}

void
message_clear(message_t *self)
{
    for (size_t i = self->next; i < self->count; i++)
        zmq_msg_close(&self->frames[i]);
    self->count = self->next = self->hidden = 0;
    self->bytes = 0;
}

void
message_free(message_t *self)
{
    message_clear(self);
    free(self->frames);
    *self = (message_t){ 0 };
}

// --- shared ------------------------------------------------------------------

static zmq_msg_t *
held(tap_hold_t *hold)
{
    return (zmq_msg_t *)(void *)hold->bytes;
}

static void
hold(tap_hold_t *hold, const tap_frame_t *frame, void *message, size_t i)
{
    (void)frame;
    zmq_msg_init(held(hold));
    zmq_msg_copy(held(hold), (zmq_msg_t *)message + i);
}

static tap_frame_t
look(tap_hold_t *hold)
{
    return (tap_frame_t){ zmq_msg_data(held(hold)), zmq_msg_size(held(hold)) };
}

static void
let_go(tap_hold_t *hold)
{
    zmq_msg_close(held(hold));
}

const tap_sharing_t message_sharing = { hold, look, let_go };
