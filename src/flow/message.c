// SPDX-License-Identifier: MPL-2.0
#include "flow/message.h"

#include "base/mem.h"

#include <stdlib.h>

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
