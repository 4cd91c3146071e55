// SPDX-License-Identifier: MPL-2.0
#include "flow/memory.h"
#include "test.h"
#include "wire/chunk.h"

enum { LIMIT = 100 * 1000 * 1000 };

static void
memory_is_short_at_nine_tenths_until_a_fifth_is_free(void)
{
    memory_t *memory = memory_new();
    memory_limit(memory, LIMIT);
    memory_change(memory, LIMIT / 10 * 9 - 1);
    CHECK(!memory_is_short(memory));
    memory_change(memory, 1);
    CHECK(memory_is_short(memory));
    memory_change(memory, -(LIMIT / 10) + 1);
    CHECK(memory_is_short(memory));
    memory_change(memory, -1);
    CHECK(!memory_is_short(memory));
    memory_free(&memory);
    CHECK(!memory);
}

static void
a_changed_limit_acts_at_once(void)
{
    memory_t *memory = memory_new();
    memory_change(memory, LIMIT);
    CHECK(!memory_is_short(memory) && memory_limit_of(memory) == 0);
    memory_limit(memory, LIMIT);
    CHECK(memory_is_short(memory));
    memory_limit(memory, 2 * (uint64_t)LIMIT);
    CHECK(!memory_is_short(memory));
    memory_limit(memory, 1);
    CHECK(memory_is_short(memory) && memory_limit_of(memory) == MEMORY_LIMIT_LEAST);
    memory_limit(memory, 0);
    CHECK(!memory_is_short(memory));
    memory_free(&memory);
}

static void
the_chunks_of_a_pool_are_counted(void)
{
    memory_t *memory = memory_new();
    chunk_pool_t pool = { .memory = memory };
    chunk_t *small = chunk_new(&pool, 1), *large = chunk_new(&pool, LIMIT);
    chunk_pool_tell(&pool);
    CHECK(memory_taken(memory) == pool.bytes && pool.bytes > LIMIT);
    chunk_drop(large);
    chunk_pool_tell(&pool);
    CHECK(memory_taken(memory) == pool.bytes && pool.bytes < LIMIT);
    chunk_drop(small);
    chunk_pool_empty(&pool);
    CHECK(memory_taken(memory) == 0);
    memory_free(&memory);
}

int
main(void)
{
    RUN(memory_is_short_at_nine_tenths_until_a_fifth_is_free);
    RUN(a_changed_limit_acts_at_once);
    RUN(the_chunks_of_a_pool_are_counted);
    return test_done();
}
