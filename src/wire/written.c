// SPDX-License-Identifier: MPL-2.0
#include "wire/written.h"

#include <string.h>

static bool
is_of_one_size(const written_mark_t *a, uint64_t bytes, uint64_t messages)
{
    return a->messages > 0 && a->bytes % a->messages == 0 && bytes % messages == 0 &&
           a->bytes / a->messages == bytes / messages;
}

static void
merge_oldest(written_t *self)
{
    self->marks[1].bytes += self->marks[0].bytes;
    self->marks[1].messages += self->marks[0].messages;
    memmove(&self->marks[0], &self->marks[1], (self->count - 1) * sizeof *self->marks);
    self->count--;
}

static void
push(written_t *self, uint64_t bytes, uint64_t messages)
{
    if (self->count == WRITTEN_MARKS)
        merge_oldest(self);
    self->marks[self->count++] = (written_mark_t){ bytes, messages };
}

void
written_add(written_t *self, uint64_t bytes, uint64_t messages)
{
    written_mark_t *last = self->count > 0 ? &self->marks[self->count - 1] : NULL;
    if (messages == 0)
        return;
    self->each = bytes % messages == 0 ? bytes / messages : 0;
    if (last && is_of_one_size(last, bytes, messages)) {
        last->bytes += bytes;
        last->messages += messages;
        return;
    }
    push(self, bytes, messages);
}

void
written_ours(written_t *self, uint64_t bytes)
{
    written_mark_t *last = self->count > 0 ? &self->marks[self->count - 1] : NULL;
    self->each = 0; // the next message is not added to those before
    if (last && last->messages == 0)
        last->bytes += bytes;
    else
        push(self, bytes, 0);
}

uint64_t
written_last(const written_t *self, uint64_t bytes)
{
    uint64_t messages = 0;
    for (unsigned i = self->count; i-- > 0 && bytes > 0;) {
        const written_mark_t *mark = &self->marks[i];
        if (mark->bytes > bytes) {
            // As many as the bytes reach into, of their mean size.
            uint64_t size = mark->messages > 0 ? mark->bytes / mark->messages : 0;
            return messages + (size > 0 ? (bytes + size - 1) / size : 0);
        }
        messages += mark->messages;
        bytes -= mark->bytes;
    }
    return messages;
}
