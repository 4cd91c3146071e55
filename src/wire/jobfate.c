// SPDX-License-Identifier: MPL-2.0
// jobfate.c - what becomes of a message that workers try: done, tried again, expired, or a dead letter; see workers_internal.h.

#include "wire/workers_internal.h"

#include "base/log.h"
#include "flow/letters.h"
#include "wire/ledger.h"
#include "wire/port.h"
#include "wire/workers.h"

#include <string.h>

// TRIES is counted first, where it survives us.
static void
say_try(workers_t *self, job_t *job, uint32_t tries)
{
    wire_t *wire = self->port->wire;
    job->tries = tries;
    job->since_ms = wire->now_ms;
    wire->ledger->try(wire, job->number, tries);
    job->commit = wire->ledger->said(wire);
    jobs_append(&self->said, job);
}

static void
expire(workers_t *self, job_t *job)
{
    wire_t *wire = self->port->wire;
    wire->ledger->done(wire, job->number);
    port_drop(self->port, DROP_EXPIRED, 1);
    jobline_count(self, JOB_EXPIRED);
    log_event(EVENT_JOB_EXPIRED, EVENT_TEXT("route", wire->name), EVENT_NUMBER("tries", job->tries));
    jobs_forget(&self->jobs, job);
}

// False: the route of the dead letters does not run, or has a full box.
static bool
post(const workers_t *self, const job_t *job)
{
    const wire_t *wire = self->port->wire;
    letter_t letter = { .number = job->number, .payload = job->load.payload, .size = job->size };
    _Static_assert(sizeof letter.id == sizeof job->handle, "a handle, which is never drawn again, names the letter");
    memcpy(letter.id, job->handle, sizeof letter.id);
    return letterbox_post(wire->ledger->letters(wire), wire->conf->dead_letter, &letter, job->chunk->data + job->at);
}

static void
give_up(workers_t *self, job_t *job)
{
    const wire_t *wire = self->port->wire;
    if (!wire->conf->dead_letter || !wire->ledger->letters(wire)) {
        expire(self, job);
        return;
    }
    jobs_name(&self->jobs, job);
    jobs_append(&self->dead, job);
    job->posted = post(self, job);
}

static void
is_buried(workers_t *self, job_t *job)
{
    wire_t *wire = self->port->wire;
    wire->ledger->done(wire, job->number);
    jobline_count(self, JOB_DEAD_LETTER);
    log_event(EVENT_JOB_DEAD, EVENT_TEXT("route", wire->name), EVENT_NUMBER("tries", job->tries),
              EVENT_TEXT("dead_letter", wire->conf->dead_letter));
    jobs_forget(&self->jobs, job);
}

void
workers_letters(wire_t *wire)
{
    workers_t *self = workers_of(wire);
    receipt_t receipt;
    while (self && wire->ledger->letters(wire) && letterbox_hear(wire->ledger->letters(wire), &receipt)) {
        job_t *job = self->dead.first;
        while (job && job->number != receipt.number)
            job = job->next;
        if (job && receipt.kept)
            is_buried(self, job);
        else if (job)
            job->posted = false;
    }
}

// Those whose route did not run, or runs no more under that name.
void
jobfate_post_again(workers_t *self)
{
    for (job_t *job = self->dead.first, *next; job; job = next) {
        next = job->next;
        if (!self->port->wire->conf->dead_letter)
            expire(self, job);
        else if (!job->posted)
            job->posted = post(self, job);
    }
}

static bool
is_tried_enough(const workers_t *self, uint32_t tries)
{
    return tries >= (uint64_t)self->port->wire->conf->max_tries;
}

// Of the route before: the store is about to show it, and it is taken then like one that no worker has.
static void
forget_unread(workers_t *self, job_t *job)
{
    self->unread--;
    jobs_forget(&self->jobs, job);
}

void
jobfate_take(workers_t *self, job_t *job)
{
    if (is_tried_enough(self, job->tries))
        give_up(self, job);
    else
        say_try(self, job, job->tries + 1);
}

void
jobfate_try_again(workers_t *self, job_t *job)
{
    if (!job->chunk)
        forget_unread(self, job);
    else if (!is_tried_enough(self, job->tries) && self->port->wire->ledger->gives_again(self->port->wire, job->number))
        jobs_forget(&self->jobs, job);
    else
        jobfate_take(self, job);
}

// --- what its worker says of it ---------------------------------------------------------

void
jobfate_done(workers_t *self, job_t *job)
{
    self->port->wire->ledger->done(self->port->wire, job->number);
    self->unread -= !job->chunk;
    jobs_forget(&self->jobs, job);
    jobline_count(self, JOB_DONE);
}

void
jobfate_retry(workers_t *self, job_t *job)
{
    jobs_take(&self->jobs, job, false);
    jobline_count(self, JOB_RETRY);
    jobfate_try_again(self, job);
}

// One that is not read again yet is read first.
void
jobfate_reject(workers_t *self, job_t *job)
{
    jobs_take(&self->jobs, job, false);
    jobline_count(self, JOB_REJECT);
    if (job->chunk)
        give_up(self, job);
    else
        forget_unread(self, job);
}
