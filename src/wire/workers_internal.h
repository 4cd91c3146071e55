// SPDX-License-Identifier: MPL-2.0
// workers_internal.h - what the side of acknowledged workers is made of; only for jobline.c,
// jobfate.c, jobstock.c, workersrecord.c and workers.c.

#ifndef ZB_WIRE_WORKERS_INTERNAL_H
#define ZB_WIRE_WORKERS_INTERNAL_H

#include "store/store.h"
#include "wire/internal.h"
#include "wire/jobs.h"

#include <stddef.h>

typedef struct worker {
    struct worker *newer, *older;   // of all
    struct worker *next, *previous; // among those that may get a message: the first one gets it
    bool in_line;
    conn_t *conn; // NULL: of another route, and its connection has not come yet
    uint64_t id;  // of its connection
    job_list_t jobs;
    uint64_t given;  // messages, ever
    uint32_t window; // a DEALER may have so many
    bool asks;       // a REQ has no reply to what it said
    uint32_t free;   // messages that it may get now
    size_t envelope_size;
    uint8_t envelope[ACK_ENVELOPE_MOST]; // of what it said last
} worker_t;

// Of a port.
typedef struct {
    wport_t *port;
    jobs_t jobs;
    job_list_t said;    // their try is on its way to the disk
    job_list_t waiting; // for a worker
    job_list_t parting; // for a plain worker, when that is on the disk
    job_list_t dead;    // given up, until another route keeps them
    uint32_t shunned;   // of those that wait
    worker_t *newest;   // of all
    worker_t *first, *last;
    uint32_t free; // messages that all together may get now
    bool was_paused;
    uint32_t unread; // jobs of another route whose messages the store has not shown yet
} workers_t;

static inline workers_t *
workers_of(const wire_t *wire) // NULL: it has none, or none has come yet
{
    return wire->ports[SIDE_WORKER_ACK].own;
}

static inline worker_t *
worker_of(const job_t *job) // which has it
{
    return (worker_t *)((char *)job->in - offsetof(worker_t, jobs));
}

// --- jobline.c: which worker gets the next message, and how it gets it -------------------

worker_t *jobline_add(workers_t *self, uint64_t id);        // without a connection
worker_t *jobline_find(const workers_t *self, uint64_t id); // without a connection; NULL: none
void jobline_remove(workers_t *self, worker_t *worker);     // and what it has
void jobline_settle(workers_t *self, worker_t *worker);     // something of it has changed
void jobline_give(workers_t *self);                         // what waits, to those that may get it
void jobline_stop_waiting(workers_t *self, job_t *job);
piece_t jobline_piece(const job_t *job);
void jobline_count(const workers_t *self, job_result_t result);
void jobline_count_outstanding(const workers_t *self);

// --- jobfate.c: what becomes of a message that workers try ------------------------------

void jobfate_take(workers_t *self, job_t *job);      // no worker has it, and it is not done
void jobfate_try_again(workers_t *self, job_t *job); // nor has its worker any more
void jobfate_post_again(workers_t *self);            // dead letters whose route did not run
void jobfate_done(workers_t *self, job_t *job);      // these say its worker
void jobfate_retry(workers_t *self, job_t *job);
void jobfate_reject(workers_t *self, job_t *job);

// --- jobstock.c ------------------------------------------------------------------------

void jobstock_leave_to_others(workers_t *self); // what waits for too long, where other machines have workers

// --- workersrecord.c ----------------------------------------------------------------------

// Workers and what they have, written down and made again: see wire/handover.h. Messages are read from the store again, or,
// where the ledger says so, come with them.
void workersrecord_save(const workers_t *self, record_t *to);
void workersrecord_restore(workers_t *self, record_fields_t from);

#endif
