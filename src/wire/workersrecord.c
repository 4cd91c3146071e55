// SPDX-License-Identifier: MPL-2.0
// workersrecord.c - see workers_internal.h. Jobs come in the order in which they were given, with their messages where no
// store shows those again.

#include "base/record.h"
#include "wire/keptrecord.h"
#include "wire/ledger.h"
#include "wire/workers_internal.h"

#include <string.h>

// Never used for anything else again.
enum {
    TAG_WORKER = 1,
    TAG_JOB,
    TAG_ID = 10, // of the worker, by its connection
    TAG_WINDOW,
    TAG_ASKS,
    TAG_GIVEN,
    TAG_ENVELOPE,
    TAG_HANDLE = 20,
    TAG_LATE,
    TAG_NTH,
    TAG_SINCE,
    TAG_NUMBER,
    TAG_TRIES,
    TAG_ENTRY, // in the ledger
};

// --- saving ----------------------------------------------------------------------------

static void
save_message(const worker_t *worker, const job_t *job, record_t *to)
{
    wire_t *wire = worker->conn->wire;
    if (!wire->ledger || !wire->ledger->save || !job->chunk) // no ledger: its store is closed already
        return;
    const kept_t kept = { .data = job->chunk->data + job->at, .size = job->size };
    keptrecord_save(to, &kept);
    size_t opened = record_open(to, TAG_ENTRY);
    wire->ledger->save(wire, job->number, to);
    record_close(to, opened);
}

static void
save_job(const worker_t *worker, const job_t *job, record_t *to)
{
    size_t opened = record_open(to, TAG_JOB);
    record_number(to, TAG_ID, worker->id);
    record_bytes(to, TAG_HANDLE, job->handle, sizeof job->handle);
    record_number(to, TAG_LATE, job->late);
    record_number(to, TAG_NTH, job->nth);
    record_number(to, TAG_SINCE, (uint64_t)job->since_ms);
    record_number(to, TAG_NUMBER, job->number);
    record_number(to, TAG_TRIES, job->tries);
    save_message(worker, job, to);
    record_close(to, opened);
}

static void
save_worker(const worker_t *worker, record_t *to)
{
    size_t opened = record_open(to, TAG_WORKER);
    record_number(to, TAG_ID, worker->id);
    record_number(to, TAG_WINDOW, worker->window);
    record_number(to, TAG_ASKS, worker->asks);
    record_number(to, TAG_GIVEN, worker->given);
    record_bytes(to, TAG_ENVELOPE, worker->envelope, worker->envelope_size);
    record_close(to, opened);
    for (const job_t *job = worker->jobs.first; job; job = job->next)
        if (job->late)
            save_job(worker, job, to);
}

void
workersrecord_save(const workers_t *self, record_t *to)
{
    for (uint32_t i = 0; i < self->port->count; i++)
        save_worker(self->port->open[i]->own, to);
    for (const job_t *job = self->jobs.oldest; job; job = job->newer)
        save_job(worker_of(job), job, to);
}

// --- restoring -------------------------------------------------------------------------

static void
restore_worker(workers_t *self, record_fields_t from)
{
    record_field_t envelope;
    worker_t *worker = jobline_add(self, record_number_of(from, TAG_ID, UINT64_MAX));
    worker->given = record_number_of(from, TAG_GIVEN, UINT64_MAX);
    if (record_find(from, TAG_ENVELOPE, &envelope) && ack_is_envelope(envelope.at, envelope.size)) {
        worker->window = (uint32_t)record_number_of(from, TAG_WINDOW, CREDIT_MOST);
        worker->asks = record_number_of(from, TAG_ASKS, 1);
        worker->envelope_size = envelope.size;
        memcpy(worker->envelope, envelope.at, envelope.size);
    }
}

typedef struct {
    jobs_t *jobs;
    job_t *job;
} arriving_t;

static void
keep_message(void *arg, const kept_t *kept)
{
    const arriving_t *self = arg;
    if (self->job->chunk)
        return;
    chunk_t *chunk = chunk_new(self->jobs->pool, kept->size);
    memcpy(chunk->data, kept->data, kept->size);
    chunk->size = kept->size;
    jobs_keep(self->jobs, self->job, chunk, 0, kept->size, (load_t){ 1, kept->payload });
    chunk_drop(chunk);
}

// Its number, 0: it cannot go on.
static uint64_t
restore_message(workers_t *self, job_t *job, record_fields_t from)
{
    wire_t *wire = self->port->wire;
    arriving_t arriving = { &self->jobs, job };
    record_field_t entry;
    keptrecord_restore(from, 0, wire->now_ms, keep_message, &arriving);
    bool is_there = job->chunk && record_find(from, TAG_ENTRY, &entry);
    return is_there ? wire->ledger->restore(wire, record_inside(&entry)) : 0;
}

static void
find_message(workers_t *self, job_t *job, record_fields_t from)
{
    if (!self->port->wire->ledger->restore) {
        job->number = record_number_of(from, TAG_NUMBER, UINT64_MAX);
        self->unread++;
    } else if ((job->number = restore_message(self, job, from)) == 0)
        jobs_forget(&self->jobs, job);
}

static void
restore_job(workers_t *self, record_fields_t from)
{
    record_field_t handle;
    worker_t *worker = jobline_find(self, record_number_of(from, TAG_ID, UINT64_MAX));
    if (!worker || !record_find(from, TAG_HANDLE, &handle) || handle.size != JOB_BYTES ||
        worker->jobs.count >= CREDIT_MOST)
        return;
    bool late = record_number_of(from, TAG_LATE, 1);
    job_t *job =
        jobs_again(&self->jobs, handle.at, late, &worker->jobs, (int64_t)record_number_of(from, TAG_SINCE, INT64_MAX));
    if (!job || late)
        return;
    job->tries = (uint32_t)record_number_of(from, TAG_TRIES, UINT32_MAX);
    job->nth = record_number_of(from, TAG_NTH, UINT64_MAX);
    find_message(self, job, from);
}

void
workersrecord_restore(workers_t *self, record_fields_t from)
{
    record_field_t field;
    for (record_fields_t i = from; record_next(&i, &field);)
        if (field.tag == TAG_WORKER)
            restore_worker(self, record_inside(&field));
    while (record_next(&from, &field))
        if (field.tag == TAG_JOB)
            restore_job(self, record_inside(&field));
}
