// SPDX-License-Identifier: MPL-2.0
#include "store/committer_internal.h"

#include "base/bell.h"
#include "base/clock.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

enum {
    AGAIN_MS = 100,      // after what could not be written
    IDS_AT_ONCE = 10000, // when a store is opened; more are read after the first delivery
};

// --- writing ---------------------------------------------------------------------------

static void
count_commit(committer_t *self, int64_t ns)
{
    unsigned bucket = 0;
    while (ns > store_bucket_ns(bucket))
        bucket++;
    self->news.commits[bucket]++;
    self->news.commit_ns += (uint64_t)ns;
}

// A file that it has made is known before what is in it.
static store_state_t
write_batch(committer_t *self, batch_t *batch, int *error)
{
    writer_t *writer = &self->writer;
    uint32_t before = writer->name.number;
    store_state_t state = writer_write(writer, batch, self->max_bytes, error);
    pthread_mutex_lock(&self->lock);
    self->news.bytes = writer->bytes;
    if (writer->name.number != before)
        names_add(&self->made, &writer->name);
    if (state == STORE_READY)
        count_commit(self, writer->commit_ns);
    pthread_mutex_unlock(&self->lock);
    return state;
}

static void
set_state(committer_t *self, store_state_t state, int error)
{
    pthread_mutex_lock(&self->lock);
    bool changed = self->news.state != state;
    self->news.state = state;
    self->news.error = error;
    pthread_mutex_unlock(&self->lock);
    if (changed)
        bell_ring(self->bell);
}

// DONE is given back with it; NULL: nothing is.
static void
reach(committer_t *self, uint64_t said, batch_t *done)
{
    pthread_mutex_lock(&self->lock);
    self->news.said = said > self->news.said ? said : self->news.said;
    if (done)
        queue_put(&self->committed, done);
    pthread_mutex_unlock(&self->lock);
    bell_ring(self->bell);
}

static void
give_back(committer_t *self, batch_t *batch)
{
    reach(self, batch->said_number, batch);
}

// --- what was said ---------------------------------------------------------------------

// Of FROM, from its record OWN on, to be written as soon as it can be.
static void
owe(committer_t *self, batch_t *from, uint32_t own)
{
    if (from->head.said == own)
        return;
    if (!self->owed)
        self->owed = batch_new();
    self->owed->head.number = from->head.number;
    self->owed->head.done_before = from->head.done_before;
    for (uint32_t i = own; i < from->head.said; i++) {
        const said_t *said = &from->saying[i];
        batch_say(self->owed, (said_kind_t)said->kind, said->number, said->about.bytes, sizeof said->about);
    }
    from->head.said = own;
}

// Workers go on while nothing can be written: what was said holds, though a crash now would forget it.
static void
pay(committer_t *self, uint64_t said)
{
    int error;
    if (self->owed && write_batch(self, self->owed, &error) == STORE_READY) {
        batch_free(self->owed);
        self->owed = NULL;
    }
    reach(self, said, NULL);
}

// Batches of messages wait behind the one that is stuck, but not what was said with them: only that makes room.
static void
pay_for_those_behind(committer_t *self)
{
    uint64_t said = 0;
    pthread_mutex_lock(&self->lock);
    for (batch_t *batch = self->given.first; batch; batch = batch->next)
        if (batch->head.messages > 0 && batch->head.said > batch->own_said) {
            owe(self, batch, batch->own_said);
            said = batch->said_number;
        }
    pthread_mutex_unlock(&self->lock);
    if (said > 0)
        pay(self, said);
}

// --- commands --------------------------------------------------------------------------

static void
commit(committer_t *self, batch_t *batch)
{
    int error;
    batch_seal(batch);
    store_state_t state = write_batch(self, batch, &error);
    if (!self->stuck)
        set_state(self, state, error);
    if (state != STORE_READY) {
        owe(self, batch, batch->own_said);
        pay(self, batch->said_number);
    }
    if (state != STORE_READY && batch->head.messages > 0)
        self->stuck = batch;
    else
        give_back(self, batch);
}

static int
file_to_read(committer_t *self, const file_name_t *file)
{
    uint64_t bytes;
    if (self->read_fd != -1 && self->read_file == file->number)
        return self->read_fd;
    if (self->read_fd != -1)
        close(self->read_fd);
    self->read_fd = folder_open_file(self->folder, file, O_RDONLY, &bytes);
    self->read_file = file->number;
    return self->read_fd;
}

static void
read_one(committer_t *self, reading_t *reading)
{
    batch_t *batch = reading->batch;
    int fd = file_to_read(self, &reading->file);
    bool readable = fd != -1 && recover_batch(fd, &reading->located, reading->file.salt, batch);
    batch->head.first = reading->located.first;
    batch->head.messages = reading->located.messages;
    if (!readable) {
        batch->entries = xrealloc(batch->entries, batch->head.messages + 1, sizeof(entry_t));
        for (uint32_t i = 0; i < batch->head.messages; i++)
            batch->entries[i] = (entry_t){ .flags = ENTRY_BAD };
    }
    pthread_mutex_lock(&self->lock);
    queue_put(&self->read, batch);
    pthread_mutex_unlock(&self->lock);
    bell_ring(self->bell);
    free(reading);
}

// Where the disk has no room for the notes, the file itself makes some.
static bool
write_notes(committer_t *self, retiring_t *retiring)
{
    int error;
    store_state_t state = retiring->notes ? write_batch(self, retiring->notes, &error) : STORE_READY;
    if (state == STORE_NO_DISK && !retiring->keep && folder_end_file(self->folder, &retiring->file) == 0) {
        recover_empty(self->folder, &retiring->file);
        state = write_batch(self, retiring->notes, &error);
    }
    return state == STORE_READY;
}

static void
end_retiring(committer_t *self, retiring_t *retiring, bool gone)
{
    pthread_mutex_lock(&self->lock);
    self->news.bytes = self->writer.bytes;
    names_add(&self->gone, gone ? &retiring->file : &(file_name_t){ 0 });
    if (self->news.state == STORE_FULL)
        self->news.state = STORE_READY; // what is stuck is tried next
    pthread_mutex_unlock(&self->lock);
    bell_ring(self->bell);
    if (retiring->notes)
        batch_free(retiring->notes);
    free(retiring);
}

// The notes go to another file than the one that goes. If they cannot be written it stays, until it is tried again.
static bool
retire(committer_t *self, retiring_t *retiring)
{
    if (self->writer.committed_to > retiring->end) {
        end_retiring(self, retiring, false);
        return true;
    }
    retiring->end = UINT64_MAX; // nothing else goes there
    writer_leave(&self->writer, &retiring->file);
    if (!write_notes(self, retiring))
        return false;
    if (self->read_fd != -1 && self->read_file == retiring->file.number) {
        close(self->read_fd);
        self->read_fd = -1;
    }
    writer_remove(&self->writer, &retiring->file, retiring->keep);
    end_retiring(self, retiring, true);
    return true;
}

// --- the thread ------------------------------------------------------------------------

// The first that has no messages, NULL: there is none.
static batch_t *
take_words(queue_t *self)
{
    batch_t **at = &self->first, *before = NULL;
    for (; *at && (*at)->head.messages > 0; at = &before->next)
        before = *at;
    batch_t *words = *at;
    if (!words)
        return NULL;
    *at = words->next;
    if (!words->next && before)
        self->end = &before->next;
    return words;
}

static bool
has_work(const committer_t *self)
{
    return self->readings || self->retiring || self->given.first;
}

static bool
is_over(const committer_t *self)
{
    bool waits = self->given.first || self->stuck || self->owed;
    return self->stops && (!waits || clock_mono_ms() >= self->deadline_ms);
}

static void
wait_a_moment(committer_t *self)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += AGAIN_MS * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000L;
    }
    pthread_cond_timedwait(&self->work, &self->lock, &until);
}

typedef struct {
    reading_t *readings; // all that there are: so one commit says what becomes of many batches
    retiring_t *retiring;
    batch_t *batch;
    bool reads_ids;
} work_t;

static bool
has_ids_to_read(const committer_t *self)
{
    return self->idreader && self->wants_ids;
}

// Behind a batch that is stuck only what has no messages is taken.
static work_t
next_work(committer_t *self)
{
    work_t work = { 0 };
    bool again = self->stuck || self->owed || self->again;
    batch_t *words = self->stuck ? take_words(&self->given) : NULL;
    if (again && !self->readings && !words && !has_ids_to_read(self) && (self->stuck || !self->given.first))
        wait_a_moment(self);
    while (!again && !has_ids_to_read(self) && !has_work(self) && !is_over(self))
        pthread_cond_wait(&self->work, &self->lock);
    work.readings = self->readings;
    self->readings = NULL;
    work.reads_ids = has_ids_to_read(self);
    if ((work.retiring = self->retiring))
        self->retiring = work.retiring->next;
    work.batch = self->stuck ? words : queue_take(&self->given);
    return work;
}

static void
put_back(committer_t *self, retiring_t *retiring)
{
    pthread_mutex_lock(&self->lock);
    retiring->next = self->retiring;
    if (!self->retiring)
        self->retiring_end = &retiring->next;
    self->retiring = retiring;
    pthread_mutex_unlock(&self->lock);
}

static void
read_ids(committer_t *self)
{
    if (idreader_go_on(self->idreader))
        return;
    pthread_mutex_lock(&self->lock);
    idreader_take(self->idreader, &self->ids);
    self->has_ids = true;
    pthread_mutex_unlock(&self->lock);
    idreader_free(&self->idreader);
    bell_ring(self->bell);
}

static void
serve(committer_t *self, work_t work)
{
    self->again = work.retiring && !retire(self, work.retiring);
    if (self->again)
        put_back(self, work.retiring);
    if (work.batch && self->stuck) {
        commit(self, work.batch); // it has words only
        work.batch = NULL;
    }
    if (self->stuck) {
        work.batch = self->stuck;
        self->stuck = NULL;
    }
    if (work.batch)
        commit(self, work.batch);
    else if (self->owed)
        pay(self, 0);
    if (self->stuck)
        pay_for_those_behind(self);
    for (reading_t *reading; (reading = work.readings); read_one(self, reading))
        work.readings = reading->next;
    if (work.reads_ids)
        read_ids(self);
}

static void
begin_ids(committer_t *self, contents_t *contents)
{
    self->idreader = idreader_new(self->folder, self->ids_since_ns, contents);
    contents->ids_later = self->idreader && idreader_count(self->idreader) > IDS_AT_ONCE;
    if (!self->idreader || contents->ids_later)
        return;
    while (idreader_go_on(self->idreader))
        continue;
    idreader_take(self->idreader, &contents->ids);
    idreader_free(&self->idreader);
}

static void
read_contents(committer_t *self)
{
    contents_t contents;
    int rc = recover(self->folder, self->ids_since_ns, &contents), error = errno;
    if (!contents.has_key && getrandom(contents.ids.key, IDS_KEY, 0) != IDS_KEY)
        rc = -1, error = errno;
    self->writer = (writer_t){ .folder = self->folder,
                               .bytes = contents.bytes,
                               .committed_to = contents.next_sequence,
                               .next_file = contents.next_file };
    memcpy(self->writer.key, contents.ids.key, IDS_KEY);
    begin_ids(self, &contents);
    pthread_mutex_lock(&self->lock);
    self->news.bytes = contents.bytes;
    self->news.state = rc == -1 ? STORE_FAILED : STORE_READY;
    self->news.error = rc == -1 ? error : 0;
    self->contents = contents;
    self->has_contents = true;
    pthread_mutex_unlock(&self->lock);
    bell_ring(self->bell);
}

static void
work_until_the_end(committer_t *self)
{
    read_contents(self);
    pthread_mutex_lock(&self->lock);
    while (!is_over(self)) {
        work_t work = next_work(self);
        pthread_mutex_unlock(&self->lock);
        serve(self, work);
        pthread_mutex_lock(&self->lock);
    }
    pthread_mutex_unlock(&self->lock);
    writer_close(&self->writer);
    if (self->read_fd != -1)
        close(self->read_fd);
}

void *
committing_run(void *arg)
{
    committer_t *self = arg;
    pthread_setname_np(pthread_self(), self->name);
    if (folder_enter(self->folder, &self->given_up))
        work_until_the_end(self);
    return NULL;
}
