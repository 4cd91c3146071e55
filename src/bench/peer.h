// SPDX-License-Identifier: MPL-2.0
// peer.h - one client of the load, in a process of its own: its socket, and how
// it sends and receives a message. What it does with them is in stream.h and
// request.h. It says on the board what happened.

#ifndef ZB_BENCH_PEER_H
#define ZB_BENCH_PEER_H

#include "bench/board.h"
#include "bench/options.h"
#include "bench/payload.h"

#include <stdbool.h>
#include <stddef.h>
#include <zmq.h>

// How long anybody blocks before looking at the phase again, how often a mark is
// sent while connections are made, and which part of a saturated load is timed:
// reading the clock for every message would be a good part of it.
enum { PEER_LOOK_MS = 50, PEER_MARK_MS = 5, PEER_SAMPLE = 16 };

// Where the socket goes: endpoints ('@' before one: bind) are shared out among
// the clients of a side; with ALL, every client takes each of them.
typedef struct {
    const char *const *endpoint;
    size_t count;
    bool all;
} place_list_t;

typedef struct {
    const bench_options_t *options;
    board_t *board;
    board_slot_t *slot;
    size_t index; // on its side
    place_list_t where;
    payload_t *payload;
    void *context;
    void *socket;
    bool envelope; // an empty frame stands before what we send, as REP wants it
    // Acknowledged: what we send has an ID, and what we get is an answer; or what we get is a job.
    bool asks_ack, gets_jobs;
    uint64_t salt; // of IDs, so that those of another process are others
    // With --no-ids: what was sent and not answered, in this order. A ring.
    stamp_t *unnamed;
    size_t first, unanswered;
    char job[32];  // that was received last
    size_t job_size;
    bool again;    // it was given to somebody before
} load_peer_t;

// A context and a socket of TYPE. The process must not have used libzmq before.
// On failure the slot says why, and peer_failed is true.
void peer_open(load_peer_t *self, int type);
int peer_reopen(load_peer_t *self, int type); // a new socket for the old one; -1 as above
bool peer_failed(const load_peer_t *self);
void peer_close(load_peer_t *self);

// Say DONE, and wait for END.
void peer_done(load_peer_t *self);

// Send a whole message. 0, or -1 with errno if its first frame was not taken.
int peer_send(load_peer_t *self, const stamp_t *stamp, int flags);

// Receive a whole message into STAMP. 1; 0 if it is not as it was sent (with
// --verify to the last byte); -1 with errno if there is none.
int peer_receive(load_peer_t *self, stamp_t *stamp, int flags);

// Acknowledged workers: ask for CREDIT jobs; be done with the one that was received last. 0, or -1 with errno.
int peer_ready(load_peer_t *self, int64_t credit);
int peer_job_done(load_peer_t *self);

// How many of --messages are PRODUCER's.
uint64_t peer_quota(const bench_options_t *options, size_t producer);

// Only one process writes a slot's counters: no locked instruction needed.
static inline void
peer_count(atomic_uint_fast64_t *counter)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1, memory_order_relaxed);
}

void peer_sleep_ms(int ms);

// What --work asks for: be busy with a message, as a real consumer would be.
void peer_work(const load_peer_t *self);

#endif
