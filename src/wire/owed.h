// SPDX-License-Identifier: MPL-2.0
// owed.h - the answers of a route that wait until messages are on the disk, in the order
// of their requests. Those that follow on each other, to the same producer and equally
// long, take one place.

#ifndef ZB_WIRE_OWED_H
#define ZB_WIRE_OWED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    void *to;          // whom they are for; NULL: has gone, or has not come yet
    uint64_t heir;     // then, who that will be; 0: nobody
    uint64_t sequence; // of the message that the first of them is about; they are about those that follow on it
    uint32_t answers;
    uint32_t size, payload; // bytes of each
} owed_run_t;

// All zeros is an empty one.
typedef struct {
    owed_run_t *runs; // [first, count)
    size_t first, count, room;
    uint8_t *bytes; // of the answers, [start, size)
    size_t start, size, bytes_room;
} owed_t;

void owed_free(owed_t *self);

// Where answers of at most MOST bytes are written, and then they are owed: as many of a kind as a run has.
uint8_t *owed_place(owed_t *self, size_t most);
void owed_add(owed_t *self, void *to, uint64_t sequence, uint32_t answers, size_t size, size_t payload);

// Take those that may be said now: of one run, about messages below SAFE, of about MOST bytes. They are at *AT until the
// next call. False: there are none.
bool owed_take(owed_t *self, uint64_t safe, size_t most, owed_run_t *run, const uint8_t **at);

uint64_t owed_forget(owed_t *self, const void *to); // it has gone: returns how many it waited for

// Handing over. FN has each run, and the bytes of its answers. AGAIN: one that was had so, for HEIR, who comes later.
void owed_each(const owed_t *self, void (*fn)(void *arg, const owed_run_t *run, const uint8_t *at), void *arg);
void owed_again(owed_t *self, const owed_run_t *run, const uint8_t *at);
void owed_inherit(owed_t *self, uint64_t heir, void *to); // who has come

static inline bool
owed_any(const owed_t *self)
{
    return self->first < self->count;
}

#endif
