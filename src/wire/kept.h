// SPDX-License-Identifier: MPL-2.0
// kept.h - a message that a forwarder remembers, and the two ways of remembering: the
// last one of each topic (values), or all of the last ones (history).

#ifndef ZB_WIRE_KEPT_H
#define ZB_WIRE_KEPT_H

#include "base/bytetree.h"
#include "wire/chunk.h"
#include "zmtp/frame.h"

#include <stdbool.h>
#include <stdint.h>

enum { KEPT_SHARE_FROM = CHUNK_BYTES / 2 }; // bytes; what is smaller is copied, so that it does not hold a whole chunk

#define KEPT_SEQUENCE_MOST (UINT64_MAX >> 1)

typedef struct {
    chunk_t *chunk;      // where it lies; NULL: in memory of its own
    const uint8_t *data; // frames of ZMTP 2.0
    size_t size;
    uint64_t payload; // bytes of all frames
    int64_t since_ms; // when it was published
    bytes_t topic;
    uint64_t sequence : 63; // in the route's store, or that of the next one there
    uint64_t stored : 1;    // it is there
} kept_t;

typedef struct {
    int64_t messages;       // of so many topics, or so many in all; 0: any number
    int64_t bytes, time_ms; // only of a history; 0: no limit
    int64_t topic_end;      // a byte; -1: none, the whole first frame
} kept_limits_t;

typedef struct {
    uint64_t messages, bytes; // payload
} kept_total_t;

// False: no more of them.
typedef bool kept_fn(void *arg, const kept_t *kept);

typedef struct {
    void *(*new)(chunk_pool_t *pool, const kept_limits_t *limits);
    void (*free)(void *self);
    void (*put)(void *self, const kept_t *message); // whose topic is its whole first frame
    // Those that a subscription to PREFIX asks for, as they are to be sent. FN must not change SELF.
    void (*match)(const void *self, bytes_t prefix, kept_fn *fn, void *arg);
    void (*each)(const void *self, kept_fn *fn, void *arg); // in the order in which they were published
    // Those whose topic begins with PREFIX.
    void (*list)(const void *self, bytes_t prefix, kept_fn *fn, void *arg);
    void (*clear)(void *self, bytes_t prefix);
    void (*expire)(void *self, int64_t now_ms); // what is too old
    bool (*forget)(void *self);                 // the oldest one. False: there is none
    kept_total_t (*total)(const void *self);
    uint64_t (*oldest)(const void *self); // its sequence; UINT64_MAX: there is none. NULL: see below
    // Where they leave in another order than they came: all of them one after the other, the oldest first, while others
    // are put. What is put meanwhile comes too, and may come twice. False: that was all.
    void (*rewind)(void *self);
    bool (*next)(void *self, kept_t *kept);
} keeper_t;

// The first frame of what lies at DATA.
static inline bytes_t
kept_first(const uint8_t *data, size_t size)
{
    frame_head_t head = { 0 };
    frame_read(data, size, &head);
    return bytes_of(data + head.head, head.body);
}

#endif
