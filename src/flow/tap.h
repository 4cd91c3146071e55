// SPDX-License-Identifier: MPL-2.0
// tap.h - a copy of a route's messages for one reader, bounded: when the reader
// is slow, messages are missed and counted, and the route never waits.
//
// One writer (the route's thread) and one reader (the main thread).

#ifndef ZB_TAP_H
#define ZB_TAP_H

#include "conf/pattern.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <zmq.h>

typedef struct tap tap_t;

typedef struct {
    uint64_t seq;        // of the route's matching messages, from 1; a jump is what was missed
    int64_t wall_ns;
    side_t side;         // where it came in
    size_t frames;
    zmq_msg_t *frame;
} tap_message_t;

// Only messages whose first frame starts with PREFIX. FD becomes readable when there is something to take.
tap_t *tap_new(const void *prefix, size_t prefix_size);
int tap_fd(const tap_t *self);

// The next message, or NULL. It lies in the tap: free it before the next call.
tap_message_t *tap_take(tap_t *self);
void tap_message_free(tap_message_t **message_p);
uint64_t tap_missed(const tap_t *self); // so far

// The route's side: offer a whole message (frames are shared by reference, never copied when large).
void tap_offer(tap_t *self, side_t side, int64_t wall_ns, zmq_msg_t *frames, size_t count);

// Has the reader released it?
bool tap_abandoned(const tap_t *self);

// Has the route let go of it? Then what waits is all there will be.
bool tap_orphaned(const tap_t *self);

// Reader and route each drop their reference.
void tap_release(tap_t **self_p);

#endif
