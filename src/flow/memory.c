// SPDX-License-Identifier: MPL-2.0
#include "flow/memory.h"

#include "base/log.h"
#include "base/mem.h"

#include <stdlib.h>

memory_t *
memory_new(void)
{
    return xcalloc(1, sizeof(memory_t));
}

void
memory_free(memory_t **self_p)
{
    free(*self_p);
    *self_p = NULL;
}

// Whoever changes the state says so.
static void
set_short(memory_t *self, bool is_short, uint64_t taken, uint64_t limit)
{
    bool was = !is_short;
    if (atomic_compare_exchange_strong(&self->is_short, &was, is_short))
        log_event(is_short ? EVENT_MEMORY_SHORT : EVENT_MEMORY_ROOM, EVENT_NUMBER("bytes", taken),
                  EVENT_NUMBER("limit", limit));
}

void
memory_change(memory_t *self, int64_t bytes)
{
    atomic_fetch_add(&self->taken, bytes);
    uint64_t taken = memory_taken(self), limit = memory_limit_of(self);
    if (limit && taken >= limit / 10 * 9)
        set_short(self, true, taken, limit);
    else if (!limit || taken <= limit / 10 * 8)
        set_short(self, false, taken, limit);
}

void
memory_limit(memory_t *self, uint64_t bytes)
{
    atomic_store(&self->limit, bytes && bytes < MEMORY_LIMIT_LEAST ? MEMORY_LIMIT_LEAST : bytes);
    memory_change(self, 0);
}

uint64_t
memory_taken(const memory_t *self)
{
    int64_t taken = atomic_load(&self->taken);
    return taken > 0 ? (uint64_t)taken : 0;
}

uint64_t
memory_limit_of(const memory_t *self)
{
    return atomic_load(&self->limit);
}
