// SPDX-License-Identifier: MPL-2.0
// jobstock.c - messages that come from the store and are made ready for workers; see workers_internal.h.

#include "wire/workers_internal.h"

#include "wire/ledger.h"
#include "wire/piece.h"
#include "wire/port.h"
#include "wire/workers.h"

enum {
    PATIENCE_MS = 1000,  // that a message waits here, where other machines have workers
    AHEAD_MOST = 64,     // messages that are made ready before a worker asks for them
    DEAD_MOST = 1000,    // that wait for the route of the dead letters
    SHUNNED_MOST = 1000, // that wait for a worker that may have them, while others go on
};

static uint32_t
ahead(const workers_t *self)
{
    const wire_t *wire = self->port->wire;
    bool needs_exact = wire->conf->max_tries == 1 || wire->ports[SIDE_BACKEND].count > 0 || wire->cluster;
    return needs_exact ? 0 : self->port->count < AHEAD_MOST ? self->port->count : AHEAD_MOST;
}

uint32_t
workers_wanted(const wire_t *wire)
{
    const workers_t *self = workers_of(wire);
    bool may = self && !wire->draining && self->port->count > 0 && self->shunned < SHUNNED_MOST &&
               self->dead.count < DEAD_MOST;
    uint32_t wanted = may ? self->free + ahead(self) : 0;
    uint32_t ready = may ? self->said.count + self->waiting.count - self->shunned : 0;
    return wanted > ready ? wanted - ready : 0;
}

// A worker of the route before has it already.
static job_t *
find_unread(const workers_t *self, uint64_t number)
{
    job_t *job = self->unread > 0 ? self->jobs.oldest : NULL;
    while (job && job->number != number)
        job = job->newer;
    return job;
}

bool
workers_have(wire_t *wire, const store_message_t *message)
{
    workers_t *self = workers_of(wire);
    job_t *job = self ? find_unread(self, message->sequence) : NULL;
    if (!job)
        return false;
    chunk_t *chunk = message->block;
    jobs_keep(&self->jobs, job, chunk, (size_t)(message->data - chunk->data), message->size,
              (load_t){ 1, message->payload });
    self->unread--;
    return true;
}

bool
workers_take(wire_t *wire, const store_message_t *message)
{
    workers_t *self = workers_of(wire);
    if (workers_wanted(wire) == 0)
        return false;
    chunk_t *chunk = message->block;
    job_t *job = jobs_add(&self->jobs, message->sequence, message->tries, chunk, (size_t)(message->data - chunk->data),
                          message->size, (load_t){ 1, message->payload });
    jobfate_take(self, job);
    return true;
}

// What no acknowledged worker will take goes to plain ones.
static void
part(workers_t *self)
{
    wire_t *wire = self->port->wire;
    for (job_t *job = self->waiting.first, *next; job && wire->ports[SIDE_BACKEND].count > 0; job = next) {
        next = job->next;
        if (self->port->count > 0 && !job->shunned)
            continue;
        jobline_stop_waiting(self, job);
        wire->ledger->done(wire, job->number);
        job->commit = wire->ledger->said(wire);
        jobs_append(&self->parting, job);
    }
}

static void
hand_to_plain(workers_t *self, job_t *job)
{
    spans_t spans = { 0 };
    piece_t piece = jobline_piece(job);
    piece_queue(&spans, self->jobs.pool, &piece);
    port_return(&self->port->wire->ports[SIDE_BACKEND], &spans);
    jobs_forget(&self->jobs, job);
    self->port->wire->made_room = true;
}

void
workers_reached(wire_t *wire)
{
    workers_t *self = workers_of(wire);
    if (!self)
        return;
    uint64_t reached = wire->ledger->reached(wire);
    while (self->said.first && self->said.first->commit <= reached) {
        job_t *job = self->said.first;
        jobs_remove(job);
        jobs_append(&self->waiting, job);
    }
    jobline_give(self);
    part(self);
    while (self->parting.first && self->parting.first->commit <= reached)
        hand_to_plain(self, self->parting.first);
}

void
jobstock_leave_to_others(workers_t *self)
{
    wire_t *wire = self->port->wire;
    for (job_t *job = self->waiting.first, *next; job && wire->cluster; job = next) {
        next = job->next;
        if (wire->now_ms - job->since_ms < PATIENCE_MS)
            continue;
        jobline_stop_waiting(self, job);
        wire->ledger->gives_again(wire, job->number);
        jobs_forget(&self->jobs, job);
    }
}

bool
workers_are_busy(const wire_t *wire)
{
    const workers_t *self = workers_of(wire);
    return self && self->jobs.given > 0;
}

static void
untry(workers_t *self, job_t *job)
{
    self->port->wire->ledger->untry(self->port->wire, job->number, job->tries - 1);
    jobs_forget(&self->jobs, job);
}

void
workers_end(wire_t *wire)
{
    workers_t *self = workers_of(wire);
    if (!self)
        return;
    while (self->said.first)
        untry(self, self->said.first);
    while (self->waiting.first)
        untry(self, self->waiting.first);
    while (self->parting.first) {
        wire->ledger->undo(wire, self->parting.first->number);
        untry(self, self->parting.first);
    }
    while (self->dead.first)
        jobs_forget(&self->jobs, self->dead.first);
    self->shunned = 0;
}
