// SPDX-License-Identifier: MPL-2.0
#include "guard/passwords.h"

#include "base/clock.h"
#include "base/mem.h"

#include <errno.h>
#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    QUEUE_MAX = 64,
    REMEMBERED = 1024,  // right passwords; a newer one takes the place of an older
    ORIGINS = 1024,     // buckets of the limit; two origins may share one
    TRIES = 20,         // at once, and then
    TRY_EVERY_MS = 500, // one
    PASSWORD_BYTES = 256,
    ROUND_S = 1,
};

typedef struct {
    void *ticket;
    void (*told)(void *ticket, password_result_t *result);
    char *hash; // "" for nobody
    char password[PASSWORD_BYTES];
    size_t size;
    bool right;
    size_t bucket;
    int nth; // of the tries that count against its origin
} password_job_t;

typedef struct {
    unsigned char sum[crypto_generichash_BYTES];
    bool used;
} remembered_t;

typedef struct {
    int64_t since_ms;
    int tries;
} bucket_t;

struct passwords {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t more;
    password_job_t *waiting[QUEUE_MAX]; // in the order in which they came
    size_t count;
    size_t open; // asked and not told yet
    bool stopping;
    _Atomic int64_t round_ms;

    bucket_t buckets[ORIGINS]; // under the lock, as what follows
    remembered_t remembered[REMEMBERED];
    unsigned char key[crypto_generichash_KEYBYTES];
    char nobody[crypto_pwhash_STRBYTES]; // a hash that no password fits; only the thread's
};

static void
free_job(password_job_t *job)
{
    free(job->hash);
    sodium_memzero(job, sizeof *job);
    free(job);
}

// --- what was right once -----------------------------------------------------------

static void
sum_up(const passwords_t *self, const char *hash, const void *password, size_t size, unsigned char sum[])
{
    crypto_generichash_state state;
    crypto_generichash_init(&state, self->key, sizeof self->key, crypto_generichash_BYTES);
    crypto_generichash_update(&state, (const unsigned char *)hash, strlen(hash) + 1);
    crypto_generichash_update(&state, password, size);
    crypto_generichash_final(&state, sum, crypto_generichash_BYTES);
    sodium_memzero(&state, sizeof state);
}

static remembered_t *
memory_of(passwords_t *self, const unsigned char sum[])
{
    uint32_t place;
    memcpy(&place, sum, sizeof place);
    return &self->remembered[place % REMEMBERED];
}

static bool
remembers(passwords_t *self, const char *hash, const void *password, size_t size)
{
    unsigned char sum[crypto_generichash_BYTES];
    sum_up(self, hash, password, size, sum);
    pthread_mutex_lock(&self->lock);
    const remembered_t *memory = memory_of(self, sum);
    bool known = memory->used && sodium_memcmp(memory->sum, sum, sizeof sum) == 0;
    pthread_mutex_unlock(&self->lock);
    return known;
}

static void
remember(passwords_t *self, const password_job_t *job)
{
    unsigned char sum[crypto_generichash_BYTES];
    sum_up(self, job->hash, job->password, job->size, sum);
    pthread_mutex_lock(&self->lock);
    remembered_t *memory = memory_of(self, sum);
    memcpy(memory->sum, sum, sizeof sum);
    memory->used = true;
    pthread_mutex_unlock(&self->lock);
}

// --- the limit ----------------------------------------------------------------------

// Which of the tries that still count this one is. 0: it is one too many.
static int
count_try(bucket_t *bucket)
{
    int64_t now = clock_mono_ms();
    int64_t back = (now - bucket->since_ms) / TRY_EVERY_MS;
    if (back >= bucket->tries) {
        *bucket = (bucket_t){ .since_ms = now };
    } else {
        bucket->tries -= (int)back;
        bucket->since_ms += back * TRY_EVERY_MS;
    }
    return bucket->tries >= TRIES ? 0 : ++bucket->tries;
}

static int
count_try_of(passwords_t *self, size_t bucket)
{
    pthread_mutex_lock(&self->lock);
    int nth = count_try(&self->buckets[bucket]);
    pthread_mutex_unlock(&self->lock);
    return nth;
}

// Under the lock. A whole office behind one address may come at once, as long as it knows its passwords.
static void
close_job(passwords_t *self, const password_job_t *job)
{
    self->open--;
    if (job->right && self->buckets[job->bucket].tries > 0)
        self->buckets[job->bucket].tries--;
}

// Frees it.
static password_result_t
result_of(password_job_t *job)
{
    password_result_t result = { .ticket = job->ticket, .hash = job->hash, .right = job->right };
    job->hash = NULL;
    free_job(job);
    return result;
}

// --- the thread ---------------------------------------------------------------------

static void
tell(passwords_t *self, password_job_t *job)
{
    void (*told)(void *ticket, password_result_t *result) = job->told;
    pthread_mutex_lock(&self->lock);
    close_job(self, job);
    pthread_mutex_unlock(&self->lock);
    password_result_t result = result_of(job);
    told(result.ticket, &result);
}

// For more to do, but not longer than a sign of life may be away.
static void
wait_a_round(passwords_t *self)
{
    struct timespec until;
    self->round_ms = clock_mono_ms();
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ROUND_S;
    pthread_cond_timedwait(&self->more, &self->lock, &until);
}

// Whoever has tried least goes first: nobody waits for all the guesses of somebody else.
static password_job_t *
take_job(passwords_t *self)
{
    size_t next = 0;
    for (size_t i = 1; i < self->count; i++)
        if (self->waiting[i]->nth < self->waiting[next]->nth)
            next = i;
    password_job_t *job = self->waiting[next];
    self->count--;
    memmove(&self->waiting[next], &self->waiting[next + 1], (self->count - next) * sizeof job);
    return job;
}

static password_job_t *
next_job(passwords_t *self)
{
    password_job_t *job = NULL;
    pthread_mutex_lock(&self->lock);
    while (!self->count && !self->stopping)
        wait_a_round(self);
    self->round_ms = clock_mono_ms();
    if (!self->stopping)
        job = take_job(self);
    pthread_mutex_unlock(&self->lock);
    return job;
}

// A name that is not there must cost as much as one that is.
static const char *
nobodys_hash(passwords_t *self)
{
    char secret[32];
    randombytes_buf(secret, sizeof secret);
    if (!*self->nobody && crypto_pwhash_str(self->nobody, secret, sizeof secret, crypto_pwhash_OPSLIMIT_INTERACTIVE,
                                            crypto_pwhash_MEMLIMIT_INTERACTIVE) == -1)
        *self->nobody = '\0';
    return self->nobody;
}

static void *
work(void *arg)
{
    passwords_t *self = arg;
    password_job_t *job;
    pthread_setname_np(pthread_self(), "zb:verify");
    while ((job = next_job(self))) {
        const char *hash = *job->hash ? job->hash : nobodys_hash(self);
        job->right = crypto_pwhash_str_verify(hash, job->password, job->size) == 0 && *job->hash;
        if (job->right)
            remember(self, job);
        sodium_memzero(job->password, sizeof job->password);
        tell(self, job);
    }
    return NULL;
}

// --- the asker ----------------------------------------------------------------------

passwords_t *
passwords_new(void)
{
    passwords_t *self = xcalloc(1, sizeof *self);
    randombytes_buf(self->key, sizeof self->key);
    pthread_mutex_init(&self->lock, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&self->more, &attributes);
    pthread_condattr_destroy(&attributes);
    self->round_ms = clock_mono_ms();
    int error = pthread_create(&self->thread, NULL, work, self);
    if (error) {
        free(self);
        errno = error;
        return NULL;
    }
    return self;
}

static bool
enqueue(passwords_t *self, password_job_t *job)
{
    pthread_mutex_lock(&self->lock);
    bool room = self->open < QUEUE_MAX;
    if (room) {
        self->waiting[self->count++] = job;
        self->open++;
        pthread_cond_signal(&self->more);
    }
    pthread_mutex_unlock(&self->lock);
    return room;
}

password_answer_t
passwords_ask(passwords_t *self, void *ticket, uint64_t origin, const char *hash, const void *password, size_t size,
              void (*told)(void *ticket, password_result_t *result))
{
    if (hash && size < PASSWORD_BYTES && remembers(self, hash, password, size))
        return PASSWORD_RIGHT;
    size_t bucket = origin % ORIGINS;
    int nth = count_try_of(self, bucket);
    if (nth == 0)
        return PASSWORD_LIMITED;
    password_job_t *job = xcalloc(1, sizeof *job);
    bool fits = hash && size < PASSWORD_BYTES;
    *job = (password_job_t){
        .ticket = ticket, .told = told, .hash = xstrdup(fits ? hash : ""), .size = fits ? size : 0, .bucket = bucket, .nth = nth
    };
    if (job->size)
        memcpy(job->password, password, job->size);
    if (enqueue(self, job))
        return PASSWORD_QUEUED;
    free_job(job);
    return PASSWORD_BUSY;
}

int64_t
passwords_age_ms(const passwords_t *self)
{
    int64_t age = clock_mono_ms() - self->round_ms;
    return age > 0 ? age : 0;
}

void
passwords_destroy(passwords_t **self_p)
{
    passwords_t *self = *self_p;
    if (!self)
        return;
    pthread_mutex_lock(&self->lock);
    self->stopping = true;
    pthread_cond_signal(&self->more);
    pthread_mutex_unlock(&self->lock);
    pthread_join(self->thread, NULL);
    while (self->count > 0) {
        password_job_t *job = self->waiting[--self->count];
        job->told(job->ticket, NULL);
        free_job(job);
    }
    pthread_mutex_destroy(&self->lock);
    pthread_cond_destroy(&self->more);
    sodium_memzero(self, sizeof *self);
    free(self);
    *self_p = NULL;
}
