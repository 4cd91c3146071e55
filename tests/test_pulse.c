// SPDX-License-Identifier: MPL-2.0
#include "base/mem.h"
#include "test.h"
#include "wire/pulse.h"

enum { START_MS = 5000000 };

// How many PINGs of COUNT that are read at NOW_MS are allowed.
static uint64_t
allowed(int64_t *spent_ms, int64_t now_ms, uint64_t count)
{
    uint64_t some = 0;
    while (some < count && pulse_may_ask(spent_ms, now_ms))
        some++;
    return some;
}

static void
test_pings_of_any_legal_interval_are_allowed_for_ever(void)
{
    for (int64_t interval_ms = 1; interval_ms <= 100; interval_ms++) {
        int64_t spent_ms = 0;
        for (int64_t now_ms = START_MS; now_ms < START_MS + 30000; now_ms += interval_ms)
            CHECK(pulse_may_ask(&spent_ms, now_ms));
    }
}

static void
test_pings_after_a_stall_are_allowed_at_once(void)
{
    int64_t spent_ms = 0, now_ms = START_MS;
    static const int64_t stalls_ms[] = { 3000, 1, 9999, 250, 10000 };
    for (unsigned i = 0; i < COUNT(stalls_ms); i++) {
        now_ms += stalls_ms[i];
        CHECK(allowed(&spent_ms, now_ms, (uint64_t)stalls_ms[i]) == (uint64_t)stalls_ms[i]);
    }
}

static void
test_pings_are_allowed_as_many_as_the_time_that_has_gone_by(void)
{
    int64_t spent_ms = 0;
    CHECK(allowed(&spent_ms, START_MS, UINT64_MAX) == 10000);
    CHECK(allowed(&spent_ms, START_MS, UINT64_MAX) == 0);
    CHECK(allowed(&spent_ms, START_MS + 7, UINT64_MAX) == 7);
    CHECK(allowed(&spent_ms, START_MS + 3600000, UINT64_MAX) == 10000); // a long silence saves no more
}

// As a record of another route may say.
static void
test_pings_after_any_spent_time_end_within_bounds(void)
{
    static const int64_t odd_ms[] = { 0, 1, START_MS - 1, START_MS, START_MS + 1, INT64_MAX - 1, INT64_MAX };
    for (unsigned i = 0; i < COUNT(odd_ms); i++) {
        int64_t spent_ms = odd_ms[i];
        CHECK(allowed(&spent_ms, START_MS, UINT64_MAX) <= 10000);
    }
}

static bool
owes(conn_t *conn, int64_t after_ms)
{
    conn->wire->now_ms = START_MS + after_ms;
    return pulse_owes_a_word(conn);
}

// Of one that may ask every 400 ms.
static void
test_a_peer_hears_of_us_only_when_it_has_not_been_read_for_half_its_interval(void)
{
    static wire_t wire;
    static wport_t port = { .heartbeat_ms = 5000 };
    conn_t conn = { .wire = &wire, .port = &port, .answers_pings = true, .ipc = true, .heard_ms = START_MS };
    CHECK(!owes(&conn, 100) && !owes(&conn, 199) && owes(&conn, 200));
    CHECK(!owes(&conn, 300) && owes(&conn, 400));
    for (int64_t ms = 1000; ms < 9000; ms += 150) {
        conn.heard_ms = START_MS + ms;
        CHECK(!owes(&conn, ms + 149));
    }
    CHECK(owes(&conn, 9200));
    conn.answers_pings = false;
    CHECK(!owes(&conn, 100000));
}

int
main(void)
{
    RUN(test_pings_of_any_legal_interval_are_allowed_for_ever);
    RUN(test_pings_after_a_stall_are_allowed_at_once);
    RUN(test_pings_are_allowed_as_many_as_the_time_that_has_gone_by);
    RUN(test_pings_after_any_spent_time_end_within_bounds);
    RUN(test_a_peer_hears_of_us_only_when_it_has_not_been_read_for_half_its_interval);
    return test_done();
}
