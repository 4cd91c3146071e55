// SPDX-License-Identifier: MPL-2.0
// counters.h - what a route counts. Each number has one writer (the route's
// thread, or the watch thread for the connections of libzmq) and any number of readers:
// relaxed atomics, no lock. Numbers only grow, over re-creations and reloads
// of the route too; `clear counters` is a base line that the reader subtracts.

#ifndef ZB_COUNTERS_H
#define ZB_COUNTERS_H

#include "conf/pattern.h"

#include <stdatomic.h>
#include <stdint.h>

typedef _Atomic uint64_t counter_t;

// Only for the one writer: no locked instruction.
static inline void
counter_add(counter_t *counter, uint64_t n)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n, memory_order_relaxed);
}

// Where there are two.
static inline void
counter_add_shared(counter_t *counter, uint64_t n)
{
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static inline void
counter_set(counter_t *counter, uint64_t n)
{
    atomic_store_explicit(counter, n, memory_order_relaxed);
}

static inline uint64_t
counter_get(const counter_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

// Why a message was not delivered; the values of the label `reason`.
typedef enum {
    DROP_HWM,           // a subscriber's, or a client's, queue is full
    DROP_UNDELIVERABLE, // a reply whose client is gone, or is of the process before
    DROP_ACL,           // its publisher may not publish there; a subscription that covers nothing its client may read
    DROP_QUOTA,         // a subscription over a limit
    DROP_STALLED,       // a stalled peer was cut
    DROP_SHUTDOWN,      // still here when the drain ran out of time
    DROP_PEER_LOST,     // handed to a connection that broke off before its system had taken it
    DROP_TIMEOUT,       // no answer within reply_timeout
    DROP_EXPIRED,       // kept for somebody, and fallen out of the limits of what is kept
    DROP_REASONS,
} drop_reason_t;

// Why a connection failed before its first message. Engine zmq knows the first three.
typedef enum {
    HANDSHAKE_AUTH,         // it may not come in
    HANDSHAKE_PROTOCOL,     // against ZMTP
    HANDSHAKE_OTHER,        // libzmq does not say
    HANDSHAKE_GREETING,     // no ZMTP: HTTP, TLS, …
    HANDSHAKE_VERSION,      // ZMTP 1.0 or 2.0 where it may not come in
    HANDSHAKE_MECHANISM,    // another one than the side's
    HANDSHAKE_TYPE,         // a socket that does not go with ours, or none
    HANDSHAKE_DUPLICATE_ID, // its routing id is in use
    HANDSHAKE_TIMEOUT,      // not over within handshake_ivl
    HANDSHAKE_LIMITED,      // too many at once, or too often, from one address
    HANDSHAKE_REASONS,
} handshake_reason_t;

// Why engine wire cut a client.
typedef enum {
    CUT_TOO_LARGE, // a frame over maxmsgsize, or a message over max_parts
    CUT_PROTOCOL,  // against ZMTP
    CUT_HEARTBEAT, // silent for longer than heartbeat_timeout, or its own ttl
    CUT_STALLED,   // took nothing for stall_timeout
    CUT_KICK,      // an operator said so
    CUT_AUTH,      // it may not be there any more
    CUT_REASONS,
} cut_reason_t;

// May a peer come in?
typedef enum { AUTH_SUCCESS, AUTH_FAILURE, AUTH_RESULTS } auth_result_t;

// What became of a request of an acknowledged producer.
typedef enum {
    ACK_OK,
    ACK_DUPLICATE, // its ID was known: ok, but not stored again
    ACK_FULL,
    ACK_REFUSED,
    ACK_RESULTS,
} ack_result_t;

// What became of a message that was given to an acknowledged worker, or of what that said.
typedef enum {
    JOB_GIVEN,
    JOB_AGAIN,       // given, and not for the first time
    JOB_DONE,
    JOB_RETRY,       // the worker said so
    JOB_REJECT,      // the same
    JOB_TIMEOUT,     // it said nothing within ack_timeout
    JOB_LOST,        // it has gone
    JOB_LATE,        // it said something after ack_timeout
    JOB_REFUSED,     // what it said is about no message that it has, or no word
    JOB_DEAD_LETTER, // given up: it went to the dead letters
    JOB_EXPIRED,     // given up: there are none
    JOB_RESULTS,
} job_result_t;

// Their names: "hwm", "auth", "too_large", "ok", "given", …
extern const char *const drop_reasons[DROP_REASONS];
extern const char *const handshake_reasons[HANDSHAKE_REASONS];
extern const char *const cut_reasons[CUT_REASONS];
extern const char *const auth_results[AUTH_RESULTS];
extern const char *const ack_results[ACK_RESULTS];
extern const char *const job_results[JOB_RESULTS];

// Message sizes by powers of four: at most 64 B, 256 B, … 16 MiB, and the rest.
#define SIZE_BUCKETS 11
uint64_t size_bucket_limit(unsigned bucket); // UINT64_MAX for the last

static inline unsigned
size_bucket(uint64_t bytes)
{
    if (bytes <= 64)
        return 0;
    unsigned bits = 64u - (unsigned)__builtin_clzll(bytes - 1); // 65..128 -> 7, 129..256 -> 8
    unsigned bucket = (bits - 5) / 2;                           // 7, 8 -> 1; 9, 10 -> 2
    return bucket < SIZE_BUCKETS - 1 ? bucket : SIZE_BUCKETS - 1;
}

typedef struct {
    counter_t messages_received, messages_sent; // whole messages
    counter_t received_bytes, sent_bytes;       // of all frames, as the client sent them
    counter_t blocked_ns;                       // time it could not be sent to, finished spells
    counter_t blocked_since_ns;                 // monotonic; 0: not blocked now
    counter_t connections, accepted, disconnections; // by the watch thread
    counter_t handshake_failures[HANDSHAKE_REASONS];
    counter_t auth[AUTH_RESULTS];               // by the guard thread; success also by the watch, see watch_asked
    counter_t cut[CUT_REASONS];
    counter_t heartbeat_timeouts;
    counter_t queued, queued_bytes;             // messages that wait for its peers now
} side_counters_t;

// What a store says of itself (store/store.h).
#define COMMIT_BUCKETS 12

typedef struct {
    counter_t state, files;
    counter_t messages, bytes, oldest_ns; // as it is now; wall clock, 0: there is no message
    counter_t corrupt;
    counter_t server; // of those in the configuration, from 1: the stream of the route is there; 0: it is away
    counter_t commits[COMMIT_BUCKETS], commit_ns;
} store_counters_t;

typedef struct {
    side_counters_t sides[SIDES];
    counter_t dropped[DROP_REASONS];
    counter_t capture_dropped;
    counter_t sizes[SIZE_BUCKETS];
    counter_t subscriptions;  // topics the backend asks for now
    counter_t remembered_messages, remembered_bytes; // that it keeps for subscribers to come now
    store_counters_t store;
    counter_t requeued;       // given to another worker: the first broke off before a byte was written
    counter_t acks[ACK_RESULTS], jobs[JOB_RESULTS];
    counter_t outstanding;    // messages that acknowledged workers have now
} counters_t;

void counters_end_blocked(side_counters_t *self); // the side takes messages again, or is gone: the spell is over

void counters_end(counters_t *self); // its route is gone: what it had now, it has no more

void counters_add(counters_t *to, const counters_t *from); // TO is the caller's own: nobody else writes to it

#endif
