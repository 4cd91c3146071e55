// SPDX-License-Identifier: MPL-2.0
#include "wire/jobs.h"

#include "base/mem.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS_FIRST = 64, SPARE_MOST = 1024 };

// --- lists ---------------------------------------------------------------------------

void
jobs_append(job_list_t *list, job_t *job)
{
    job->in = list;
    job->next = NULL;
    job->previous = list->last;
    *(list->last ? &list->last->next : &list->first) = job;
    list->last = job;
    list->count++;
}

void
jobs_remove(job_t *job)
{
    job_list_t *list = job->in;
    *(job->previous ? &job->previous->next : &list->first) = job->next;
    *(job->next ? &job->next->previous : &list->last) = job->previous;
    job->next = job->previous = NULL;
    job->in = NULL;
    list->count--;
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

// --- memory, which goes from one job to the next ------------------------------------------

static job_t *
new_job(jobs_t *self)
{
    job_t *job = self->spare;
    if (!job)
        return xcalloc(1, sizeof *job);
    self->spare = job->next;
    self->spares--;
    *job = (job_t){ 0 };
    return job;
}

static void
free_job(jobs_t *self, job_t *job)
{
    if (self->spares == SPARE_MOST) {
        free(job);
        return;
    }
    job->next = self->spare;
    self->spare = job;
    self->spares++;
}

// --- messages --------------------------------------------------------------------------

void
jobs_keep(jobs_t *self, job_t *job, chunk_t *chunk, size_t at, size_t size, load_t load)
{
    job->size = size;
    job->load = load;
    if (job->size >= SPANS_COPY_BELOW) {
        job->chunk = chunk_hold(chunk);
        job->at = at;
        return;
    }
    if (!self->stock || self->stock->room - self->stock->size < job->size) {
        if (self->stock)
            chunk_drop(self->stock);
        self->stock = chunk_new(self->pool, CHUNK_SMALL_BYTES);
    }
    job->chunk = chunk_hold(self->stock);
    job->at = self->stock->size;
    memcpy(self->stock->data + job->at, chunk->data + at, job->size);
    self->stock->size += job->size;
}

job_t *
jobs_add(jobs_t *self, uint64_t number, uint32_t tries, chunk_t *chunk, size_t at, size_t size, load_t load)
{
    job_t *job = new_job(self);
    job->number = number;
    job->tries = tries;
    jobs_keep(self, job, chunk, at, size, load);
    return job;
}

// --- with a worker -----------------------------------------------------------------------

static void
put(jobs_t *self, job_t *job, job_list_t *worker, int64_t since_ms)
{
    job->since_ms = since_ms;
    job->given = true;
    jobs_append(worker, job);
    append_by_time(self, job);
    enter(self, job);
    self->given++;
}

void
jobs_give(jobs_t *self, job_t *job, job_list_t *worker, int64_t now_ms)
{
    draw(self, job->handle);
    put(self, job, worker, now_ms);
}

void
jobs_name(jobs_t *self, job_t *job)
{
    static const uint8_t none[JOB_BYTES];
    if (memcmp(job->handle, none, sizeof none) == 0)
        draw(self, job->handle);
}

static job_t *
find(const jobs_t *self, const uint8_t handle[JOB_BYTES])
{
    job_t *job = self->bucket_count ? *bucket_of(self, handle) : NULL;
    while (job && memcmp(job->handle, handle, JOB_BYTES) != 0)
        job = job->same;
    return job;
}

job_t *
jobs_find(const jobs_t *self, const uint8_t handle[JOB_BYTES], const job_list_t *worker)
{
    job_t *job = find(self, handle);
    return job && job->in == worker ? job : NULL;
}

static job_t *
put_mark(jobs_t *self, const uint8_t handle[JOB_BYTES], job_list_t *worker)
{
    job_t *mark = new_job(self);
    mark->late = mark->given = true;
    memcpy(mark->handle, handle, JOB_BYTES);
    jobs_append(worker, mark);
    enter(self, mark);
    return mark;
}

job_t *
jobs_again(jobs_t *self, const uint8_t handle[JOB_BYTES], bool late, job_list_t *worker, int64_t since_ms)
{
    if (find(self, handle))
        return NULL;
    if (late)
        return put_mark(self, handle, worker);
    job_t *job = new_job(self);
    memcpy(job->handle, handle, JOB_BYTES);
    put(self, job, worker, since_ms);
    return job;
}

void
jobs_take(jobs_t *self, job_t *job, bool leave_mark)
{
    job_list_t *worker = job->in;
    jobs_remove(job);
    leave(self, job);
    job->given = false;
    if (!job->late) {
        remove_by_time(self, job);
        self->given--;
    }
    if (leave_mark)
        put_mark(self, job->handle, worker);
}

void
jobs_forget(jobs_t *self, job_t *job)
{
    if (job->given)
        jobs_take(self, job, false);
    else if (job->in)
        jobs_remove(job);
    if (job->chunk)
        chunk_drop(job->chunk);
    free_job(self, job);
}

void
jobs_free(jobs_t *self)
{
    if (self->stock)
        chunk_drop(self->stock);
    for (job_t *job; (job = self->spare); free(job))
        self->spare = job->next;
    free(self->buckets);
    self->spares = 0;
    self->stock = NULL;
    self->buckets = NULL;
    self->bucket_count = 0;
}
