// SPDX-License-Identifier: MPL-2.0
#include "wire/chunk.h"

#include "base/mem.h"

#include <stdlib.h>

static const size_t sizes[CHUNK_KEPT] = { CHUNK_SMALL_BYTES, CHUNK_BYTES };
static const unsigned kept_most[CHUNK_KEPT] = { 256, 32 };

void
chunk_pool_told(chunk_pool_t *self)
{
    if (self->memory)
        memory_change(self->memory, (int64_t)self->bytes - (int64_t)self->told);
    self->told = self->bytes;
}

static chunk_kind_t
kind_of(size_t room)
{
    return room <= CHUNK_SMALL_BYTES ? CHUNK_SMALL : room <= CHUNK_BYTES ? CHUNK_USUAL : CHUNK_LARGE;
}

// Without clearing it, which would cost more than all the rest.
static chunk_t *
allocate(chunk_pool_t *pool, chunk_kind_t kind, size_t room)
{
    if (kind != CHUNK_LARGE)
        room = sizes[kind];
    chunk_t *self = xrealloc(NULL, sizeof(chunk_t) + room, 1);
    self->pool = pool;
    self->kind = kind;
    self->room = room;
    return chunk_begin(self);
}

chunk_t *
chunk_new(chunk_pool_t *pool, size_t room)
{
    chunk_kind_t kind = kind_of(room);
    bool is_kept = kind != CHUNK_LARGE && pool->kept[kind];
    return is_kept ? chunk_take(pool, kind) : allocate(pool, kind, room);
}

void
chunk_free(chunk_t *self)
{
    chunk_pool_t *pool = self->pool;
    chunk_kind_t kind = self->kind;
    pool->bytes -= self->room;
    if (kind == CHUNK_LARGE || pool->count[kind] >= kept_most[kind]) {
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
    for (unsigned kind = 0; kind < CHUNK_KEPT; kind++)
        while (self->kept[kind]) {
            chunk_t *chunk = self->kept[kind];
            self->kept[kind] = chunk->next;
            free(chunk);
        }
    chunk_pool_told(self);
    *self = (chunk_pool_t){ .bytes = self->bytes, .memory = self->memory, .told = self->told };
}
