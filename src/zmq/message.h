// SPDX-License-Identifier: MPL-2.0
// message.h - a whole multipart message in hand: its frames, until they are sent.

#ifndef ZB_MESSAGE_H
#define ZB_MESSAGE_H

#include "flow/tap.h"

#include <stddef.h>
#include <stdint.h>
#include <zmq.h>

typedef struct {
    zmq_msg_t *frames; // [next .. count) are still ours
    size_t count, room, next;
    size_t hidden;     // leading frames that are not the client's (a routing id)
    uint64_t bytes;    // of the others
} message_t;

// A new frame at the end, initialised and empty.
zmq_msg_t *message_add(message_t *self);
void message_clear(message_t *self); // close all frames, keep the memory
void message_free(message_t *self);

// Of an array of zmq_msg_t, as a ring of taps shares them.
extern const tap_sharing_t message_sharing;

#endif
