// SPDX-License-Identifier: MPL-2.0
// figures.h - what is known of a store: its state, and what it counts.

#ifndef ZB_STORE_FIGURES_H
#define ZB_STORE_FIGURES_H

#include <stdint.h>

typedef enum {
    STORE_READY,
    STORE_OPENING, // its files are being read
    STORE_FULL,    // max_bytes is reached
    STORE_NO_DISK, // the file system is full
    STORE_FAILED,  // the disk refuses to write
} store_state_t;

enum { STORE_BUCKETS = 12 }; // of commit times: at most 0.25 ms, 0.5 ms, … and the rest

// INT64_MAX for the last.
static inline int64_t
store_bucket_ns(unsigned bucket)
{
    return bucket < STORE_BUCKETS - 1 ? INT64_C(250000) << bucket : INT64_MAX;
}

typedef struct {
    store_state_t state;
    int error;         // of STORE_FAILED: store_error
    uint64_t messages; // not done
    uint64_t bytes;    // of the files
    int64_t oldest_ns; // wall clock, when the oldest message that is not done was committed, about; 0: there is none
    uint64_t corrupt;  // messages that were damaged, since it was opened
    uint64_t expired;  // messages that were dropped because it was full
    uint64_t commits[STORE_BUCKETS];
    uint64_t commit_ns; // of all of them
    unsigned files, damaged_files;
} store_figures_t;

#endif
