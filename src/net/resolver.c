// SPDX-License-Identifier: MPL-2.0
//
// A job is a name that is being looked up, a lookup is somebody who waits for it. A
// thread lives as long as there are jobs that no other has begun. getaddrinfo(3)
// cannot be broken off: a thread that is in it when all is over frees what is left.
#include "net/resolver.h"

#include "base/bell.h"
#include "base/mem.h"

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS_MAX = 8, ADDRESSES_MAX = 16 };

typedef enum { JOB_NEW, JOB_BEGUN, JOB_DONE } job_state_t;

typedef struct job {
    struct job *next; // of those that are not done
    char host[256];
    bool ipv6;
    job_state_t state;
    lookup_t *lookups;
    address_t addresses[ADDRESSES_MAX];
    size_t count;
    char reason[160];
} query_t;

struct lookup {
    lookup_t *next; // of the same job
    resolver_t *resolver;
    query_t *job;
    int bell;
};

struct resolver {
    pthread_mutex_t lock;
    query_t *jobs; // oldest first
    unsigned threads;
    bool closed;
};

// Unlocks, and frees when nobody is left.
static void
leave(resolver_t *self)
{
    bool is_last = self->closed && self->threads == 0;
    pthread_mutex_unlock(&self->lock);
    if (!is_last)
        return;
    pthread_mutex_destroy(&self->lock);
    free(self);
}

// --- the threads ----------------------------------------------------------------------

static void
take_addresses(query_t *job, const struct addrinfo *found)
{
    for (; found && job->count < ADDRESSES_MAX; found = found->ai_next) {
        address_t *address = &job->addresses[job->count];
        if (found->ai_addrlen > sizeof address->at)
            continue;
        memcpy(&address->at, found->ai_addr, found->ai_addrlen);
        address->length = found->ai_addrlen;
        job->count++;
    }
}

static void
look_up(query_t *job)
{
    struct addrinfo hints = { .ai_family = job->ipv6 ? AF_UNSPEC : AF_INET, .ai_socktype = SOCK_STREAM }, *found = NULL;
    int rc = getaddrinfo(job->host, NULL, &hints, &found);
    if (rc == 0)
        take_addresses(job, found);
    if (found)
        freeaddrinfo(found);
    if (job->count == 0)
        snprintf(job->reason, sizeof job->reason, "%s", rc == EAI_SYSTEM ? strerror(errno) : gai_strerror(rc));
}

static void
remove_job(resolver_t *self, const query_t *job)
{
    query_t **link = &self->jobs;
    while (*link != job)
        link = &(*link)->next;
    *link = job->next;
}

static void
finish(resolver_t *self, query_t *job)
{
    remove_job(self, job);
    job->state = JOB_DONE;
    for (const lookup_t *lookup = job->lookups; lookup; lookup = lookup->next)
        bell_ring(lookup->bell);
    if (!job->lookups)
        free(job);
}

static query_t *
begin_job(resolver_t *self)
{
    query_t *job = self->jobs;
    while (job && job->state != JOB_NEW)
        job = job->next;
    if (job)
        job->state = JOB_BEGUN;
    return job;
}

static void *
run(void *arg)
{
    resolver_t *self = arg;
    query_t *job;
    pthread_setname_np(pthread_self(), "zb:resolve");
    pthread_mutex_lock(&self->lock);
    while ((job = begin_job(self))) {
        pthread_mutex_unlock(&self->lock);
        look_up(job);
        pthread_mutex_lock(&self->lock);
        finish(self, job);
    }
    self->threads--;
    leave(self);
    return NULL;
}

static int
start_thread(resolver_t *self)
{
    sigset_t all, before;
    pthread_t thread;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&thread, NULL, run, self);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error)
        return error;
    pthread_detach(thread);
    self->threads++;
    return 0;
}

// --- who asks -------------------------------------------------------------------------

static query_t *
find_job(const resolver_t *self, const char *host, bool ipv6)
{
    query_t *job = self->jobs;
    while (job && (strcmp(job->host, host) != 0 || job->ipv6 != ipv6))
        job = job->next;
    return job;
}

static query_t *
new_job(resolver_t *self, const char *host, bool ipv6)
{
    query_t *job = xcalloc(1, sizeof *job), **last = &self->jobs;
    snprintf(job->host, sizeof job->host, "%s", host);
    job->ipv6 = ipv6;
    while (*last)
        last = &(*last)->next;
    *last = job;
    return job;
}

lookup_t *
lookup_new(resolver_t *resolver, const char *host, bool ipv6, int bell)
{
    lookup_t *self = xcalloc(1, sizeof *self);
    pthread_mutex_lock(&resolver->lock);
    query_t *job = find_job(resolver, host, ipv6);
    bool is_new = !job;
    if (is_new)
        job = new_job(resolver, host, ipv6);
    *self = (lookup_t){ .next = job->lookups, .resolver = resolver, .job = job, .bell = bell };
    job->lookups = self;
    int error = is_new && resolver->threads < THREADS_MAX ? start_thread(resolver) : 0;
    if (error && resolver->threads == 0) { // nobody will come to it
        snprintf(job->reason, sizeof job->reason, "no thread for it: %s", strerror(error));
        finish(resolver, job);
    }
    pthread_mutex_unlock(&resolver->lock);
    return self;
}

bool
lookup_take(lookup_t *self, address_t **addresses, size_t *count, const char **reason)
{
    const query_t *job = self->job;
    pthread_mutex_lock(&self->resolver->lock);
    bool is_done = job->state == JOB_DONE;
    pthread_mutex_unlock(&self->resolver->lock);
    if (!is_done)
        return false;
    *count = job->count;
    *reason = job->reason;
    *addresses = xcalloc(job->count, sizeof **addresses);
    memcpy(*addresses, job->addresses, job->count * sizeof **addresses);
    return true;
}

// A job that nobody waits for is not begun; one that was begun is freed by its thread.
void
lookup_drop(lookup_t **self_p)
{
    lookup_t *self = *self_p;
    if (!self)
        return;
    resolver_t *resolver = self->resolver;
    query_t *job = self->job;
    pthread_mutex_lock(&resolver->lock);
    lookup_t **link = &job->lookups;
    while (*link != self)
        link = &(*link)->next;
    *link = self->next;
    if (!job->lookups && job->state == JOB_NEW)
        remove_job(resolver, job);
    if (!job->lookups && job->state != JOB_BEGUN)
        free(job);
    pthread_mutex_unlock(&resolver->lock);
    free(self);
    *self_p = NULL;
}

// --- life -----------------------------------------------------------------------------

resolver_t *
resolver_new(void)
{
    resolver_t *self = xcalloc(1, sizeof *self);
    pthread_mutex_init(&self->lock, NULL);
    return self;
}

void
resolver_free(resolver_t **self_p)
{
    resolver_t *self = *self_p;
    if (!self)
        return;
    pthread_mutex_lock(&self->lock);
    self->closed = true;
    leave(self);
    *self_p = NULL;
}
