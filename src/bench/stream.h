// SPDX-License-Identifier: MPL-2.0
// stream.h - the patterns that go one way: pubsub, pushpull, pair. Producers
// send, consumers check and measure.

#ifndef ZB_BENCH_STREAM_H
#define ZB_BENCH_STREAM_H

#include "bench/peer.h"

// SELF is filled in up to WHERE; returns when the board says END.
void stream_produce(load_peer_t *self);
void stream_consume(load_peer_t *self);

// How many of the first SENT messages of a producer go to CONSUMER, by topic.
uint64_t stream_share(const bench_options_t *options, size_t consumer, uint64_t sent);

#endif
