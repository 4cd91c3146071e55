// SPDX-License-Identifier: MPL-2.0
// arrival.h - what comes from a stream on a NATS server, as a message of the route.
//
// Whoever may publish there has sent it, so it is looked at like what comes from a
// peer. With the header Zbroker-Frames its payload is the frames of the message as
// ZMTP 2.0 has them; without it, it is one frame, behind the topic where the stream has
// topics.

#ifndef ZB_WIRE_ARRIVAL_H
#define ZB_WIRE_ARRIVAL_H

#include "base/bytetree.h"
#include "base/text.h"
#include "store/jetstream.h"
#include "wire/internal.h"

typedef struct {
    const char *prefix; // of the subjects, where each topic has its own; NULL: there is one subject
    int64_t topic_end;  // a byte; -1: the topic is the whole first frame
    uint32_t max_parts;
    uint64_t max_bytes; // of one frame
} arrival_rules_t;

// Frames of ZMTP 2.0: HEAD, and what lies at DATA.
typedef struct {
    text_t head; // the caller frees it
    const uint8_t *data;
    size_t size;
    load_t load;
} arrival_t;

// False: it is none of ours, or larger than a peer's may be.
bool arrival_read(arrival_t *self, const jetstream_piece_t *piece, const arrival_rules_t *rules);

// The topic of a message, whose first frame is FIRST.
bytes_t arrival_topic(bytes_t first, int64_t topic_end);

#endif
