// SPDX-License-Identifier: MPL-2.0
// early.h - messages that come before others although they were put in after them: they
// had been given out when a route ended, and were not taken.

#ifndef ZB_STORE_EARLY_H
#define ZB_STORE_EARLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint64_t first, end; // sequences
    uint64_t group; // of those that were put in together: later groups come first, for they had been given out first
} early_run_t;

// All zeros is an empty one.
typedef struct {
    early_run_t *runs;
    size_t count, room;
} early_t;

void early_free(early_t *self);
void early_add(early_t *self, const early_run_t *run);   // behind all others by its sequences, or it is no run
void early_arrange(early_t *self, uint64_t done_before); // as they come; those that are done are left out
bool early_has(const early_t *self, uint64_t sequence);

#endif
