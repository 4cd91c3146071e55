// SPDX-License-Identifier: MPL-2.0
#include "guard/current.h"

#include "base/mem.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

struct current {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    policy_t *policy;
    unsigned borrowed;
    bool replacing;
    _Atomic uint64_t generation;
};

current_t *
current_new(void)
{
    current_t *self = xcalloc(1, sizeof *self);
    pthread_mutex_init(&self->lock, NULL);
    pthread_cond_init(&self->changed, NULL);
    return self;
}

void
current_free(current_t **self_p)
{
    current_t *self = *self_p;
    if (!self)
        return;
    policy_free(&self->policy);
    pthread_mutex_destroy(&self->lock);
    pthread_cond_destroy(&self->changed);
    free(self);
    *self_p = NULL;
}

// Only the main thread sets it, so there it is read without the lock.
const policy_t *
current_policy(const current_t *self)
{
    return self->policy;
}

// However many threads borrow it, one after the other: while it is to be replaced, nobody borrows it anew.
policy_t *
current_replace(current_t *self, policy_t *policy)
{
    pthread_mutex_lock(&self->lock);
    self->replacing = true;
    while (self->borrowed > 0)
        pthread_cond_wait(&self->changed, &self->lock);
    policy_t *old = self->policy;
    self->policy = policy;
    self->generation++;
    self->replacing = false;
    pthread_cond_broadcast(&self->changed);
    pthread_mutex_unlock(&self->lock);
    return old;
}

const policy_t *
current_borrow(current_t *self)
{
    pthread_mutex_lock(&self->lock);
    while (self->replacing)
        pthread_cond_wait(&self->changed, &self->lock);
    self->borrowed++;
    const policy_t *policy = self->policy;
    pthread_mutex_unlock(&self->lock);
    return policy;
}

void
current_return(current_t *self)
{
    pthread_mutex_lock(&self->lock);
    if (--self->borrowed == 0 && self->replacing)
        pthread_cond_broadcast(&self->changed);
    pthread_mutex_unlock(&self->lock);
}

uint64_t
current_generation(const current_t *self)
{
    return atomic_load_explicit(&self->generation, memory_order_acquire);
}
