// SPDX-License-Identifier: MPL-2.0
// request.h - the patterns with replies: reqrep, dealer, and pair with a window.
// Clients keep up to --outstanding requests under way and measure the round
// trip; services send back what comes, as it came.

#ifndef ZB_BENCH_REQUEST_H
#define ZB_BENCH_REQUEST_H

#include "bench/peer.h"

// SELF is filled in up to WHERE; return when the board says END.
void request_client(load_peer_t *self);
void request_service(load_peer_t *self);

#endif
