// SPDX-License-Identifier: MPL-2.0
// Whose turn it is: what has one user at a time, and is never left to nobody.
#include "flow/turn.h"

#include "test.h"

#include <pthread.h>
#include <stdatomic.h>

enum { SERVERS = 3, ROUNDS = 20000 };

typedef struct {
    int served, woken; // as the owner's lanes: no atomics, the turn guards them
    bool enough;       // nothing is left for the owner
    void *what;
} house_t;

static bool
serve(void *owner, void *what)
{
    house_t *house = owner;
    house->served++;
    house->what = what;
    return house->enough;
}

static void
wake(void *sleeper)
{
    ((house_t *)sleeper)->woken++;
}

static turn_t *
turn_of(house_t *house)
{
    return turn_new(&(turn_owner_t){ house, serve, wake, house });
}

static void
whoever_is_awake_has_it(void)
{
    house_t house = { .enough = true };
    turn_t *turn = turn_of(&house);
    CHECK(!turn_is_lent(turn));
    CHECK(!turn_serve(turn, NULL));
    CHECK(house.served == 0);
    turn_end(&turn);
    CHECK(!turn);
    turn_end(&turn); // as everywhere
}

static void
whoever_sleeps_is_served(void)
{
    house_t house = { .enough = true };
    int port;
    turn_t *turn = turn_of(&house);
    turn_lend(turn);
    CHECK(turn_is_lent(turn));
    CHECK(turn_serve(turn, &port) && turn_serve(turn, &port));
    CHECK(house.served == 2 && house.woken == 0 && house.what == &port);
    CHECK(turn_take_back(turn));
    CHECK(!turn_is_lent(turn) && !turn_serve(turn, &port));
    turn_lend(turn);
    CHECK(!turn_take_back(turn));
    turn_end(&turn);
}

static void
what_is_left_over_wakes_the_owner(void)
{
    house_t house = { .enough = false };
    turn_t *turn = turn_of(&house);
    turn_lend(turn);
    CHECK(turn_serve(turn, NULL));
    CHECK(house.woken == 1);
    CHECK(!turn_is_lent(turn) && !turn_serve(turn, NULL)); // the owner is on its way
    CHECK(house.served == 1 && house.woken == 1);
    CHECK(turn_take_back(turn));
    turn_end(&turn);
}

static void
after_the_end_nobody_is_served(void)
{
    house_t first = { .enough = true }, second = { .enough = true };
    turn_t *turn = turn_of(&first), *late = turn;
    turn_lend(turn);
    turn_take_back(turn);
    turn_end(&turn);
    CHECK(!turn_is_lent(late) && !turn_serve(late, NULL));
    turn = turn_of(&second);
    CHECK(turn == late); // none is freed
    CHECK(!turn_serve(late, NULL));
    turn_end(&turn);
    CHECK(first.served == 0 && second.served == 0);
}

static turn_t *busy;
static _Atomic bool over;

static void *
keep_serving(void *arg)
{
    long served = 0;
    while (!atomic_load(&over))
        served += turn_serve(busy, arg);
    *(long *)arg = served;
    return NULL;
}

static void
one_at_a_time(void)
{
    house_t house = { .enough = true };
    busy = turn_of(&house);
    pthread_t threads[SERVERS];
    long served[SERVERS] = { 0 }, own = 0, all = 0;
    for (int i = 0; i < SERVERS; i++)
        pthread_create(&threads[i], NULL, keep_serving, &served[i]);
    for (int i = 0; i < ROUNDS; i++) {
        turn_lend(busy);
        turn_take_back(busy);
        house.served++; // what they do too
        own++;
    }
    atomic_store(&over, true);
    for (int i = 0; i < SERVERS; i++) {
        pthread_join(threads[i], NULL);
        all += served[i];
    }
    CHECK(house.served == own + all);
    turn_end(&busy);
}

int
main(void)
{
    RUN(whoever_is_awake_has_it);
    RUN(whoever_sleeps_is_served);
    RUN(what_is_left_over_wakes_the_owner);
    RUN(after_the_end_nobody_is_served);
    RUN(one_at_a_time);
    return test_done();
}
