// SPDX-License-Identifier: MPL-2.0
#include "store/committer_internal.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/thread.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { STACK_BYTES = 256 * 1024 };

// --- queues ----------------------------------------------------------------------------

void
queue_put(queue_t *self, batch_t *batch)
{
    batch->next = NULL;
    *(self->first ? self->end : &self->first) = batch;
    self->end = &batch->next;
}

batch_t *
queue_take(queue_t *self)
{
    batch_t *batch = self->first;
    if (batch)
        self->first = batch->next;
    return batch;
}

void
names_add(names_t *self, const file_name_t *name)
{
    mem_grow(self->at, self->count, self->room);
    self->at[self->count++] = *name;
}

static bool
take_name(names_t *self, file_name_t *name)
{
    if (self->count == 0)
        return false;
    *name = self->at[0];
    memmove(self->at, self->at + 1, --self->count * sizeof *name);
    return true;
}

// --- what its owner calls ----------------------------------------------------------------

committer_t *
committer_new(folder_t **folder_p)
{
    committer_t *self = xcalloc(1, sizeof *self);
    pthread_condattr_t monotonic;
    self->folder = *folder_p;
    *folder_p = NULL;
    self->read_fd = -1;
    self->news.state = STORE_OPENING;
    self->readings_end = &self->readings;
    self->retiring_end = &self->retiring;
    pthread_mutex_init(&self->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&self->work, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return self;
}

int
committer_start(committer_t *self, const char *name, int bell, uint64_t max_bytes, int64_t dedupe_ms)
{
    snprintf(self->name, sizeof self->name, "zs:%.12s", name);
    self->bell = bell;
    self->max_bytes = max_bytes;
    self->ids_since_ns = clock_wall_ns() - dedupe_ms * 1000000;
    self->started = thread_start(&self->thread, STACK_BYTES, committing_run, self) == 0;
    return self->started ? 0 : -1;
}

void
committer_change(committer_t *self, uint64_t max_bytes)
{
    self->max_bytes = max_bytes;
}

void
committer_stop(committer_t *self, int64_t wait_ms)
{
    if (!self->started)
        return;
    pthread_mutex_lock(&self->lock);
    self->stops = true;
    self->deadline_ms = clock_mono_ms() + wait_ms;
    self->given_up = true;
    pthread_cond_broadcast(&self->work);
    pthread_mutex_unlock(&self->lock);
    folder_wake();
    pthread_join(self->thread, NULL);
    self->started = false;
    for (reading_t *reading; (reading = self->readings); free(reading)) {
        self->readings = reading->next;
        queue_put(&self->read, reading->batch);
    }
}

batch_t *
committer_lost(committer_t *self)
{
    batch_t *batch = self->stuck;
    self->stuck = NULL;
    return batch ? batch : queue_take(&self->given);
}

void
committer_free(committer_t **self_p)
{
    committer_t *self = *self_p;
    if (!self)
        return;
    committer_stop(self, 0);
    for (retiring_t *retiring; (retiring = self->retiring);) {
        self->retiring = retiring->next;
        if (retiring->notes)
            batch_free(retiring->notes);
        free(retiring);
    }
    if (self->owed)
        batch_free(self->owed);
    if (self->has_contents)
        contents_free(&self->contents);
    idreader_free(&self->idreader);
    ids_free(&self->ids);
    free(self->made.at);
    free(self->gone.at);
    folder_leave(&self->folder);
    pthread_cond_destroy(&self->work);
    pthread_mutex_destroy(&self->lock);
    free(self);
    *self_p = NULL;
}

bool
committer_contents(committer_t *self, contents_t *contents)
{
    pthread_mutex_lock(&self->lock);
    bool has = self->has_contents;
    if (has)
        *contents = self->contents;
    self->has_contents = false;
    pthread_mutex_unlock(&self->lock);
    return has;
}

void
committer_want_ids(committer_t *self)
{
    pthread_mutex_lock(&self->lock);
    self->wants_ids = true;
    pthread_cond_signal(&self->work);
    pthread_mutex_unlock(&self->lock);
}

bool
committer_ids(committer_t *self, ids_t *ids)
{
    pthread_mutex_lock(&self->lock);
    bool has = self->has_ids;
    if (has)
        *ids = self->ids;
    if (has)
        self->ids = (ids_t){ 0 };
    self->has_ids = false;
    pthread_mutex_unlock(&self->lock);
    return has;
}

void
committer_commit(committer_t *self, batch_t *batch)
{
    pthread_mutex_lock(&self->lock);
    queue_put(&self->given, batch);
    pthread_cond_signal(&self->work);
    pthread_mutex_unlock(&self->lock);
}

static batch_t *
take_locked(committer_t *self, queue_t *queue)
{
    pthread_mutex_lock(&self->lock);
    batch_t *batch = queue_take(queue);
    pthread_mutex_unlock(&self->lock);
    return batch;
}

batch_t *
committer_committed(committer_t *self)
{
    return take_locked(self, &self->committed);
}

batch_t *
committer_was_read(committer_t *self)
{
    return take_locked(self, &self->read);
}

void
committer_read(committer_t *self, batch_t *batch, const located_t *located, const file_name_t *file)
{
    reading_t *reading = xcalloc(1, sizeof *reading);
    *reading = (reading_t){ NULL, batch, *located, *file };
    pthread_mutex_lock(&self->lock);
    *(self->readings ? self->readings_end : &self->readings) = reading;
    self->readings_end = &reading->next;
    pthread_cond_signal(&self->work);
    pthread_mutex_unlock(&self->lock);
}

void
committer_retire(committer_t *self, const file_name_t *file, bool keep, uint64_t end, batch_t *notes)
{
    retiring_t *retiring = xcalloc(1, sizeof *retiring);
    *retiring = (retiring_t){ NULL, *file, keep, end, notes };
    pthread_mutex_lock(&self->lock);
    *(self->retiring ? self->retiring_end : &self->retiring) = retiring;
    self->retiring_end = &retiring->next;
    pthread_cond_signal(&self->work);
    pthread_mutex_unlock(&self->lock);
}

bool
committer_made(committer_t *self, file_name_t *file)
{
    pthread_mutex_lock(&self->lock);
    bool any = take_name(&self->made, file);
    pthread_mutex_unlock(&self->lock);
    return any;
}

bool
committer_retired(committer_t *self, uint32_t *number)
{
    file_name_t file;
    pthread_mutex_lock(&self->lock);
    bool any = take_name(&self->gone, &file);
    pthread_mutex_unlock(&self->lock);
    *number = any ? file.number : 0;
    return any;
}

void
committer_news(committer_t *self, committer_news_t *news)
{
    pthread_mutex_lock(&self->lock);
    *news = self->news;
    pthread_mutex_unlock(&self->lock);
}
