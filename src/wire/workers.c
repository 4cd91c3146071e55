// SPDX-License-Identifier: MPL-2.0
#include "wire/workers.h"

#include "base/mem.h"
#include "wire/output.h"
#include "wire/pump.h"
#include "wire/workers_internal.h"
#include "zmtp/peertype.h"

#include <stdlib.h>
#include <string.h>
#include <zmq.h>

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
        jobline_count(self, JOB_REFUSED);
    } else if (job->late) {
        jobs_forget(&self->jobs, job);
        jobline_count(self, JOB_LATE);
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
        jobline_count(self, JOB_REFUSED);
        return true;
    }
    worker->asks = true;
    worker->envelope_size = says.envelope;
    memcpy(worker->envelope, frames, says.envelope);
    obey(self, worker, &says);
    jobline_settle(self, worker);
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
    if (!self || wire->handed_over) // its jobs are the other route's
        return;
    bool is_judged = !wire->frozen && !self->was_paused;
    job_t *job;
    while (is_judged && (job = self->jobs.oldest) && job->since_ms + wire->conf->ack_timeout_ms <= wire->now_ms) {
        jobs_take(&self->jobs, job, true);
        jobline_count(self, JOB_TIMEOUT);
        jobfate_try_again(self, job);
    }
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

static int
joined(conn_t *conn)
{
    workers_t *self = conn->port->own ? conn->port->own : workers_new(conn->port);
    worker_t *worker = conn->own = jobline_add(self, conn->id);
    worker->conn = conn;
    return 0;
}

// It has come with all that it had.
static int
rejoined(conn_t *conn)
{
    workers_t *self = conn->port->own;
    worker_t *worker = self ? jobline_find(self, conn->id) : NULL;
    if (!worker)
        return joined(conn);
    conn->own = worker;
    worker->conn = conn;
    jobline_settle(self, worker);
    jobline_count_outstanding(self);
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
            jobline_count(self, JOB_LOST);
            jobfate_try_again(self, job);
        }
    }
    jobline_remove(self, worker);
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
        jobline_remove(self, self->newest);
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
