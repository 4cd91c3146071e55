// SPDX-License-Identifier: MPL-2.0
#include "base/mem.h"
#include "flow/savedcounters.h"
#include "test.h"

#define NUMBERS (sizeof(counters_t) / sizeof(counter_t))
enum { TAG = 7, TAG_OTHER = 8 };

static counters_t counters;

static counter_t *
number_at(counters_t *self, size_t i)
{
    return (counter_t *)self + i;
}

static void
count_everything(void)
{
    for (size_t i = 0; i < NUMBERS; i++)
        counter_set(number_at(&counters, i), 1000 + i);
}

// A counter that has no row is lost.
static void
test_saved_counters_are_all_there_again(void)
{
    record_t record = { 0 };
    counters_t again = { .requeued = 1 };
    count_everything();
    savedcounters_write(&record, TAG, &counters);
    savedcounters_read(record_fields(&record), TAG, &again);
    for (size_t i = 0; i < NUMBERS; i++)
        CHECK(counter_get(number_at(&again, i)) == 1000 + i);
    record_forget(&record);
}

static void
test_saved_counters_without_a_field_are_0(void)
{
    record_t record = { 0 };
    count_everything();
    savedcounters_write(&record, TAG_OTHER, &counters);
    savedcounters_read(record_fields(&record), TAG, &counters);
    for (size_t i = 0; i < NUMBERS; i++)
        CHECK(counter_get(number_at(&counters, i)) == 0);
    record_forget(&record);
}

// Another version calls one otherwise: it is unknown here, and ours is missing there.
static void
test_saved_counters_of_another_name_are_0(void)
{
    record_t record = { 0 };
    counters_t again = { .requeued = 0 };
    count_everything();
    savedcounters_write(&record, TAG, &counters);
    uint8_t *name = memmem(record.data, record.size, "requeued", 8);
    CHECK(name != NULL);
    if (name)
        name[0] = 'R';
    savedcounters_read(record_fields(&record), TAG, &again);
    for (size_t i = 0; i < NUMBERS; i++) {
        bool is_renamed = number_at(&again, i) == &again.requeued;
        CHECK(counter_get(number_at(&again, i)) == (is_renamed ? 0 : 1000 + i));
    }
    record_forget(&record);
}

static void
test_saved_counters_of_a_record_that_is_cut_are_right_or_0(void)
{
    record_t record = { 0 };
    counters_t again;
    count_everything();
    savedcounters_write(&record, TAG, &counters);
    record_fields_t inside = record_fields(&record);
    record_field_t all;
    CHECK(record_next(&inside, &all));
    for (size_t size = 0; size < all.size; size += 7) {
        record_t cut = { 0 };
        record_bytes(&cut, TAG, all.at, size);
        savedcounters_read(record_fields(&cut), TAG, &again);
        for (size_t i = 0; i < NUMBERS; i++)
            CHECK(counter_get(number_at(&again, i)) == 0 || counter_get(number_at(&again, i)) == 1000 + i);
        CHECK(counter_get(&again.outstanding) == 0); // which comes last
        record_forget(&cut);
    }
    record_forget(&record);
}

int
main(void)
{
    RUN(test_saved_counters_are_all_there_again);
    RUN(test_saved_counters_without_a_field_are_0);
    RUN(test_saved_counters_of_another_name_are_0);
    RUN(test_saved_counters_of_a_record_that_is_cut_are_right_or_0);
    return test_done();
}
