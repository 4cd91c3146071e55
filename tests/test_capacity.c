// SPDX-License-Identifier: MPL-2.0
#include "flow/capacity.h"
#include "test.h"

#include <pthread.h>
#include <stdatomic.h>

enum { LIMIT = 10, THREADS = 4, ROUNDS = 100000 };

static char told[64]; // "f" full, "r" room

static void
write_down(bool full, void *arg)
{
    CHECK(arg == told);
    strncat(told, full ? "f" : "r", sizeof told - strlen(told) - 1);
}

static capacity_t *
new_capacity(size_t limit)
{
    capacity_t *self = capacity_new();
    *told = '\0';
    capacity_limit(self, limit, write_down, told);
    return self;
}

static void
the_last_place_is_told_of_and_not_one_more_is_given(void)
{
    capacity_t *self = new_capacity(2);
    CHECK(capacity_most(self) == 2);
    CHECK(capacity_take(self) && !capacity_is_full(self));
    CHECK_TEXT(told, "");
    CHECK(capacity_take(self) && capacity_is_full(self) && !capacity_take(self));
    CHECK_TEXT(told, "f");
    capacity_give(self);
    CHECK_TEXT(told, "fr");
    CHECK(capacity_take(self) && !capacity_take(self));
    CHECK_TEXT(told, "frf");
    capacity_destroy(&self);
    CHECK(!self);
    capacity_destroy(&self);
}

static void
those_who_are_in_already_count_beyond_the_limit(void)
{
    capacity_t *self = new_capacity(2);
    capacity_count(self, 5);
    CHECK_TEXT(told, "f");
    CHECK(!capacity_take(self));
    capacity_count(self, -3);
    CHECK_TEXT(told, "f");
    capacity_count(self, -1);
    CHECK_TEXT(told, "fr");
    CHECK(capacity_take(self));
    capacity_destroy(&self);
}

static void
another_limit_holds_at_once(void)
{
    capacity_t *self = new_capacity(0);
    capacity_count(self, 100);
    CHECK(capacity_take(self));
    CHECK_TEXT(told, "");
    capacity_limit(self, 50, write_down, told);
    CHECK_TEXT(told, "f");
    CHECK(!capacity_take(self));
    capacity_limit(self, 200, write_down, told);
    CHECK_TEXT(told, "fr");
    CHECK(capacity_take(self));
    capacity_destroy(&self);
}

static void
who_is_in_its_handshake_takes_no_clients_place(void)
{
    capacity_t *self = new_capacity(1);
    CHECK(capacity_take_unnamed(self));
    capacity_give_unnamed(self);
    capacity_limit_unnamed(self, 8);
    CHECK(capacity_unnamed_of_side(self) == 2);
    for (int i = 0; i < 8; i++)
        CHECK(capacity_take_unnamed(self));
    CHECK(!capacity_take_unnamed(self) && !capacity_is_full(self) && capacity_take(self));
    capacity_give_unnamed(self);
    CHECK(capacity_take_unnamed(self));
    capacity_limit_unnamed(self, 1);
    CHECK(capacity_unnamed_of_side(self) == 1);
    capacity_destroy(&self);
}

// --- several threads ---------------------------------------------------------------

typedef struct {
    capacity_t *capacity;
    _Atomic int inside, most;
    bool full; // as told last; under the lock of whoever tells
    bool out_of_turn;
} crowd_t;

static void
note(bool full, void *arg)
{
    crowd_t *crowd = arg;
    crowd->out_of_turn |= full == crowd->full;
    crowd->full = full;
}

static void *
come_and_go(void *arg)
{
    crowd_t *crowd = arg;
    for (int i = 0; i < ROUNDS; i++) {
        int taken = 0;
        while (taken < 4 && capacity_take(crowd->capacity))
            taken++;
        int now = atomic_fetch_add(&crowd->inside, taken) + taken, most = atomic_load(&crowd->most);
        while (now > most && !atomic_compare_exchange_weak(&crowd->most, &most, now)) {
        }
        atomic_fetch_sub(&crowd->inside, taken);
        while (taken-- > 0)
            capacity_give(crowd->capacity);
    }
    return NULL;
}

static void
there_are_never_more_and_what_is_told_holds_in_the_end(void)
{
    crowd_t crowd = { .capacity = capacity_new() };
    pthread_t threads[THREADS];
    capacity_limit(crowd.capacity, LIMIT, note, &crowd);
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, come_and_go, &crowd);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    CHECK(atomic_load(&crowd.most) <= LIMIT && !crowd.out_of_turn && !crowd.full);
    for (int i = 0; i < LIMIT; i++)
        CHECK(capacity_take(crowd.capacity));
    CHECK(crowd.full && !capacity_take(crowd.capacity));
    capacity_destroy(&crowd.capacity);
}

int
main(void)
{
    RUN(the_last_place_is_told_of_and_not_one_more_is_given);
    RUN(those_who_are_in_already_count_beyond_the_limit);
    RUN(another_limit_holds_at_once);
    RUN(who_is_in_its_handshake_takes_no_clients_place);
    RUN(there_are_never_more_and_what_is_told_holds_in_the_end);
    return test_done();
}
