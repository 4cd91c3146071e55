// SPDX-License-Identifier: MPL-2.0
#include "wire/handed.h"

#include "base/mem.h"
#include "test.h"

#define MINUTE_NS (INT64_C(60) * 1000000000)

enum { PAST = 16 * 1024 }; // that many are known which nobody has any more

static jetstream_arrival_t
arrival(const char *id, uint64_t sequence, int64_t stored_ns)
{
    return (jetstream_arrival_t){ .piece.sequence = sequence, .stored_ns = stored_ns, .id = id };
}

#define NODE "0123456789abcdef0123456789abcdef"

static const struct {
    jetstream_arrival_t first, second;
    bool is_same;
} pairs[] = {
    // clang-format off
    // without an id: by its place in the stream
    { { .piece.sequence = 1, .stored_ns = 7 },                 { .piece.sequence = 1, .stored_ns = 7 },                             true },
    { { .piece.sequence = 1, .stored_ns = 7 },                 { .piece.sequence = 1, .stored_ns = 8 },                             false },
    { { .piece.sequence = 1, .stored_ns = 7 },                 { .piece.sequence = 2, .stored_ns = 7 },                             false },
    // somebody else's id, for as long as a stream knows it
    { { .piece.sequence = 1, .stored_ns = 7, .id = "x" },      { .piece.sequence = 2, .stored_ns = 7 + MINUTE_NS, .id = "x" },      true },
    { { .piece.sequence = 2, .stored_ns = 7 + MINUTE_NS, .id = "x" }, { .piece.sequence = 1, .stored_ns = 7, .id = "x" },           true },
    { { .piece.sequence = 1, .stored_ns = 7, .id = "x" },      { .piece.sequence = 2, .stored_ns = 7 + 3 * MINUTE_NS, .id = "x" },  false },
    { { .piece.sequence = 1, .stored_ns = 7, .id = "x" },      { .piece.sequence = 2, .stored_ns = 7, .id = "y" },                  false },
    // ours, whenever it comes
    { { .piece.sequence = 1, .stored_ns = 7, .id = NODE "-12" }, { .piece.sequence = 2, .stored_ns = 7 + 99 * MINUTE_NS, .id = NODE "-12" },  true },
    { { .piece.sequence = 1, .stored_ns = 7, .id = NODE "-12" }, { .piece.sequence = 2, .stored_ns = 7, .id = NODE "-13" },                   false },
    // what only looks like it
    { { .piece.sequence = 1, .stored_ns = 7, .id = NODE "-" },   { .piece.sequence = 2, .stored_ns = 7 + 99 * MINUTE_NS, .id = NODE "-" },    false },
    { { .piece.sequence = 1, .stored_ns = 7, .id = NODE "-1x" }, { .piece.sequence = 2, .stored_ns = 7 + 99 * MINUTE_NS, .id = NODE "-1x" },  false },
    { { .piece.sequence = 1, .stored_ns = 7, .id = NODE "0-1" }, { .piece.sequence = 2, .stored_ns = 7 + 99 * MINUTE_NS, .id = NODE "0-1" },  false },
    // clang-format on
};

static void
test_a_message_is_known_by_its_id_and_else_by_its_place(void)
{
    for (size_t i = 0; i < COUNT(pairs); i++) {
        handed_set_t *set = handed_new();
        handed_t *first = handed_meet(set, &pairs[i].first);
        first->done = true;
        CHECK(handed_meet(set, &pairs[i].second)->done == pairs[i].is_same);
        handed_free(&set);
    }
}

static void
test_what_somebody_has_is_not_forgotten(void)
{
    handed_set_t *set = handed_new();
    jetstream_arrival_t mine = arrival(NODE "-1", 1, 1), past = arrival(NODE "-2", 2, 1);
    handed_t *held = handed_meet(set, &mine);
    handed_hold(set, held);
    handed_meet(set, &past)->done = true;
    for (uint64_t i = 0; i < PAST; i++) {
        jetstream_arrival_t other = arrival(NULL, 3 + i, 1);
        handed_meet(set, &other);
    }
    CHECK(handed_meet(set, &mine) == held && handed_held(set) == held);
    CHECK(!handed_meet(set, &past)->done); // too many came after it
    handed_release(set, held);
    CHECK(!handed_held(set) && handed_meet(set, &mine) == held);
    handed_free(&set);
}

static void
test_what_another_route_had_is_known_by_its_place_whatever_its_id(void)
{
    handed_set_t *set = handed_new();
    jetstream_arrival_t had = arrival(NULL, 5, 1), again = arrival(NODE "-1", 5, 1), other = arrival(NODE "-1", 6, 1);
    handed_t *handed = handed_again(set, &had);
    CHECK(handed_past(set) == handed && handed_meet(set, &again) == handed);
    CHECK(handed_meet(set, &other) != handed);
    handed_free(&set);
}

int
main(void)
{
    RUN(test_a_message_is_known_by_its_id_and_else_by_its_place);
    RUN(test_what_somebody_has_is_not_forgotten);
    RUN(test_what_another_route_had_is_known_by_its_place_whatever_its_id);
    return test_done();
}
