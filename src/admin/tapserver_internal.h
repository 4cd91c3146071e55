// SPDX-License-Identifier: MPL-2.0
// tapserver_internal.h - what the taps' sessions are made of. Only for their two files.
//
// While a route is re-created its old and its new self run side by side, so a
// session may have several sources for a moment, each with numbers of its own.
// What counts is how far each has come: the steps of all together make our SEQ.
//
// The two threads share no lock: the one of low priority would make the other
// one wait. What is new comes through an inbox that is exchanged whole, what is
// asked of a session is a flag in it, and who is told wakes by a bell. The
// main thread frees what the other one has let go of.

#ifndef ZB_TAPSERVER_INTERNAL_H
#define ZB_TAPSERVER_INTERNAL_H

#include "admin/tapserver.h"
#include "base/loop.h"

#include <pthread.h>
#include <stdatomic.h>

// One tap of a session, and its ring.
typedef struct source {
    struct source *next;
    tapsession_t *session;
    tap_t *tap;
    uint64_t seq; // how far the route has come, as far as we know
} tap_source_t;

typedef struct ring {
    watched_t watched; // first
    struct ring *next;
    tap_ring_t *ring;
    tap_source_t *sources;
    bool drained; // in this turn
} ring_t;

struct tapsession {
    watched_t watched; // first
    tapserver_t *tapserver;
    tap_request_t conf;
    int fd;
    _Atomic bool ending;            // asked to
    _Atomic bool abandoned;         // nobody wants the rest
    _Atomic bool over;              // the thread knows it no more
    _Atomic int64_t stuck_since_ms; // 0: nothing waits

    // The main thread's:
    broker_t *broker;
    const route_t *route; // of the newest tap; to compare with only: it may be gone
    tap_t *newest;
    int64_t retry_ms;
    tapsession_t *next_left;

    // The other thread's, until it is over:
    tapsession_t *next;
    bool full;   // the socket takes nothing more
    bool broken; // and never will
    bool done;
    unsigned turns; // left, once it is ending
    uint64_t seq, shown;
    text_t output;
    size_t sent;
};

struct tapserver {
    broker_t *broker;
    int news; // a bell for the main thread
    int wake; // and one for ours
    bool started;
    pthread_t thread;
    _Atomic(tap_source_t *) inbox;
    _Atomic bool quit;
    _Atomic uint64_t pulse;
    uint64_t pulse_seen;
    int64_t asked_ms; // 0: not yet
    tapsession_t *left;  // destroyed, not over

    // The thread's:
    loop_t loop;
    watched_t woken;
    bool blind; // something is not watched: it looks by itself
    tapsession_t *sessions;
    ring_t *rings;
};

// What its client has not been sent yet.
static inline size_t
tapsession_waiting(const tapsession_t *self)
{
    return self->output.size - self->sent;
}

void *tapserver_run(void *tapserver); // the other thread

#endif
