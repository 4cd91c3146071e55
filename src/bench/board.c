// SPDX-License-Identifier: MPL-2.0

#include "bench/board.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

// Sparse: an untouched page costs nothing, so room for the worst case is free.
static void *
shared_memory(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

static size_t
slots_size(const board_t *self)
{
    return (self->producers + self->consumers) * sizeof(board_slot_t);
}

static size_t
bitmap_size(const board_t *self)
{
    return self->bitmap_words * sizeof(uint64_t) * self->producers * (self->bitmap_each ? self->consumers : 1);
}

board_t *
board_new(size_t producers, size_t consumers, bool verify, bool each, uint64_t numbers)
{
    board_t *self = shared_memory(sizeof *self);
    if (!self)
        return NULL;
    self->producers = producers;
    self->consumers = consumers;
    self->bitmap_each = each;
    self->bitmap_words = (size_t)(numbers / 64 + 1);
    self->slot = shared_memory(slots_size(self));
    if (verify && producers && bitmap_size(self))
        self->bitmap = shared_memory(bitmap_size(self));
    if (!self->slot || (verify && producers && bitmap_size(self) && !self->bitmap))
        board_destroy(&self);
    return self;
}

bool
board_note(board_t *self, size_t consumer, size_t producer, uint64_t number)
{
    if (!self->bitmap || number / 64 >= self->bitmap_words)
        return false;
    size_t map = producer + (self->bitmap_each ? consumer * self->producers : 0);
    uint64_t bit = UINT64_C(1) << (number % 64);
    return atomic_fetch_or_explicit(&self->bitmap[map * self->bitmap_words + number / 64], bit, memory_order_relaxed) & bit;
}

void
board_destroy(board_t **self_p)
{
    board_t *self = *self_p;
    if (!self)
        return;
    if (self->bitmap)
        munmap((void *)self->bitmap, bitmap_size(self));
    if (self->slot)
        munmap(self->slot, slots_size(self));
    munmap(self, sizeof *self);
    *self_p = NULL;
}
