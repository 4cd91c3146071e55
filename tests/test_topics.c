// SPDX-License-Identifier: MPL-2.0
// What the subscriptions of a forwarder are kept in: slab, topics, idset and bag.
#include "base/hash.h"
#include "base/idset.h"
#include "base/slab.h"
#include "guard/bag.h"
#include "zmq/topics.h"

#include "model.h"
#include "test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

enum { MANY = 20000, CHURN = 100000, WORLD = 500 };

// Topics of the most different kinds, each another one: empty, NUL bytes, one the
// beginning of the other, long ones. They are written to TEXT.
static size_t
topic(uint32_t i, char text[9000])
{
    static const size_t lengths[] = { 5, 1, 2, 3, 7, 16, 17, 250, 4096, 8000 };
    size_t length = i == 0 ? 0 : lengths[i % 10];
    uint32_t number = i / 10;
    memset(text, 0, length);
    for (size_t at = 0; at < length && at < 4; at++, number >>= 8)
        text[at] = (char)number;
    return length;
}

static bool
add(topics_t *topics, const char *text)
{
    return topics_add(topics, text, strlen(text));
}

static void
check_list(topics_t *topics, size_t max, const char *expected)
{
    size_t count;
    char all[1000] = "";
    char **list = topics_list(topics, &count, max);
    for (size_t i = 0; i < count; i++) {
        snprintf(all + strlen(all), sizeof all - strlen(all), "%s,", list[i]);
        free(list[i]);
    }
    free(list);
    CHECK_TEXT(all, expected);
}

// --- slab ---------------------------------------------------------------------------

static void
pieces_of_every_size_do_not_overlap(void)
{
    slab_t slab = { 0 };
    static uint32_t numbers[3000];
    for (uint32_t i = 0; i < 3000; i++) {
        size_t size = i % 600 + 1;
        numbers[i] = slab_take(&slab, size);
        CHECK(numbers[i] != 0 && slab_size(&slab, numbers[i]) >= size && slab_size(&slab, numbers[i]) < size + SLAB_UNIT);
        CHECK((uintptr_t)slab_at(&slab, numbers[i]) % SLAB_UNIT == 0);
        memset(slab_at(&slab, numbers[i]), (int)(i % 251), slab_size(&slab, numbers[i]));
    }
    size_t wrong = 0;
    for (uint32_t i = 0; i < 3000; i++) {
        const unsigned char *byte = slab_at(&slab, numbers[i]);
        for (size_t at = 0; at < slab_size(&slab, numbers[i]); at++)
            wrong += byte[at] != i % 251;
    }
    CHECK(wrong == 0);
    slab_free(&slab);
}

static void
what_is_given_back_is_taken_again(void)
{
    slab_t slab = { 0 };
    static uint32_t numbers[MANY];
    for (size_t i = 0; i < MANY; i++)
        numbers[i] = slab_take(&slab, 28);
    uint32_t blocks = slab.blocks;
    for (size_t i = 0; i < MANY; i += 2)
        slab_give(&slab, numbers[i]);
    CHECK(slab.blocks == blocks);
    for (size_t i = 0; i < MANY; i += 2)
        numbers[i] = slab_take(&slab, 28);
    CHECK(slab.blocks == blocks);
    for (size_t i = 0; i < MANY; i++)
        slab_give(&slab, numbers[i]);
    CHECK(slab.blocks == 0 && !slab.places);
}

static void
an_empty_block_serves_another_size(void)
{
    slab_t slab = { 0 };
    static uint32_t numbers[MANY];
    uint32_t keeper = slab_take(&slab, 4), most = 0;
    for (size_t size = 1; size < 300; size += 7) {
        for (size_t i = 0; i < 1000; i++)
            numbers[i] = slab_take(&slab, size);
        most = slab.count > most ? slab.count : most;
        for (size_t i = 1000; i-- > 0;)
            slab_give(&slab, numbers[i]);
        CHECK(slab.blocks == 1);
    }
    CHECK(most <= 1002);
    slab_give(&slab, keeper);
    CHECK(slab.blocks == 0);
}

// --- topics -------------------------------------------------------------------------

static void
a_list_is_a_set(void)
{
    topics_t *topics = topics_new();
    check_list(topics, 10, "");
    CHECK(!topics_remove(topics, "a", 1));
    CHECK(add(topics, "b") && add(topics, "a") && add(topics, "ab"));
    CHECK(!add(topics, "a"));
    CHECK(topics_count(topics) == 3);
    check_list(topics, 10, "a,ab,b,");
    CHECK(topics_remove(topics, "a", 1));
    CHECK(!topics_remove(topics, "a", 1));
    CHECK(topics_count(topics) == 2);
    check_list(topics, 10, "ab,b,");
    check_list(topics, 0, "");
    topics_free(&topics);
    CHECK(!topics);
}

static void
bytes_are_taken_as_they_are(void)
{
    topics_t *topics = topics_new();
    CHECK(topics_add(topics, NULL, 0));
    CHECK(!topics_add(topics, "", 0));
    CHECK(topics_add(topics, "\0", 1) && topics_add(topics, "\0\0", 2) && topics_add(topics, "a\0b", 3));
    CHECK(topics_add(topics, "a\0", 2) && topics_add(topics, "a", 1) && topics_add(topics, "\xff\"\\", 3));
    CHECK(topics_count(topics) == 7);
    check_list(topics, 10, ",\\x00,\\x00\\x00,a,a\\x00,a\\x00b,\\xff\\x22\\x5c,");
    check_list(topics, 2, ",\\x00,");
    CHECK(topics_remove(topics, "", 0) && topics_remove(topics, "\0", 1));
    check_list(topics, 10, "\\x00\\x00,a,a\\x00,a\\x00b,\\xff\\x22\\x5c,");
    topics_free(&topics);
}

static bool
subscribe(topics_t *topics, uint32_t i)
{
    char text[40];
    return topics_add(topics, text, (size_t)snprintf(text, sizeof text, "topic/%010u", i));
}

static bool
unsubscribe(topics_t *topics, uint32_t i)
{
    char text[40];
    return topics_remove(topics, text, (size_t)snprintf(text, sizeof text, "topic/%010u", i));
}

static void
any_number_of_topics_comes_and_goes(void)
{
    topics_t *topics = topics_new();
    size_t wrong = 0;
    for (uint32_t i = 0; i < CHURN; i++)
        wrong += !subscribe(topics, i);
    for (uint32_t i = 0; i < CHURN; i += 2)
        wrong += !unsubscribe(topics, i);
    for (uint32_t i = 0; i < CHURN; i++)
        wrong += subscribe(topics, i) != (i % 2 == 0);
    CHECK(wrong == 0 && topics_count(topics) == CHURN);
    for (uint32_t i = 0; i < CHURN; i++)
        wrong += !unsubscribe(topics, CHURN - 1 - i);
    CHECK(wrong == 0 && topics_count(topics) == 0);
    topics_free(&topics);
}

typedef struct {
    topics_t *topics;
    atomic_bool stop;
    size_t wrong;
} reader_t;

// What is listed is a topic of ours, whole, whatever the writer does.
static void *
read_on(void *arg)
{
    reader_t *self = arg;
    while (!atomic_load(&self->stop)) {
        size_t count;
        char **list = topics_list(self->topics, &count, 100);
        for (size_t i = 0; i < count; i++) {
            self->wrong += strlen(list[i]) != 16 || strncmp(list[i], "topic/", 6) != 0;
            free(list[i]);
        }
        free(list);
    }
    return NULL;
}

static void
another_thread_may_read_the_list(void)
{
    topics_t *topics = topics_new();
    reader_t reader = { .topics = topics };
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, read_on, &reader) == 0);
    for (uint32_t round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < 2000; i++)
            subscribe(topics, i);
        for (uint32_t i = 0; i < 2000; i++)
            unsubscribe(topics, i);
    }
    atomic_store(&reader.stop, true);
    pthread_join(thread, NULL);
    CHECK(reader.wrong == 0);
    topics_free(&topics);
}

// --- idset ----------------------------------------------------------------------------

static void
an_idset_holds_what_was_put_and_not_taken(void)
{
    idset_t set = { 0 };
    static bool in[WORLD + 1];
    size_t wrong = 0, count = 0;
    CHECK(!idset_has(&set, 1) && !idset_take(&set, 1));
    for (uint32_t step = 0; step < 300000; step++) {
        uint32_t number = dice(WORLD) + 1, rising = step / 3000 % 2;
        wrong += idset_has(&set, number) != in[number];
        bool put = dice(4) == 0 ? !rising : rising;
        wrong += put ? idset_put(&set, number) == in[number] : idset_take(&set, number) != in[number];
        count += put && !in[number];
        count -= !put && in[number];
        in[number] = put;
        wrong += set.count != count || (set.room > 0 && set.count >= set.room);
    }
    size_t walked = 0;
    for (uint32_t i = 0; i < set.room; i++)
        walked += idset_slot(&set, i) && in[idset_slot(&set, i)];
    CHECK(wrong == 0 && walked == count);
    idset_free(&set);
    CHECK(set.count == 0 && !set.slots);
}

static void
an_idset_grows_and_shrinks(void)
{
    idset_t set = { 0 };
    for (uint32_t i = 1; i <= CHURN; i++)
        CHECK(idset_put(&set, i * 7) && set.count == i);
    CHECK(set.room < CHURN * 8 / 5);
    for (uint32_t i = 1; i < CHURN; i++)
        CHECK(idset_take(&set, i * 7));
    CHECK(idset_has(&set, CHURN * 7) && set.count == 1 && set.room < 20);
    CHECK(idset_take(&set, CHURN * 7) && set.room == 0 && !set.slots);
}

// --- bag ------------------------------------------------------------------------------

static void
a_bag_counts_each_string(void)
{
    bag_t bag = { 0 };
    static uint32_t times[WORLD];
    static char text[9000];
    size_t wrong = 0, count = 0;
    CHECK(!bag_find(&bag, "", 0));
    for (uint32_t step = 0; step < 20000; step++) {
        uint32_t i = dice(WORLD);
        size_t size = topic(i, text);
        const bag_item_t *item = bag_find(&bag, text, size);
        wrong += item ? item->times != times[i] || item->size != size : times[i] != 0;
        count += times[i] == 0;
        wrong += bag_put(&bag, text, size) != ++times[i];
        wrong += bag.count != count;
    }
    CHECK(wrong == 0);
    bag_free(&bag);
}

// --- hash -----------------------------------------------------------------------------

static void
every_byte_counts_in_a_hash(void)
{
    char text[64] = "";
    uint64_t seen[65];
    size_t same = 0;
    for (size_t size = 0; size <= sizeof text; size++) {
        seen[size] = hash_bytes(text, size);
        for (size_t i = 0; i < size; i++)
            same += seen[i] == seen[size];
    }
    CHECK(same == 0 && hash_bytes(NULL, 0) == seen[0]);
    for (uint32_t bit = 0; bit < 32; bit++)
        same += hash_number(5) == hash_number(5 ^ 1u << bit);
    CHECK(same == 0);
}

int
main(void)
{
    RUN(pieces_of_every_size_do_not_overlap);
    RUN(what_is_given_back_is_taken_again);
    RUN(an_empty_block_serves_another_size);
    RUN(a_list_is_a_set);
    RUN(bytes_are_taken_as_they_are);
    RUN(any_number_of_topics_comes_and_goes);
    RUN(another_thread_may_read_the_list);
    RUN(an_idset_holds_what_was_put_and_not_taken);
    RUN(an_idset_grows_and_shrinks);
    RUN(a_bag_counts_each_string);
    RUN(every_byte_counts_in_a_hash);
    return test_done();
}
