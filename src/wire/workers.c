// SPDX-License-Identifier: MPL-2.0
#include "wire/workers.h"

#include "base/mem.h"
#include "wire/conn.h"
#include "wire/output.h"
#include "wire/piece.h"
#include "wire/pump.h"
#include "wire/workers_internal.h"
#include "zmtp/peertype.h"

#include <stdlib.h>
#include <string.h>
#include <zmq.h>

static void
count_outstanding(const workers_t *self)
{
    counter_set(&self->port->wire->counters->outstanding, self->jobs.given);
}

void
workers_count(const workers_t *self, job_result_t result)
{
    counter_add(&self->port->wire->counters->jobs[result], 1);
    count_outstanding(self);
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
static void
settle(workers_t *self, worker_t *worker)
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
        settle(self, worker); // its queue may be full
        if (worker->in_line && may_read(worker, piece))
            return worker;
    }
    return NULL;
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
    settle(self, worker);
    workers_count(self, JOB_GIVEN);
    if (job->tries > 1)
        workers_count(self, JOB_AGAIN);
}

piece_t
workers_piece(const job_t *job)
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
workers_stop_waiting(workers_t *self, job_t *job)
{
    shun(self, job, false);
    jobs_remove(job);
}

void
workers_give(workers_t *self)
{
    const wire_t *wire = self->port->wire;
    for (job_t *job = self->waiting.first, *next; job && self->first && !wire->frozen && !wire->draining; job = next) {
        piece_t piece = workers_piece(job);
        worker_t *worker = worker_for(self, &piece);
        next = job->next;
        if (!worker) {
            shun(self, job, self->first != NULL);
            continue;
        }
        workers_stop_waiting(self, job);
        hand(self, worker, job, &piece);
    }
}

// --- what a worker says ----------------------------------------------------------------------

static void
is_ready(workers_t *self, worker_t *worker, const worker_says_t *says)
{
    worker->window = says->credit;
    for (job_t *job = worker->jobs.first, *next; job; job = next) {
        next = job->next;
        if (job->late)
            jobs_forget(&self->jobs, job);
    }
}

static void (*const verdicts[WORKER_WORDS])(workers_t *self, job_t *job) = {
    [WORKER_DONE] = jobfate_done, [WORKER_RETRY] = jobfate_retry, [WORKER_REJECT] = jobfate_reject
};

static void
obey(workers_t *self, worker_t *worker, const worker_says_t *says)
{
    if (says->word == WORKER_READY) {
        is_ready(self, worker, says);
        return;
    }
    job_t *job = says->word == WORKER_WORDS ? NULL : jobs_find(&self->jobs, says->job, &worker->jobs);
    if (!job) {
        worker->conn->dropped++;
        workers_count(self, JOB_REFUSED);
    } else if (job->late) {
        jobs_forget(&self->jobs, job);
        workers_count(self, JOB_LATE);
    } else
        verdicts[says->word](self, job);
}

static bool
hears(conn_t *conn, piece_t *piece)
{
    workers_t *self = conn->port->own;
    worker_t *worker = conn->own;
    const uint8_t *frames = piece->chunk->data + piece->at;
    worker_says_t says;
    pump_received(conn, piece);
    if (!worker_says_read(frames, piece->size, &says)) {
        conn->dropped++;
        workers_count(self, JOB_REFUSED);
        return true;
    }
    worker->asks = true;
    worker->envelope_size = says.envelope;
    memcpy(worker->envelope, frames, says.envelope);
    obey(self, worker, &says);
    settle(self, worker);
    conn->wire->made_room = true;
    return true;
}

// --- time ------------------------------------------------------------------------------------

// What was said while the route was paused is read before its time is judged.
static void
tick(wport_t *port)
{
    workers_t *self = port->own;
    const wire_t *wire = port->wire;
    bool is_judged = self && !wire->frozen && !self->was_paused;
    job_t *job;
    while (is_judged && (job = self->jobs.oldest) && job->since_ms + wire->conf->ack_timeout_ms <= wire->now_ms) {
        jobs_take(&self->jobs, job, true);
        workers_count(self, JOB_TIMEOUT);
        jobfate_try_again(self, job);
    }
    if (!self)
        return;
    jobfate_post_again(self);
    jobstock_leave_to_others(self);
    self->was_paused = wire->frozen;
}

// --- life ------------------------------------------------------------------------------------

static workers_t *
workers_new(wport_t *port)
{
    workers_t *self = port->own = xcalloc(1, sizeof *self);
    self->port = port;
    self->jobs.pool = &port->wire->pool;
    return self;
}

worker_t *
workers_add(workers_t *self, uint64_t id)
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
workers_find(const workers_t *self, uint64_t id)
{
    worker_t *worker = self->newest;
    while (worker && (worker->id != id || worker->conn))
        worker = worker->older;
    return worker;
}

static void
remove_worker(workers_t *self, worker_t *worker)
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

static int
joined(conn_t *conn)
{
    workers_t *self = conn->port->own ? conn->port->own : workers_new(conn->port);
    worker_t *worker = conn->own = workers_add(self, conn->id);
    worker->conn = conn;
    return 0;
}

// It has come with all that it had.
static int
rejoined(conn_t *conn)
{
    workers_t *self = conn->port->own;
    worker_t *worker = self ? workers_find(self, conn->id) : NULL;
    if (!worker)
        return joined(conn);
    conn->own = worker;
    worker->conn = conn;
    settle(self, worker);
    count_outstanding(self);
    return 0;
}

static void
restore(wport_t *port, record_fields_t from)
{
    workersrecord_restore(port->own ? port->own : workers_new(port), from);
}

static void
save(const wport_t *port, record_t *to)
{
    if (port->own)
        workersrecord_save(port->own, to);
}

// Of what was not written no byte it has seen nothing: that was no try.
static void
bequeath(conn_t *conn)
{
    workers_t *self = conn->port->own;
    worker_t *worker = conn->own;
    spans_t unbegun = { 0 };
    output_abandon(conn, &unbegun);
    uint64_t begun = worker->given - unbegun.load.messages;
    spans_clear(&unbegun);
    while (worker->jobs.first) {
        job_t *job = worker->jobs.first;
        if (job->late) {
            jobs_forget(&self->jobs, job);
            continue;
        }
        jobs_take(&self->jobs, job, false);
        if (job->nth > begun && job->chunk)
            jobs_append(&self->waiting, job);
        else if (conn->wire->closing)
            jobs_forget(&self->jobs, job);
        else {
            workers_count(self, JOB_LOST);
            jobfate_try_again(self, job);
        }
    }
    remove_worker(self, worker);
    conn->own = NULL;
    conn->wire->made_room = true;
}

static void
forget_all(workers_t *self, job_list_t *list)
{
    while (list->first)
        jobs_forget(&self->jobs, list->first);
}

static void
workers_close(wport_t *port)
{
    workers_t *self = port->own;
    if (!self)
        return;
    forget_all(self, &self->said);
    forget_all(self, &self->waiting);
    forget_all(self, &self->parting);
    forget_all(self, &self->dead);
    while (self->newest) // their connections went to another route
        remove_worker(self, self->newest);
    jobs_free(&self->jobs);
    free(self);
    port->own = NULL;
}

const socktype_t socktype_workers = {
    .type = ZMQ_ROUTER,
    .joined = joined,
    .rejoined = rejoined,
    .hears = hears,
    .tick = tick,
    .save = save,
    .restore = restore,
    .lets_go = true,
    .bequeath = bequeath,
    .close = workers_close,
};
