// SPDX-License-Identifier: MPL-2.0
#include "wire/chunk.h"

#include "base/mem.h"

#include <stdlib.h>

static const size_t sizes[] = { CHUNK_SMALL_BYTES, CHUNK_BYTES };
static const unsigned kept_most[] = { 256, 32 };

// Of which kind of kept chunk it is, or becomes: COUNT (sizes) for none.
static unsigned
kind_of(size_t room)
{
    unsigned kind = 0;
    while (kind < COUNT(sizes) && room > sizes[kind])
        kind++;
    return kind;
}

// Without clearing it, which would cost more than all the rest.
static chunk_t *
allocate(size_t room)
{
    return xrealloc(NULL, sizeof(chunk_t) + room, 1);
}

chunk_t *
chunk_new(chunk_pool_t *pool, size_t room)
{
    unsigned kind = kind_of(room);
    chunk_t *self = kind < COUNT(sizes) ? pool->kept[kind] : NULL;
    if (self) {
        pool->kept[kind] = self->next;
        pool->count[kind]--;
    } else {
        room = kind < COUNT(sizes) ? sizes[kind] : room;
        self = allocate(room);
        self->pool = pool;
        self->room = room;
    }
    pool->bytes += self->room;
    self->refs = 1;
    self->size = 0;
    return self;
}

void
chunk_free(chunk_t *self)
{
    chunk_pool_t *pool = self->pool;
    unsigned kind = kind_of(self->room);
    pool->bytes -= self->room;
    if (kind == COUNT(sizes) || self->room != sizes[kind] || pool->count[kind] >= kept_most[kind]) {
        free(self);
        return;
    }
    self->next = pool->kept[kind];
    pool->kept[kind] = self;
    pool->count[kind]++;
}

void
chunk_pool_empty(chunk_pool_t *self)
{
    for (unsigned kind = 0; kind < COUNT(sizes); kind++)
        while (self->kept[kind]) {
            chunk_t *chunk = self->kept[kind];
            self->kept[kind] = chunk->next;
            free(chunk);
        }
    *self = (chunk_pool_t){ .bytes = self->bytes };
}
