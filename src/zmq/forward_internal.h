// SPDX-License-Identifier: MPL-2.0
// forward_internal.h - what the message path is made of. Only for the files that are
// it: lane, stream, multipart, wait and forward. Everybody else has forward.h.

#ifndef ZB_FORWARD_PARTS_H
#define ZB_FORWARD_PARTS_H

#include "zmq/forward.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))

// --- counting ---------------------------------------------------------------

static inline void
count_received(const lane_t *lane, uint64_t messages, uint64_t bytes)
{
    counter_add(&lane->from->counters->messages_received, messages);
    counter_add(&lane->from->counters->received_bytes, bytes);
}

// The number of messages comes last: who sees it finds all the rest counted.
static inline void
count_sent(const lane_t *lane, uint64_t messages, uint64_t bytes)
{
    counter_add(&lane->to->counters->sent_bytes, bytes);
    counter_add(&lane->to->counters->messages_sent, messages);
}

static inline void
count_drop(forward_t *self, drop_reason_t reason)
{
    counter_add(&self->counters->dropped[reason], 1);
}

// What is counted is written once a burst, not once a message.
typedef struct {
    uint64_t received, received_bytes;
    uint64_t sent, sent_bytes;
} tally_t;

static inline void
tally_up(forward_t *self, lane_t *lane, const tally_t *tally)
{
    if (tally->received)
        count_received(lane, tally->received, tally->received_bytes);
    if (tally->sent)
        count_sent(lane, tally->sent, tally->sent_bytes);
    if (lane->kind == LANE_REQUEST)
        self->pending += (int64_t)tally->sent;
}

ALWAYS_INLINE void
tally_received(forward_t *self, lane_t *lane, tally_t *tally)
{
    tally->received++;
    tally->received_bytes += lane->bytes;
    counter_add(&self->counters->sizes[size_bucket(lane->bytes)], 1);
}

// The message is over, sent or dropped.
ALWAYS_INLINE void
message_over(forward_t *self, lane_t *lane, lane_kind_t kind)
{
    if (kind == LANE_REPLY && self->pending > 0)
        self->pending--;
    lane->bytes = 0;
}

// --- lane.c: one part, and what becomes of it ---------------------------------

typedef enum { SENT, HELD, DROPPED } outcome_t;

// `to' did not take the part: for now (HELD), without some (SENT), or at all (DROPPED).
outcome_t lane_refused(forward_t *self, lane_t *lane, zmq_msg_t *part, int flags);

static inline outcome_t
lane_send(forward_t *self, lane_t *lane, zmq_msg_t *part, int more)
{
    int flags = more ? ZMQ_DONTWAIT | ZMQ_SNDMORE : ZMQ_DONTWAIT;
    if (__builtin_expect(zmq_msg_send(part, lane->to->socket, flags) != -1, 1))
        return SENT;
    return lane_refused(self, lane, part, flags);
}

// Of a message that nobody will get.
void lane_discard_rest(lane_t *lane);

// --- stream.c: plain messages, part by part -----------------------------------

// Each moves up to so many messages, and returns how many.
extern size_t (*const stream_movers[])(forward_t *self, lane_t *lane, size_t up_to);

// --- multipart.c: whole messages, for whoever looks on, filters or drains -------

size_t multipart_move(forward_t *self, lane_t *lane, size_t up_to);

// The rest of the message whose first part, of so many BYTES, is in hand.
void multipart_receive_rest(lane_t *lane, message_t *message, uint64_t bytes);
void multipart_received(forward_t *self, const lane_t *lane, const message_t *message); // counts it

#endif
