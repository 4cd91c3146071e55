// SPDX-License-Identifier: MPL-2.0
#include "flow/capacity.h"

#include "base/mem.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

typedef struct {
    _Atomic size_t taken, limit;
} places_t;

struct capacity {
    places_t clients, unnamed;
    pthread_mutex_t lock; // over what follows
    bool full;            // as was told
    void (*on_full)(bool full, void *arg);
    void *arg;
};

// Is the last one of LIMIT (0: none) taken where TAKEN are?
static bool
is_last(size_t taken, size_t limit)
{
    return limit && taken >= limit;
}

static bool
take(places_t *self)
{
    size_t taken = atomic_load(&self->taken);
    do {
        if (is_last(taken, atomic_load(&self->limit)))
            return false;
    } while (!atomic_compare_exchange_weak(&self->taken, &taken, taken + 1));
    return true;
}

// Whoever comes or goes changes the number first, so the last to look here sees what holds.
static void
tell(capacity_t *self)
{
    pthread_mutex_lock(&self->lock);
    bool full = capacity_is_full(self);
    if (full != self->full) {
        self->full = full;
        self->on_full(full, self->arg);
    }
    pthread_mutex_unlock(&self->lock);
}

capacity_t *
capacity_new(void)
{
    capacity_t *self = xcalloc(1, sizeof *self);
    pthread_mutex_init(&self->lock, NULL);
    atomic_store(&self->unnamed.limit, SIZE_MAX);
    return self;
}

void
capacity_destroy(capacity_t **self_p)
{
    capacity_t *self = *self_p;
    if (!self)
        return;
    pthread_mutex_destroy(&self->lock);
    free(self);
    *self_p = NULL;
}

void
capacity_limit(capacity_t *self, size_t limit, void (*on_full)(bool full, void *arg), void *arg)
{
    pthread_mutex_lock(&self->lock);
    self->on_full = on_full;
    self->arg = arg;
    pthread_mutex_unlock(&self->lock);
    atomic_store(&self->clients.limit, limit);
    tell(self);
}

bool
capacity_is_full(const capacity_t *self)
{
    return is_last(atomic_load(&((capacity_t *)self)->clients.taken),
                   atomic_load(&((capacity_t *)self)->clients.limit));
}

size_t
capacity_most(const capacity_t *self)
{
    return atomic_load(&((capacity_t *)self)->clients.limit);
}

bool
capacity_take(capacity_t *self)
{
    if (!take(&self->clients))
        return false;
    if (capacity_is_full(self))
        tell(self);
    return true;
}

void
capacity_give(capacity_t *self)
{
    capacity_count(self, -1);
}

void
capacity_count(capacity_t *self, ptrdiff_t change)
{
    size_t before = atomic_fetch_add(&self->clients.taken, (size_t)change), limit = atomic_load(&self->clients.limit);
    if (is_last(before, limit) != is_last(before + (size_t)change, limit))
        tell(self);
}

void
capacity_limit_unnamed(capacity_t *self, size_t limit)
{
    atomic_store(&self->unnamed.limit, limit);
}

bool
capacity_take_unnamed(capacity_t *self)
{
    return take(&self->unnamed);
}

void
capacity_give_unnamed(capacity_t *self)
{
    atomic_fetch_sub(&self->unnamed.taken, 1);
}

size_t
capacity_unnamed_of_side(const capacity_t *self)
{
    size_t limit = atomic_load(&((capacity_t *)self)->unnamed.limit);
    return limit < 4 ? 1 : limit / 4;
}
