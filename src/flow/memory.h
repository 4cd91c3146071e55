// SPDX-License-Identifier: MPL-2.0
// memory.h - how much the messages that the process holds itself may take, those of
// engine wire: max_memory. One count for all routes; any thread may call, none waits.
//
// At nine tenths of the limit memory is short, until a fifth is free again. Both is
// said in the log.

#ifndef ZB_MEMORY_H
#define ZB_MEMORY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define MEMORY_LIMIT_LEAST (16u << 20) // with less, a few connections would be too much

typedef struct memory {
    _Atomic int64_t taken; // a thread may give back before another one has counted what it took
    _Atomic uint64_t limit;
    _Atomic bool is_short;
} memory_t; // only memory.c writes to it

memory_t *memory_new(void); // without a limit
void memory_free(memory_t **self_p);

void memory_limit(memory_t *self, uint64_t bytes);   // not below MEMORY_LIMIT_LEAST; 0: none
void memory_change(memory_t *self, int64_t bytes);   // so much more, or less, is taken

uint64_t memory_taken(const memory_t *self);
uint64_t memory_limit_of(const memory_t *self);      // 0: none

// Nothing new should be accepted or read. Every round asks.
static inline bool
memory_is_short(const memory_t *self)
{
    return atomic_load_explicit(&self->is_short, memory_order_relaxed);
}

#endif
