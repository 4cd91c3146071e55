// SPDX-License-Identifier: MPL-2.0
// written.h - what was written to a connection and may not have arrived.
//
// The kernel knows how many bytes the peer's system has not acknowledged, not how many
// messages those are. So what is written leaves marks: those of messages of one size
// become one, and the two oldest are merged when there are too many. The answer is
// exact for the newest WRITTEN_MARKS runs of messages of one size.

#ifndef ZB_WRITTEN_H
#define ZB_WRITTEN_H

#include <stdbool.h>
#include <stdint.h>

enum { WRITTEN_MARKS = 32 };

typedef struct {
    uint64_t bytes, messages; // no messages: bytes of a PING and the like
} written_mark_t;

// All zeros: nothing yet.
typedef struct {
    written_mark_t marks[WRITTEN_MARKS]; // the newest last
    unsigned count;
    uint64_t each; // bytes of one message of the newest mark, 0: not known
} written_t;

void written_add(written_t *self, uint64_t bytes, uint64_t messages); // whole messages
void written_ours(written_t *self, uint64_t bytes);                   // what is no message

// The same for more of the size of those before. False: they are not, or nothing is before them.
static inline bool
written_more(written_t *self, uint64_t bytes, uint64_t messages)
{
    if (!self || bytes == 0 || bytes != self->each * messages)
        return false;
    written_mark_t *last = &self->marks[self->count - 1];
    last->bytes += bytes;
    last->messages += messages;
    return true;
}

// How many messages have one of the last BYTES in them.
uint64_t written_last(const written_t *self, uint64_t bytes);

#endif
