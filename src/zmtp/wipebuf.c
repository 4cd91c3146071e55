// SPDX-License-Identifier: MPL-2.0
#include "zmtp/wipebuf.h"

#include "base/mem.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { ROOM_LEAST = 64 };

// realloc(3) may leave a copy.
static void
grow(wipebuf_t *self, size_t wanted, size_t max)
{
    size_t room = self->room ? self->room : ROOM_LEAST;
    while (room < wanted)
        room *= 2;
    wipebuf_t larger = { .size = self->size, .room = (uint32_t)(room < max ? room : max) };
    larger.at = xcalloc(1, larger.room);
    if (self->size)
        memcpy(larger.at, self->at, self->size);
    wipebuf_free(self);
    *self = larger;
}

void
wipebuf_add(wipebuf_t *self, const uint8_t *bytes, size_t size, size_t max)
{
    size_t wanted = self->size + size;
    assert(wanted <= max);
    if (size == 0)
        return;
    if (wanted > self->room)
        grow(self, wanted, max);
    memcpy(self->at + self->size, bytes, size);
    self->size = (uint32_t)wanted;
}

void
wipebuf_drop(wipebuf_t *self, size_t size)
{
    if (size >= self->size) {
        wipebuf_free(self);
        return;
    }
    memmove(self->at, self->at + size, self->size - size);
    explicit_bzero(self->at + self->size - size, size);
    self->size -= (uint32_t)size;
}

void
wipebuf_free(wipebuf_t *self)
{
    if (self->at)
        explicit_bzero(self->at, self->room);
    free(self->at);
    *self = (wipebuf_t){ 0 };
}
