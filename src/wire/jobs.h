// SPDX-License-Identifier: MPL-2.0
// jobs.h - the messages that acknowledged workers have, by the handle under which each
// was given: 128 random bits, new for each try, and worth something only in the mouth
// of the worker that got it. Messages to be given again wait here, in order.
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

// What one worker has, marks included. All zeros: nothing.
typedef struct {
    job_list_t jobs;
} workload_t;

struct job {
    job_t *next, *previous; // with its worker, or among those that wait
    job_t *newer, *older;   // of all that workers have, by when they got them
    job_t *same;            // in its bucket
    workload_t *at;         // NULL: no worker has it
    bool late;              // only a mark
    int64_t since_ms;
    uint64_t number; // of its message
    uint32_t tries;  // with the one that is under way
    chunk_t *chunk;  // its message, as frames
    size_t body_at, size;
    load_t load;
    uint8_t handle[JOB_BYTES];
};

// All zeros: there are none.
typedef struct {
    job_t **buckets;
    uint32_t bucket_count, count;
    job_t *oldest, *newest;
    job_list_t waiting;
    uint64_t waiting_bytes;
    uint8_t dice[64 * JOB_BYTES];
    size_t dice_left;
} jobs_t;

// One more, which no worker has yet. It holds CHUNK.
job_t *jobs_add(jobs_t *self, uint64_t number, uint32_t tries, chunk_t *chunk, size_t at, size_t size, load_t load);

void jobs_give(jobs_t *self, job_t *job, workload_t *to, int64_t now_ms); // under a new handle
job_t *jobs_find(const jobs_t *self, const uint8_t handle[JOB_BYTES],
                 const workload_t *of); // also a mark; NULL: OF has none such

// Its worker has it no more. LEAVE_MARK: but may say something of it.
void jobs_take(jobs_t *self, job_t *job, bool leave_mark);
void jobs_wait(jobs_t *self, job_t *job); // to be given again, after all others that wait
void jobs_stop_waiting(jobs_t *self, job_t *job);
void jobs_forget(jobs_t *self, job_t *job); // no worker has it, or it is a mark; it does not wait
void jobs_free(jobs_t *self);               // all that wait, and the table; no worker has any

// For whoever makes a table again: as jobs_give, under the handle and since the time that it had. False: there is one.
bool jobs_give_again(jobs_t *self, job_t *job, workload_t *to, const uint8_t handle[JOB_BYTES], int64_t since_ms);

#endif
