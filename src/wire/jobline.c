// SPDX-License-Identifier: MPL-2.0
// jobline.c - the workers, in line for messages: who may get the next one, and how it gets it; see workers_internal.h.

#include "wire/workers_internal.h"

#include "base/mem.h"
#include "wire/conn.h"
#include "wire/output.h"
#include "wire/piece.h"
#include "zmtp/peertype.h"

#include <stdlib.h>

void
jobline_count_outstanding(const workers_t *self)
{
    counter_set(&self->port->wire->counters->outstanding, self->jobs.given);
}

void
jobline_count(const workers_t *self, job_result_t result)
{
    counter_add(&self->port->wire->counters->jobs[result], 1);
    jobline_count_outstanding(self);
}

// --- who is there -------------------------------------------------------------------

worker_t *
jobline_add(workers_t *self, uint64_t id)
{
    worker_t *worker = xcalloc(1, sizeof *worker);
    worker->id = id;
    worker->older = self->newest;
    if (worker->older)
        worker->older->newer = worker;
    self->newest = worker;
    return worker;
}

worker_t *
jobline_find(const workers_t *self, uint64_t id)
{
    worker_t *worker = self->newest;
    while (worker && (worker->id != id || worker->conn))
        worker = worker->older;
    return worker;
}

// --- who may get one -------------------------------------------------------------------

static void
leave_line(workers_t *self, worker_t *worker)
{
    if (!worker->in_line)
        return;
    *(worker->previous ? &worker->previous->next : &self->first) = worker->next;
    *(worker->next ? &worker->next->previous : &self->last) = worker->previous;
    worker->next = worker->previous = NULL;
    worker->in_line = false;
}

static void
enter_line(workers_t *self, worker_t *worker)
{
    if (worker->in_line)
        return;
    worker->previous = self->last;
    *(self->last ? &self->last->next : &self->first) = worker;
    self->last = worker;
    worker->in_line = true;
}

// A REQ gets one for whatever it says.
static uint32_t
free_of(const worker_t *worker)
{
    bool is_req = worker->conn->type == PEERTYPE_REQ;
    uint32_t window = is_req ? CREDIT_MOST : worker->window;
    uint32_t left = window > worker->jobs.count ? window - worker->jobs.count : 0;
    return worker->conn->full || worker->conn->broken ? 0 : is_req && left > 0 ? worker->asks : left;
}

// Something of it has changed.
void
jobline_settle(workers_t *self, worker_t *worker)
{
    self->free -= worker->free;
    worker->free = free_of(worker);
    self->free += worker->free;
    if (worker->free > 0)
        enter_line(self, worker);
    else
        leave_line(self, worker);
}

static bool
may_read(const worker_t *worker, const piece_t *piece)
{
    size_t size;
    const uint8_t *topic = piece_first(piece, &size);
    return conn_may(worker->conn, ADMISSION_READ, topic, size);
}

static worker_t *
worker_for(workers_t *self, const piece_t *piece)
{
    for (worker_t *worker = self->first, *next; worker; worker = next) {
        next = worker->next;
        jobline_settle(self, worker); // its queue may be full
        if (worker->in_line && may_read(worker, piece))
            return worker;
    }
    return NULL;
}

// With what it has.
void
jobline_remove(workers_t *self, worker_t *worker)
{
    while (worker->jobs.first)
        jobs_forget(&self->jobs, worker->jobs.first);
    self->free -= worker->free;
    leave_line(self, worker);
    *(worker->newer ? &worker->newer->older : &self->newest) = worker->older;
    if (worker->older)
        worker->older->newer = worker->newer;
    free(worker);
}

// --- giving ----------------------------------------------------------------------------

static void
hand(workers_t *self, worker_t *worker, job_t *job, piece_t *piece)
{
    uint8_t head[JOB_HEAD_MOST];
    jobs_give(&self->jobs, job, &worker->jobs, self->port->wire->now_ms);
    job->nth = ++worker->given;
    piece->prefix = head;
    piece->prefix_size = job_head_write(head, worker->envelope, worker->envelope_size, job->handle, job->tries);
    worker->asks = false;
    leave_line(self, worker); // it is the last one from now on
    output_add(worker->conn, piece);
    jobline_settle(self, worker);
    jobline_count(self, JOB_GIVEN);
    if (job->tries > 1)
        jobline_count(self, JOB_AGAIN);
}

piece_t
jobline_piece(const job_t *job)
{
    return (piece_t){ .chunk = job->chunk, .at = job->at, .size = job->size, .load = job->load };
}

static void
shun(workers_t *self, job_t *job, bool shunned)
{
    self->shunned += (uint32_t)shunned - (uint32_t)job->shunned;
    job->shunned = shunned;
}

void
jobline_stop_waiting(workers_t *self, job_t *job)
{
    shun(self, job, false);
    jobs_remove(job);
}

void
jobline_give(workers_t *self)
{
    const wire_t *wire = self->port->wire;
    for (job_t *job = self->waiting.first, *next; job && self->first && !wire->frozen && !wire->draining; job = next) {
        piece_t piece = jobline_piece(job);
        worker_t *worker = worker_for(self, &piece);
        next = job->next;
        if (!worker) {
            shun(self, job, self->first != NULL);
            continue;
        }
        jobline_stop_waiting(self, job);
        hand(self, worker, job, &piece);
    }
}
