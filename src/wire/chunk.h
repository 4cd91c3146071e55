// SPDX-License-Identifier: MPL-2.0
// chunk.h - counted pieces of memory, through which all bytes of a route pass:
// read into one, and sent out of it again. Several queues may hold parts of the
// same chunk.
//
// A pool belongs to one thread, and so does every chunk of it. Its owner tells the
// process's count of memory now and then.

#ifndef ZB_CHUNK_H
#define ZB_CHUNK_H

#include "flow/memory.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CHUNK_BYTES = 64 * 1024, CHUNK_SMALL_BYTES = 4 * 1024 };

#define CHUNK_TOLD_EVERY ((size_t)256 * 1024)

// Two sizes are used again and again; what is larger has the size that was asked for.
typedef enum { CHUNK_SMALL, CHUNK_USUAL, CHUNK_LARGE, CHUNK_KEPT = CHUNK_LARGE } chunk_kind_t;

typedef struct chunk_pool chunk_pool_t;

typedef struct chunk {
    chunk_pool_t *pool;
    struct chunk *next; // in the pool
    size_t room, size;
    uint32_t refs;
    chunk_kind_t kind;
    uint8_t data[];
} chunk_t;

// All zeros is an empty one. What is kept for the next who needs one is bounded.
struct chunk_pool {
    chunk_t *kept[CHUNK_KEPT];
    unsigned count[CHUNK_KEPT];
    size_t bytes; // of all chunks in use
    memory_t *memory; // of the process, NULL: not counted there
    size_t told;      // of BYTES, what was
};

chunk_t *chunk_new(chunk_pool_t *pool, size_t room); // at least ROOM bytes, none used, one holder
void chunk_free(chunk_t *self);                      // nobody holds it any more
void chunk_pool_empty(chunk_pool_t *self);           // free what is kept
void chunk_pool_told(chunk_pool_t *self);            // the process knows how much is in use

// The same if that has changed much, so that threads seldom meet.
static inline void
chunk_pool_tell(chunk_pool_t *self)
{
    bool much = self->bytes + CHUNK_TOLD_EVERY - self->told > 2 * CHUNK_TOLD_EVERY; // more, or fewer
    if (much)
        chunk_pool_told(self);
}

static inline chunk_t *
chunk_begin(chunk_t *self)
{
    self->pool->bytes += self->room;
    self->refs = 1;
    self->size = 0;
    return self;
}

// One of those that are kept.
static inline chunk_t *
chunk_take(chunk_pool_t *pool, chunk_kind_t kind)
{
    chunk_t *self = pool->kept[kind];
    pool->kept[kind] = self->next;
    pool->count[kind]--;
    return chunk_begin(self);
}

// One of CHUNK_BYTES, which is what most bytes are read into.
static inline chunk_t *
chunk_usual(chunk_pool_t *pool)
{
    return pool->kept[CHUNK_USUAL] ? chunk_take(pool, CHUNK_USUAL) : chunk_new(pool, CHUNK_BYTES);
}

static inline chunk_t *
chunk_hold(chunk_t *self)
{
    self->refs++;
    return self;
}

static inline void
chunk_drop(chunk_t *self)
{
    if (--self->refs == 0)
        chunk_free(self);
}

#endif
