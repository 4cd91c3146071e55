// SPDX-License-Identifier: MPL-2.0
#include "wire/jobs.h"

#include "base/mem.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS_FIRST = 64 };

// --- lists ---------------------------------------------------------------------------

static void
append(job_list_t *self, job_t *job)
{
    job->next = NULL;
    job->previous = self->last;
    *(self->last ? &self->last->next : &self->first) = job;
    self->last = job;
    self->count++;
}

static void
remove_from(job_list_t *self, job_t *job)
{
    *(job->previous ? &job->previous->next : &self->first) = job->next;
    *(job->next ? &job->next->previous : &self->last) = job->previous;
    job->next = job->previous = NULL;
    self->count--;
}

static void
append_by_time(jobs_t *self, job_t *job)
{
    job->newer = NULL;
    job->older = self->newest;
    *(self->newest ? &self->newest->newer : &self->oldest) = job;
    self->newest = job;
}

static void
remove_by_time(jobs_t *self, job_t *job)
{
    *(job->older ? &job->older->newer : &self->oldest) = job->newer;
    *(job->newer ? &job->newer->older : &self->newest) = job->older;
    job->newer = job->older = NULL;
}

// --- handles: random, so that each is its own hash ---------------------------------------

static job_t **
bucket_of(const jobs_t *self, const uint8_t handle[JOB_BYTES])
{
    uint32_t hash;
    memcpy(&hash, handle, sizeof hash);
    return &self->buckets[hash & (self->bucket_count - 1)];
}

static void
more_buckets(jobs_t *self)
{
    jobs_t bigger = { .bucket_count = self->bucket_count ? self->bucket_count * 2 : BUCKETS_FIRST };
    bigger.buckets = xcalloc(bigger.bucket_count, sizeof *bigger.buckets);
    for (uint32_t i = 0; i < self->bucket_count; i++)
        while (self->buckets[i]) {
            job_t *job = self->buckets[i], **to = bucket_of(&bigger, job->handle);
            self->buckets[i] = job->same;
            job->same = *to;
            *to = job;
        }
    free(self->buckets);
    self->buckets = bigger.buckets;
    self->bucket_count = bigger.bucket_count;
}

static void
enter(jobs_t *self, job_t *job)
{
    if (self->count >= self->bucket_count)
        more_buckets(self);
    job_t **to = bucket_of(self, job->handle);
    job->same = *to;
    *to = job;
    self->count++;
}

static void
leave(jobs_t *self, job_t *job)
{
    job_t **at = bucket_of(self, job->handle);
    while (*at != job)
        at = &(*at)->same;
    *at = job->same;
    self->count--;
}

static void
draw(jobs_t *self, uint8_t handle[JOB_BYTES])
{
    if (self->dice_left == 0) {
        randombytes_buf(self->dice, sizeof self->dice);
        self->dice_left = sizeof self->dice;
    }
    self->dice_left -= JOB_BYTES;
    memcpy(handle, self->dice + self->dice_left, JOB_BYTES);
}

// --- with a worker -----------------------------------------------------------------------

job_t *
jobs_add(jobs_t *self, uint64_t number, uint32_t tries, chunk_t *chunk, size_t at, size_t size, load_t load)
{
    (void)self;
    job_t *job = xcalloc(1, sizeof *job);
    job->number = number;
    job->tries = tries;
    job->chunk = chunk_hold(chunk);
    job->body_at = at;
    job->size = size;
    job->load = load;
    return job;
}

static void
put(jobs_t *self, job_t *job, workload_t *to, int64_t since_ms)
{
    job->at = to;
    job->since_ms = since_ms;
    append(&to->jobs, job);
    append_by_time(self, job);
    enter(self, job);
}

void
jobs_give(jobs_t *self, job_t *job, workload_t *to, int64_t now_ms)
{
    draw(self, job->handle);
    put(self, job, to, now_ms);
}

bool
jobs_give_again(jobs_t *self, job_t *job, workload_t *to, const uint8_t handle[JOB_BYTES], int64_t since_ms)
{
    for (const job_t *other = self->bucket_count ? *bucket_of(self, handle) : NULL; other; other = other->same)
        if (memcmp(other->handle, handle, JOB_BYTES) == 0)
            return false;
    memcpy(job->handle, handle, JOB_BYTES);
    put(self, job, to, since_ms);
    return true;
}

job_t *
jobs_find(const jobs_t *self, const uint8_t handle[JOB_BYTES], const workload_t *of)
{
    job_t *job = self->bucket_count ? *bucket_of(self, handle) : NULL;
    while (job && memcmp(job->handle, handle, JOB_BYTES) != 0)
        job = job->same;
    return job && job->at == of ? job : NULL;
}

static void
put_mark(jobs_t *self, const job_t *job, workload_t *at)
{
    job_t *mark = xcalloc(1, sizeof *mark);
    mark->late = true;
    mark->at = at;
    memcpy(mark->handle, job->handle, JOB_BYTES);
    append(&at->jobs, mark);
    enter(self, mark);
}

void
jobs_take(jobs_t *self, job_t *job, bool leave_mark)
{
    workload_t *at = job->at;
    remove_from(&at->jobs, job);
    leave(self, job);
    job->at = NULL;
    if (!job->late)
        remove_by_time(self, job);
    if (leave_mark)
        put_mark(self, job, at);
}

// --- with none ---------------------------------------------------------------------------

void
jobs_wait(jobs_t *self, job_t *job)
{
    append(&self->waiting, job);
    self->waiting_bytes += job->size;
}

void
jobs_stop_waiting(jobs_t *self, job_t *job)
{
    remove_from(&self->waiting, job);
    self->waiting_bytes -= job->size;
}

void
jobs_forget(jobs_t *self, job_t *job)
{
    if (job->at)
        jobs_take(self, job, false); // a mark
    if (job->chunk)
        chunk_drop(job->chunk);
    free(job);
}

void
jobs_free(jobs_t *self)
{
    while (self->waiting.first) {
        job_t *job = self->waiting.first;
        jobs_stop_waiting(self, job);
        jobs_forget(self, job);
    }
    free(self->buckets);
    self->buckets = NULL;
    self->bucket_count = 0;
}
