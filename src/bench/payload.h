// SPDX-License-Identifier: MPL-2.0
// payload.h - what the bench's messages look like, byte for byte: every byte
// follows from who sent it and as which number, so that the receiver can check
// all of them.
//
//     first frame: PREFIX  tag:2  kind:4 producer:12 (2)  number:4  time:8  filling
//     other frames: filling, or nothing where empty frames are asked for
//
// Numbers are big-endian. The tag comes first because subscriptions match the
// beginning: it is the topic in pub/sub, and the place in the client's window
// of outstanding requests otherwise.

#ifndef ZB_BENCH_PAYLOAD_H
#define ZB_BENCH_PAYLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PAYLOAD_STAMP = 16, PAYLOAD_PRODUCERS = 4096, PAYLOAD_TAGS = 65536 };

typedef enum { PAYLOAD_SYNC = 1, PAYLOAD_WARM, PAYLOAD_DATA } payload_kind_t;

typedef struct {
    payload_kind_t kind;
    unsigned tag;
    unsigned producer;
    uint32_t number;
    int64_t time_ns; // when it should have been sent, CLOCK_MONOTONIC; 0: not measured
} stamp_t;

typedef struct payload payload_t;

// SIZE is that of each frame that is not empty, at least prefix and stamp. With
// EMPTY every second frame of a message has no bytes. PREFIX is borrowed.
payload_t *payload_new(size_t size, unsigned parts, bool empty, const char *prefix);
size_t payload_size(const payload_t *self, unsigned part);
size_t payload_bytes(const payload_t *self); // of the whole message

// Write frame PART; DATA has payload_size (PART) bytes.
void payload_write(const payload_t *self, unsigned part, const stamp_t *stamp, void *data);

// Read the stamp of a first frame. False if it is none of ours.
bool payload_read(const payload_t *self, const void *data, size_t size, stamp_t *stamp);

// Is frame PART of the message with this stamp exactly as it was written?
bool payload_check(const payload_t *self, unsigned part, const stamp_t *stamp, const void *data, size_t size);

// The bytes that a subscription to topic TAG consists of: prefix and tag.
size_t payload_topic(const payload_t *self, unsigned tag, void *data, size_t room);

void payload_destroy(payload_t **self_p);

#endif
