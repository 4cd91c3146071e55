// SPDX-License-Identifier: MPL-2.0
// jobs.h - the messages that acknowledged workers have, by the handle under which each
// was given: 128 random bits, new for each try, and worth something only in the mouth
// of the worker that got it. What no worker has is in lists of the owner's.
//
// A job that its worker did not finish in time leaves a mark there: what the worker
// says of it later is known as late.

#ifndef ZB_WIRE_JOBS_H
#define ZB_WIRE_JOBS_H

#include "wire/ackwords.h"
#include "wire/chunk.h"
#include "wire/spans.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct job job_t;

typedef struct {
    job_t *first, *last;
    uint32_t count;
} job_list_t;

struct job {
    job_list_t *in; // its worker's, marks included, or one of the owner's
    job_t *next, *previous;
    job_t *newer, *older; // of all that workers have, by when they got them
    job_t *same;          // in its bucket
    bool given;           // IN is its worker's
    bool late;            // only a mark
    bool posted;          // it lies in the box of another route
    int64_t since_ms;
    uint64_t nth;    // message of its worker
    uint64_t number; // of its message
    uint64_t commit; // that counts the try
    uint32_t tries;  // with the one that is under way
    bool shunned;    // no worker that was there may have it
    chunk_t *chunk;  // its message, as frames; NULL: a mark
    size_t at, size;
    load_t load;
    uint8_t handle[JOB_BYTES];
};

// All zeros but for the pool is an empty one.
typedef struct {
    chunk_pool_t *pool;
    job_t **buckets;
    uint32_t bucket_count, count; // that workers have, marks included
    uint32_t given;               // without them
    job_t *oldest, *newest;
    chunk_t *stock; // into which small messages are copied, so that they do not keep the memory of many others
    job_t *spare; // memory of those that were forgotten
    uint32_t spares;
    uint8_t dice[64 * JOB_BYTES];
    size_t dice_left;
} jobs_t;

// One more, which is in no list.
job_t *jobs_add(jobs_t *self, uint64_t number, uint32_t tries, chunk_t *chunk, size_t at, size_t size, load_t load);

void jobs_append(job_list_t *list, job_t *job); // to one of the owner's; it is in none
void jobs_remove(job_t *job);                   // out of it

void jobs_give(jobs_t *self, job_t *job, job_list_t *worker, int64_t now_ms); // under a new handle
void jobs_name(jobs_t *self, job_t *job); // a handle for one that has not been given
job_t *jobs_find(const jobs_t *self, const uint8_t handle[JOB_BYTES],
                 const job_list_t *worker); // also a mark; NULL: WORKER has none such

// Its worker has it no more. LEAVE_MARK: but may say something of it.
void jobs_take(jobs_t *self, job_t *job, bool leave_mark);
void jobs_forget(jobs_t *self, job_t *job); // wherever it is
void jobs_free(jobs_t *self);               // the table; no worker has any

// For whoever makes a table again: a job, or a mark, under the handle and since the time that it had, whose message is
// not known yet. NULL: there is one of that handle.
job_t *jobs_again(jobs_t *self, const uint8_t handle[JOB_BYTES], bool late, job_list_t *worker, int64_t since_ms);
void jobs_keep(jobs_t *self, job_t *job, chunk_t *chunk, size_t at, size_t size, load_t load); // and that message

#endif
