// SPDX-License-Identifier: MPL-2.0
#include "wire/workers.h"

#include "base/event.h"
#include "base/mem.h"
#include "flow/letters.h"
#include "wire/conn.h"
#include "wire/joblog.h"
#include "wire/output.h"
#include "wire/pump.h"
#include "wire/workers_parts.h"
#include "zmtp/peertype.h"

#include <stdlib.h>
#include <string.h>
#include <zmq.h>

enum {
    PATIENCE_MS = 1000,  // that a message waits here, where other machines have workers
    AHEAD_MOST = 64,     // messages that are made ready before a worker asks for them
    DEAD_MOST = 1000,    // that wait for the route of the dead letters
    SHUNNED_MOST = 1000, // that wait for a worker that may have them, while others go on
};

static workers_t *
workers_of(const wire_t *wire)
{
    return wire->ports[SIDE_WORKER_ACK].own;
}

static void
count_outstanding(const workers_t *self)
{
    counter_set(&self->port->wire->counters->outstanding, self->jobs.given);
}

static void
count(const workers_t *self, job_result_t result)
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
may_read(const workers_t *self, const worker_t *worker, const piece_t *piece)
{
    const conn_t *conn = worker->conn;
    size_t size;
    const uint8_t *topic = pump_first(piece, &size);
    return !conn->rights || self->port->wire->services->admission->may(conn->rights, ADMISSION_READ, topic, size);
}

static worker_t *
worker_for(workers_t *self, const piece_t *piece)
{
    for (worker_t *worker = self->first, *next; worker; worker = next) {
        next = worker->next;
        settle(self, worker); // its queue may be full
        if (worker->in_line && may_read(self, worker, piece))
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
    count(self, JOB_GIVEN);
    if (job->tries > 1)
        count(self, JOB_AGAIN);
}

static piece_t
piece_of(const job_t *job)
{
    return (piece_t){ .chunk = job->chunk, .at = job->at, .size = job->size, .load = job->load };
}

static void
shun(workers_t *self, job_t *job, bool shunned)
{
    self->shunned += (uint32_t)shunned - (uint32_t)job->shunned;
    job->shunned = shunned;
}

static void
stop_waiting(workers_t *self, job_t *job)
{
    shun(self, job, false);
    jobs_remove(job);
}

static void
give(workers_t *self)
{
    const wire_t *wire = self->port->wire;
    for (job_t *job = self->waiting.first, *next; job && self->first && !wire->frozen && !wire->draining; job = next) {
        piece_t piece = piece_of(job);
        worker_t *worker = worker_for(self, &piece);
        next = job->next;
        if (!worker) {
            shun(self, job, self->first != NULL);
            continue;
        }
        stop_waiting(self, job);
        hand(self, worker, job, &piece);
    }
}

// --- what becomes of a message -----------------------------------------------------------

// TRIES is counted first, where it survives us.
static void
say_try(workers_t *self, job_t *job, uint32_t tries)
{
    wire_t *wire = self->port->wire;
    job->tries = tries;
    job->since_ms = wire->now_ms;
    joblog_try(wire, job->number, tries);
    job->commit = joblog_said(wire);
    jobs_append(&self->said, job);
}

static void
expire(workers_t *self, job_t *job)
{
    wire_t *wire = self->port->wire;
    joblog_done(wire, job->number);
    port_drop(self->port, DROP_EXPIRED, 1);
    count(self, JOB_EXPIRED);
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
    return letterbox_post(joblog_letters(wire), wire->conf->dead_letter, &letter, job->chunk->data + job->at);
}

static void
give_up(workers_t *self, job_t *job)
{
    const wire_t *wire = self->port->wire;
    if (!wire->conf->dead_letter || !joblog_letters(wire)) {
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
    joblog_done(wire, job->number);
    count(self, JOB_DEAD_LETTER);
    log_event(EVENT_JOB_DEAD, EVENT_TEXT("route", wire->name), EVENT_NUMBER("tries", job->tries),
              EVENT_TEXT("dead_letter", wire->conf->dead_letter));
    jobs_forget(&self->jobs, job);
}

void
workers_letters(wire_t *wire)
{
    workers_t *self = workers_of(wire);
    receipt_t receipt;
    while (self && joblog_letters(wire) && letterbox_hear(joblog_letters(wire), &receipt)) {
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
static void
post_again(workers_t *self)
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

static void
try_next(workers_t *self, job_t *job)
{
    if (is_tried_enough(self, job->tries))
        give_up(self, job);
    else
        say_try(self, job, job->tries + 1);
}

// Its worker has it no more, and is not done.
static void
try_again(workers_t *self, job_t *job)
{
    if (!job->chunk)
        forget_unread(self, job);
    else if (!is_tried_enough(self, job->tries) && joblog_gives_again(self->port->wire, job->number))
        jobs_forget(&self->jobs, job);
    else
        try_next(self, job);
}

// --- the store -----------------------------------------------------------------------------

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
    try_next(self, job);
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
        stop_waiting(self, job);
        joblog_done(wire, job->number);
        job->commit = joblog_said(wire);
        jobs_append(&self->parting, job);
    }
}

static void
hand_to_plain(workers_t *self, job_t *job)
{
    spans_t spans = { 0 };
    piece_t piece = piece_of(job);
    output_queue(&spans, self->jobs.pool, &piece);
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
    uint64_t reached = joblog_reached(wire);
    while (self->said.first && self->said.first->commit <= reached) {
        job_t *job = self->said.first;
        jobs_remove(job);
        jobs_append(&self->waiting, job);
    }
    give(self);
    part(self);
    while (self->parting.first && self->parting.first->commit <= reached)
        hand_to_plain(self, self->parting.first);
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
    joblog_untry(self->port->wire, job->number, job->tries - 1);
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
        joblog_undo(wire, self->parting.first->number);
        untry(self, self->parting.first);
    }
    while (self->dead.first)
        jobs_forget(&self->jobs, self->dead.first);
    self->shunned = 0;
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

static void
is_done(workers_t *self, job_t *job)
{
    joblog_done(self->port->wire, job->number);
    self->unread -= !job->chunk;
    jobs_forget(&self->jobs, job);
    count(self, JOB_DONE);
}

static void
is_to_be_tried(workers_t *self, job_t *job)
{
    jobs_take(&self->jobs, job, false);
    count(self, JOB_RETRY);
    try_again(self, job);
}

// One that is not read again yet is read first.
static void
is_rejected(workers_t *self, job_t *job)
{
    jobs_take(&self->jobs, job, false);
    count(self, JOB_REJECT);
    if (job->chunk)
        give_up(self, job);
    else
        forget_unread(self, job);
}

static void (*const verdicts[WORKER_WORDS])(workers_t *self, job_t *job) = {
    [WORKER_DONE] = is_done, [WORKER_RETRY] = is_to_be_tried, [WORKER_REJECT] = is_rejected
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
        count(self, JOB_REFUSED);
    } else if (job->late) {
        jobs_forget(&self->jobs, job);
        count(self, JOB_LATE);
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
        count(self, JOB_REFUSED);
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

static void
leave_to_others(workers_t *self)
{
    wire_t *wire = self->port->wire;
    for (job_t *job = self->waiting.first, *next; job && wire->cluster; job = next) {
        next = job->next;
        if (wire->now_ms - job->since_ms < PATIENCE_MS)
            continue;
        stop_waiting(self, job);
        joblog_gives_again(wire, job->number);
        jobs_forget(&self->jobs, job);
    }
}

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
        count(self, JOB_TIMEOUT);
        try_again(self, job);
    }
    if (!self)
        return;
    post_again(self);
    leave_to_others(self);
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
            count(self, JOB_LOST);
            try_again(self, job);
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
