// SPDX-License-Identifier: MPL-2.0
#include "flow/turn.h"

#include "base/mem.h"

#include <pthread.h>
#include <stdatomic.h>

struct turn {
    pthread_mutex_t lock;
    _Atomic bool lent; // changes under the lock
    bool used;         // since it was lent
    turn_owner_t owner;
    turn_t *next; // of those that nobody owns
};

// Whoever looks at one may do so a moment too late, so none is ever freed.
static pthread_mutex_t spare_lock = PTHREAD_MUTEX_INITIALIZER;
static turn_t *spare;

static turn_t *
take_spare(void)
{
    pthread_mutex_lock(&spare_lock);
    turn_t *self = spare;
    if (self)
        spare = self->next;
    pthread_mutex_unlock(&spare_lock);
    return self;
}

turn_t *
turn_new(const turn_owner_t *owner)
{
    turn_t *self = take_spare();
    if (!self) {
        self = xcalloc(1, sizeof *self);
        pthread_mutex_init(&self->lock, NULL);
    }
    pthread_mutex_lock(&self->lock);
    self->owner = *owner;
    return self;
}

void
turn_end(turn_t **self_p)
{
    turn_t *self = *self_p;
    if (!self)
        return;
    *self_p = NULL;
    pthread_mutex_unlock(&self->lock);
    pthread_mutex_lock(&spare_lock);
    self->next = spare;
    spare = self;
    pthread_mutex_unlock(&spare_lock);
}

void
turn_lend(turn_t *self)
{
    self->used = false;
    atomic_store_explicit(&self->lent, true, memory_order_relaxed);
    pthread_mutex_unlock(&self->lock);
}

bool
turn_take_back(turn_t *self)
{
    pthread_mutex_lock(&self->lock);
    atomic_store_explicit(&self->lent, false, memory_order_relaxed);
    return self->used;
}

bool
turn_is_lent(const turn_t *self)
{
    return atomic_load_explicit(&self->lent, memory_order_relaxed);
}

bool
turn_serve(turn_t *self, void *what)
{
    if (!turn_is_lent(self) || pthread_mutex_trylock(&self->lock) != 0)
        return false;
    bool served = turn_is_lent(self);
    if (served) {
        self->used = true;
        if (!self->owner.serve(self->owner.owner, what)) {
            atomic_store_explicit(&self->lent, false, memory_order_relaxed);
            self->owner.wake(self->owner.sleeper);
        }
    }
    pthread_mutex_unlock(&self->lock);
    return served;
}
