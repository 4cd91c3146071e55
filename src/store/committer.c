// SPDX-License-Identifier: MPL-2.0
#include "store/committer.h"

#include "base/bell.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/thread.h"
#include "store/lmdbfile.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    STACK_BYTES = 256 * 1024,
    AGAIN_MS = 100,         // after what could not be written
    FILES = 8,              // so many make up the whole, if it is small
    TREE_BYTES = 16 * 4096, // what a commit takes besides its value
    MAP_MORE = 4 * 1024 * 1024,
};

#define FILE_MOST (UINT64_C(256) << 20)
#define FILE_LEAST (UINT64_C(128) << 10)
#define BATCH_MOST (UINT64_C(1) << 20)
#define BATCH_LEAST (UINT64_C(64) << 10)

typedef struct {
    batch_t *first, **end;
} queue_t;

typedef struct retiring {
    struct retiring *next;
    file_name_t file;
    bool keep;
    batch_t *notes;
} retiring_t;

typedef struct reading {
    struct reading *next;
    batch_t *batch;
    located_t located;
    file_name_t file;
} reading_t;

typedef struct {
    file_name_t *at;
    size_t count, room;
} names_t;

struct committer {
    folder_t *folder;
    pthread_t thread;
    bool started;
    int bell;
    char name[16];

    pthread_mutex_t lock; // over all that follows, up to the next line
    pthread_cond_t work;
    queue_t given, committed, read;
    reading_t *readings, **readings_end;
    retiring_t *retiring, **retiring_end;
    names_t made, gone;
    contents_t contents;
    bool has_contents;
    int64_t ids_since_ns;
    committer_news_t news;
    bool stops;
    int64_t deadline_ms;
    _Atomic bool given_up;
    _Atomic uint64_t max_bytes;
    uint8_t key[IDS_KEY]; // of ids: in the first batch of each file

    // The thread's own.
    batch_t *stuck; // does not fit
    batch_t *owed;  // was said, and does not fit either
    lmdbfile_t *file;
    file_name_t file_name;
    uint64_t file_bytes, committed_to;
    uint32_t next_file;
    bool again; // a file could not be retired
    int read_fd;
    uint32_t read_file;
};

uint64_t
committer_file_bytes(uint64_t max_bytes)
{
    uint64_t bytes = max_bytes / FILES;
    return bytes > FILE_MOST ? FILE_MOST : bytes < FILE_LEAST ? FILE_LEAST : bytes;
}

uint64_t
committer_batch_bytes(uint64_t max_bytes)
{
    uint64_t bytes = committer_file_bytes(max_bytes) / 2;
    return bytes > BATCH_MOST ? BATCH_MOST : bytes < BATCH_LEAST ? BATCH_LEAST : bytes;
}

// --- queues ----------------------------------------------------------------------------

static void
put(queue_t *self, batch_t *batch)
{
    batch->next = NULL;
    *(self->first ? self->end : &self->first) = batch;
    self->end = &batch->next;
}

static batch_t *
take(queue_t *self)
{
    batch_t *batch = self->first;
    if (batch)
        self->first = batch->next;
    return batch;
}

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

static void
add_name(names_t *self, const file_name_t *name)
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

// --- files -----------------------------------------------------------------------------

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

static void
count_bytes(committer_t *self, int64_t more)
{
    pthread_mutex_lock(&self->lock);
    self->news.bytes += (uint64_t)more;
    pthread_mutex_unlock(&self->lock);
}

static uint64_t
size_of(const committer_t *self, const file_name_t *file)
{
    char name[FOLDER_NAME];
    struct stat st;
    folder_name(file, name);
    return fstatat(folder_fd(self->folder), name, &st, AT_SYMLINK_NOFOLLOW) == 0 ? (uint64_t)st.st_size : 0;
}

static void
measure(committer_t *self)
{
    uint64_t bytes = size_of(self, &self->file_name);
    count_bytes(self, (int64_t)(bytes - self->file_bytes));
    self->file_bytes = bytes;
}

static int
make_file(committer_t *self, uint64_t need)
{
    int error = 0;
    char name[FOLDER_NAME];
    file_name_t file = { .number = self->next_file, .first = self->committed_to };
    if (getrandom(&file.salt, sizeof file.salt, 0) != sizeof file.salt)
        return errno;
    if (folder_make_file(self->folder, &file) == -1)
        return errno;
    folder_name(&file, name);
    uint64_t map = committer_file_bytes(self->max_bytes) + need + MAP_MORE;
    self->file = lmdbfile_open(folder_fd(self->folder), name, map, &error);
    if (!self->file) {
        folder_remove_file(self->folder, &file, false);
        return error;
    }
    self->next_file++;
    self->file_name = file;
    self->file_bytes = 0;
    pthread_mutex_lock(&self->lock);
    add_name(&self->made, &file);
    pthread_mutex_unlock(&self->lock);
    return 0;
}

// --- writing ---------------------------------------------------------------------------

static uint64_t
need_of(const batch_t *batch)
{
    return batch_bytes(&batch->head) + TREE_BYTES;
}

static void
count_commit(committer_t *self, int64_t ns)
{
    unsigned bucket = 0;
    while (ns > store_bucket_ns(bucket))
        bucket++;
    pthread_mutex_lock(&self->lock);
    self->news.commits[bucket]++;
    self->news.commit_ns += (uint64_t)ns;
    pthread_mutex_unlock(&self->lock);
}

// The head of BATCH, its entries and what is said in it, as they go on the disk.
static uint8_t *
write_control(committer_t *self, batch_t *batch, size_t *size)
{
    batch_head_t *head = &batch->head;
    head->salt = self->file_name.salt;
    head->wall_ns = clock_wall_ns();
    if (head->messages == 0)
        head->first = self->committed_to;
    uint64_t end = head->first + head->messages;
    head->done_before = head->done_before < end ? head->done_before : end;
    size_t entries = head->messages * sizeof(entry_t), said = head->said * sizeof(said_t);
    *size = BATCH_HEAD + entries + said;
    uint8_t *at = xcalloc(*size, 1);
    if (entries > 0)
        memcpy(at + BATCH_HEAD, batch->entries, entries);
    if (said > 0)
        memcpy(at + BATCH_HEAD + entries, batch->saying, said);
    batch_write_head(at, head, at + BATCH_HEAD);
    return at;
}

static int
append(committer_t *self, batch_t *batch)
{
    size_t size;
    bool begins_file = self->file_bytes == 0;
    if (begins_file)
        batch_say(batch, SAID_KEY, 0, self->key, sizeof self->key);
    uint8_t *control = write_control(self, batch, &size);
    const struct iovec parts[] = { { control, size }, { batch->data, batch->head.data } };
    int64_t start = clock_mono_ns();
    int error = lmdbfile_append(self->file, parts, COUNT(parts), &batch->offset);
    if (error == 0)
        count_commit(self, clock_mono_ns() - start);
    batch->head.said -= begins_file;
    free(control);
    return error;
}

// What has failed may have left half a batch where the next one would go: that one goes to another file.
static int
write_batch(committer_t *self, batch_t *batch)
{
    uint64_t need = need_of(batch), end = batch->head.first + batch->head.messages;
    if (self->file && self->file_bytes > 0 && self->file_bytes + need > committer_file_bytes(self->max_bytes))
        lmdbfile_close(&self->file);
    int error = self->file ? 0 : make_file(self, need);
    if (error)
        return error;
    error = append(self, batch);
    measure(self);
    if (error) {
        lmdbfile_close(&self->file);
        return error;
    }
    batch->file = self->file_name.number;
    if (batch->head.messages > 0)
        self->committed_to = end;
    return 0;
}

// Messages leave room for what will be said of them.
static store_state_t
room_for(committer_t *self, const batch_t *batch)
{
    bool has_messages = batch->head.messages > 0;
    uint64_t need = need_of(batch), room = folder_room(self->folder);
    if (has_messages && self->news.bytes + need > self->max_bytes)
        return STORE_FULL;
    return room < (has_messages ? 2 * (need + BATCH_LEAST) : need) ? STORE_NO_DISK : STORE_READY;
}

// STORE_READY: it is on the disk. Else why not, and nothing has changed.
static store_state_t
try_to_write(committer_t *self, batch_t *batch, int *error)
{
    store_state_t state = room_for(self, batch);
    *error = state == STORE_READY ? write_batch(self, batch) : 0;
    if (*error == 0)
        return state;
    bool is_full = *error == ENOSPC || *error == EDQUOT || folder_room(self->folder) < 2 * need_of(batch);
    return is_full ? STORE_NO_DISK : STORE_FAILED;
}

static void
reach(committer_t *self, uint64_t said)
{
    pthread_mutex_lock(&self->lock);
    self->news.said = said > self->news.said ? said : self->news.said;
    pthread_mutex_unlock(&self->lock);
    bell_ring(self->bell);
}

static void
give_back(committer_t *self, batch_t *batch)
{
    reach(self, batch->said_number);
    pthread_mutex_lock(&self->lock);
    put(&self->committed, batch);
    pthread_mutex_unlock(&self->lock);
    bell_ring(self->bell);
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
    if (self->owed && try_to_write(self, self->owed, &error) == STORE_READY) {
        batch_free(self->owed);
        self->owed = NULL;
    }
    reach(self, said);
}

// --- commands --------------------------------------------------------------------------

static void
commit(committer_t *self, batch_t *batch)
{
    int error;
    batch_seal(batch);
    store_state_t state = try_to_write(self, batch, &error);
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
    self->read_fd = folder_open_file(self->folder, file, &bytes);
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
    put(&self->read, batch);
    pthread_mutex_unlock(&self->lock);
    bell_ring(self->bell);
    free(reading);
}

// The notes go to another file than the one that goes. If they cannot be written it stays, until it is tried again.
static bool
retire(committer_t *self, retiring_t *retiring)
{
    if (self->file && self->file_name.number == retiring->file.number)
        lmdbfile_close(&self->file);
    int error;
    if (retiring->notes && try_to_write(self, retiring->notes, &error) != STORE_READY)
        return false;
    if (retiring->notes)
        batch_free(retiring->notes);
    if (self->read_fd != -1 && self->read_file == retiring->file.number) {
        close(self->read_fd);
        self->read_fd = -1;
    }
    count_bytes(self, -(int64_t)size_of(self, &retiring->file));
    folder_remove_file(self->folder, &retiring->file, retiring->keep);
    pthread_mutex_lock(&self->lock);
    add_name(&self->gone, &retiring->file);
    if (self->news.state == STORE_FULL)
        self->news.state = STORE_READY; // what is stuck is tried next
    pthread_mutex_unlock(&self->lock);
    bell_ring(self->bell);
    free(retiring);
    return true;
}

// --- the thread ------------------------------------------------------------------------

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
    reading_t *reading;
    retiring_t *retiring;
    batch_t *batch;
} work_t;

// Behind a batch that is stuck only what has no messages is taken.
static work_t
next_work(committer_t *self)
{
    work_t work = { 0 };
    bool again = self->stuck || self->owed || self->again;
    batch_t *words = self->stuck ? take_words(&self->given) : NULL;
    if (again && !self->readings && !words && (self->stuck || !self->given.first))
        wait_a_moment(self);
    while (!again && !has_work(self) && !is_over(self))
        pthread_cond_wait(&self->work, &self->lock);
    if ((work.reading = self->readings))
        self->readings = work.reading->next;
    if ((work.retiring = self->retiring))
        self->retiring = work.retiring->next;
    work.batch = self->stuck ? words : take(&self->given);
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
serve(committer_t *self, work_t work)
{
    if (work.reading)
        read_one(self, work.reading);
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
}

static void
read_contents(committer_t *self)
{
    contents_t contents;
    int rc = recover(self->folder, self->ids_since_ns, &contents), error = errno;
    if (!contents.has_key && getrandom(contents.ids.key, IDS_KEY, 0) != IDS_KEY)
        rc = -1, error = errno;
    memcpy(self->key, contents.ids.key, IDS_KEY);
    self->committed_to = contents.next_sequence;
    self->next_file = contents.next_file;
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
    lmdbfile_close(&self->file);
    if (self->read_fd != -1)
        close(self->read_fd);
}

static void *
run(void *arg)
{
    committer_t *self = arg;
    pthread_setname_np(pthread_self(), self->name);
    if (folder_enter(self->folder, &self->given_up))
        work_until_the_end(self);
    return NULL;
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
committer_start(committer_t *self, const char *name, int bell, const store_conf_t *conf)
{
    snprintf(self->name, sizeof self->name, "zs:%.12s", name);
    self->bell = bell;
    self->max_bytes = conf->max_bytes;
    self->ids_since_ns = clock_wall_ns() - conf->dedupe_ms * 1000000;
    self->started = thread_start(&self->thread, STACK_BYTES, run, self) == 0;
    return self->started ? 0 : -1;
}

void
committer_change(committer_t *self, const store_conf_t *conf)
{
    self->max_bytes = conf->max_bytes;
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
        put(&self->read, reading->batch);
    }
}

batch_t *
committer_lost(committer_t *self)
{
    batch_t *batch = self->stuck;
    self->stuck = NULL;
    return batch ? batch : take(&self->given);
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
committer_commit(committer_t *self, batch_t *batch)
{
    pthread_mutex_lock(&self->lock);
    put(&self->given, batch);
    pthread_cond_signal(&self->work);
    pthread_mutex_unlock(&self->lock);
}

static batch_t *
take_locked(committer_t *self, queue_t *queue)
{
    pthread_mutex_lock(&self->lock);
    batch_t *batch = take(queue);
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
committer_retire(committer_t *self, const file_name_t *file, bool keep, batch_t *notes)
{
    retiring_t *retiring = xcalloc(1, sizeof *retiring);
    *retiring = (retiring_t){ NULL, *file, keep, notes };
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
