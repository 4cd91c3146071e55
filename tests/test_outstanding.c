// SPDX-License-Identifier: MPL-2.0
#include "model.h"
#include "test.h"
#include "wire/answers.h"
#include "wire/outstanding.h"
#include "wire/ranks.h"

enum { SERVICES = 5, STEPS = 50000, MS = 1000000 };

// --- the table ---------------------------------------------------------------------------

typedef struct {
    chunk_pool_t pool;
    outstanding_t table;
    inhand_t services[SERVICES];
    uint64_t number;
    int64_t now_ns;
} broker_t;

static broker_t *
make(void)
{
    broker_t *self = calloc(1, sizeof *self);
    self->table.pool = &self->pool;
    return self;
}

static void
unmake(broker_t *self)
{
    for (unsigned i = 0; i < SERVICES; i++) {
        asked_t *asked;
        while ((asked = self->services[i].unanswered.first)) {
            outstanding_take(&self->table, asked);
            outstanding_forget(&self->table, asked);
        }
        outstanding_forget_late(&self->table, &self->services[i]);
    }
    CHECK(self->table.oldest == NULL && self->table.newest == NULL && self->table.named == 0);
    CHECK(self->pool.bytes == 0);
    outstanding_free(&self->table);
    free(self);
}

static asked_t *
ask(broker_t *self, const void *client, size_t size, unsigned service)
{
    asked_t *asked = outstanding_add(&self->table, client, size);
    outstanding_give(&self->table, asked, &self->services[service], ++self->number, ++self->now_ns);
    return asked;
}

static asked_t *
find_by_name(broker_t *self, const asked_t *asked, unsigned service)
{
    uint8_t name[255];
    size_t size = outstanding_name(asked, name);
    return outstanding_find(&self->table, &self->services[service], name, size);
}

static void
answer(broker_t *self, asked_t *asked)
{
    outstanding_take(&self->table, asked);
    outstanding_forget(&self->table, asked);
}

static const uint8_t of_ours[OUTSTANDING_NAME] = { 0, 1, 2, 3 };

static void
test_an_answer_is_for_one_request_at_one_service(void)
{
    broker_t *self = make();
    asked_t *first = ask(self, of_ours, sizeof of_ours, 0), *second = ask(self, of_ours, sizeof of_ours, 0);
    uint8_t name[255], other[255];
    CHECK(outstanding_name(first, name) == OUTSTANDING_NAME && name[0] == 0);
    CHECK(outstanding_name(second, other) == OUTSTANDING_NAME && memcmp(name, other, OUTSTANDING_NAME) != 0);
    CHECK(find_by_name(self, first, 0) == first && find_by_name(self, second, 0) == second);
    CHECK(find_by_name(self, first, 1) == NULL);
    answer(self, first);
    CHECK(outstanding_find(&self->table, &self->services[0], name, OUTSTANDING_NAME) == NULL);
    asked_t *third = ask(self, of_ours, sizeof of_ours, 0); // in the same slot
    CHECK(outstanding_find(&self->table, &self->services[0], name, OUTSTANDING_NAME) == NULL);
    CHECK(find_by_name(self, third, 0) == third);
    unmake(self);
}

static void
test_each_try_goes_out_under_another_number(void)
{
    broker_t *self = make();
    asked_t *asked = ask(self, of_ours, sizeof of_ours, 0);
    uint8_t name[255];
    outstanding_name(asked, name);
    outstanding_give_up(&self->table, asked);
    CHECK(self->services[0].unanswered.count == 0 && self->services[0].late.count == 0);
    outstanding_give(&self->table, asked, &self->services[0], ++self->number, ++self->now_ns);
    CHECK(outstanding_find(&self->table, &self->services[0], name, OUTSTANDING_NAME) == NULL);
    CHECK(find_by_name(self, asked, 0) == asked);
    unmake(self);
}

static void
test_requests_of_one_name_are_found_in_the_order_in_which_the_service_got_them(void)
{
    broker_t *self = make();
    asked_t *lucy[3];
    for (unsigned i = 0; i < 3; i++) {
        lucy[i] = ask(self, "Lucy", 4, 1);
        ask(self, "Lucy", 4, 2);
        ask(self, "Jack", 4, 1);
    }
    for (unsigned i = 0; i < 3; i++) {
        CHECK(find_by_name(self, lucy[0], 1) == lucy[i]);
        if (i < 2)
            answer(self, lucy[i]);
        if (i < 2)
            lucy[0] = lucy[i + 1];
    }
    unmake(self);
}

static void
test_a_mark_stands_in_for_what_was_given_up(void)
{
    broker_t *self = make();
    asked_t *first = ask(self, "Lucy", 4, 0), *second = ask(self, "Lucy", 4, 0);
    outstanding_give_up(&self->table, first);
    asked_t *mark = find_by_name(self, second, 0);
    CHECK(mark && mark->late && mark != first);
    outstanding_give(&self->table, first, &self->services[1], ++self->number, ++self->now_ns); // tried again elsewhere
    CHECK(find_by_name(self, first, 1) == first);
    outstanding_forget(&self->table, mark);
    CHECK(find_by_name(self, second, 0) == second);
    unmake(self);
}

static void
test_marks_go_when_the_service_has_passed_them_and_are_bounded(void)
{
    broker_t *self = make();
    for (unsigned i = 0; i < OUTSTANDING_LATE + 10; i++) {
        asked_t *asked = ask(self, "Lucy", 4, 0);
        outstanding_give_up(&self->table, asked);
        outstanding_forget(&self->table, asked);
    }
    CHECK(self->services[0].late.count == OUTSTANDING_LATE);
    outstanding_passed(&self->table, &self->services[0], self->services[0].given - 4);
    CHECK(self->services[0].late.count == 5);
    unmake(self);
}

static void
test_the_oldest_is_the_one_that_was_given_first(void)
{
    broker_t *self = make();
    asked_t *first = ask(self, of_ours, sizeof of_ours, 0), *second = ask(self, "Lucy", 4, 1);
    CHECK(self->table.oldest == first && self->table.newest == second);
    outstanding_take(&self->table, first);
    CHECK(self->table.oldest == second);
    outstanding_give(&self->table, first, &self->services[0], ++self->number, ++self->now_ns);
    CHECK(self->table.oldest == second && self->table.newest == first);
    unmake(self);
}

static void
test_services_that_failed_are_remembered(void)
{
    broker_t *self = make();
    asked_t *asked = ask(self, of_ours, sizeof of_ours, 0);
    CHECK(!asked_failed_at(asked, 7));
    for (uint64_t i = 1; i <= OUTSTANDING_FAILED + 1; i++)
        asked_fails_at(asked, i);
    CHECK(!asked_failed_at(asked, 1) && asked_failed_at(asked, 2) && asked_failed_at(asked, OUTSTANDING_FAILED + 1));
    unmake(self);
}

// Whatever happens, each request is with one service or none, all are in the order of time, and counts add up.
static void
check_whole(const broker_t *self)
{
    uint32_t by_time = 0, at_services = 0;
    int64_t since_ns = 0;
    for (const asked_t *i = self->table.oldest; i; i = i->newer, by_time++) {
        CHECK(i->since_ns > since_ns && i->at);
        since_ns = i->since_ns;
    }
    for (unsigned i = 0; i < SERVICES; i++) {
        uint64_t nth = 0;
        uint32_t count = 0;
        for (const asked_t *asked = self->services[i].unanswered.first; asked; asked = asked->next, count++) {
            CHECK(asked->nth > nth && asked->at == &self->services[i]);
            nth = asked->nth;
        }
        CHECK(count == self->services[i].unanswered.count);
        at_services += count;
    }
    CHECK(by_time == at_services);
}

static void
test_any_mixture_of_steps_keeps_the_table_whole(void)
{
    broker_t *self = make();
    asked_list_t waiting = { 0 };
    for (unsigned step = 0; step < STEPS && test_ok; step++) {
        inhand_t *service = &self->services[dice(SERVICES)];
        asked_t *asked = service->unanswered.first;
        for (unsigned skip = dice(3); asked && asked->next && skip > 0; skip--)
            asked = asked->next;
        char name[8];
        bool named = dice(2);
        size_t size = (size_t)snprintf(name, sizeof name, "c%u", dice(40));
        switch (dice(5)) {
        case 0:
        case 1:
            ask(self, named ? (const uint8_t *)name : of_ours, named ? size : sizeof of_ours, dice(SERVICES));
            break;
        case 2:
            if (asked)
                answer(self, asked);
            break;
        case 3:
            if (asked) {
                outstanding_give_up(&self->table, asked);
                asked_append(&waiting, asked);
            }
            break;
        default:
            if ((asked = waiting.first)) {
                asked_remove(&waiting, asked);
                outstanding_give(&self->table, asked, service, ++self->number, ++self->now_ns);
            }
        }
        if (step % 500 == 0)
            check_whole(self);
    }
    check_whole(self);
    for (asked_t *asked; (asked = waiting.first);) {
        asked_remove(&waiting, asked);
        outstanding_forget(&self->table, asked);
    }
    unmake(self);
}

// --- ranks ---------------------------------------------------------------------------------

static void
test_the_least_comes_first_and_among_equals_the_one_that_was_there_first(void)
{
    ranks_t ranks = { 0 };
    rank_t peers[4] = { 0 };
    CHECK(ranks_first(&ranks) == NULL);
    for (unsigned i = 0; i < 4; i++)
        ranks_put(&ranks, &peers[i], i == 1 ? 20 : 3);
    CHECK(ranks_first(&ranks) == &peers[0] && ranks_next(&ranks, &peers[0]) == &peers[2]);
    CHECK(ranks_next(&ranks, &peers[3]) == &peers[1] && ranks_next(&ranks, &peers[1]) == NULL);
    ranks_put(&ranks, &peers[0], 3); // behind its equals
    CHECK(ranks_first(&ranks) == &peers[2]);
    ranks_put(&ranks, &peers[1], 0);
    CHECK(ranks_first(&ranks) == &peers[1] && ranks.count == 4);
    ranks_take(&ranks, &peers[1]);
    ranks_take(&ranks, &peers[1]);
    CHECK(ranks_first(&ranks) == &peers[2] && ranks.count == 3);
    ranks_put(&ranks, &peers[1], UINT32_MAX);
    CHECK(peers[1].weight == RANKS_MOST - 1 && ranks_next(&ranks, &peers[0]) == &peers[1]);
    ranks_free(&ranks);
}

// --- how long answers took --------------------------------------------------------------------

static bool
is_about(int64_t ns, int64_t wanted_ns)
{
    int64_t off = ns > wanted_ns ? ns - wanted_ns : wanted_ns - ns;
    return off <= wanted_ns / 14 + 1000;
}

static void
test_percentiles_of_the_last_minute(void)
{
    answer_times_t *answers = calloc(1, sizeof *answers);
    int64_t now_ns = 1000ll * 1000 * MS;
    CHECK(answers_percentile(answers, now_ns, 50) == -1);
    for (int i = 1; i <= 100; i++)
        answers_add(answers, now_ns, (int64_t)i * MS);
    CHECK(is_about(answers_percentile(answers, now_ns, 50), 50ll * MS));
    CHECK(is_about(answers_percentile(answers, now_ns, 99), 99ll * MS));
    for (int64_t took_ns = 1000; took_ns < 86400ll * 1000 * MS; took_ns *= 3) {
        answer_times_t *one = calloc(1, sizeof *one);
        answers_add(one, now_ns, took_ns);
        CHECK(is_about(answers_percentile(one, now_ns, 50), took_ns));
        free(one);
    }
    now_ns += 30ll * 1000 * MS;
    for (int i = 0; i < 1000; i++)
        answers_add(answers, now_ns, 7000ll * MS);
    CHECK(is_about(answers_percentile(answers, now_ns, 99), 7000ll * MS));
    CHECK(is_about(answers_percentile(answers, now_ns, 1), 11ll * MS));
    now_ns += 40ll * 1000 * MS; // the first hundred are more than a minute ago
    CHECK(is_about(answers_percentile(answers, now_ns, 1), 7000ll * MS));
    CHECK(answers_percentile(answers, now_ns + 86400ll * 1000 * MS, 50) == -1);
    free(answers);
}

int
main(void)
{
    RUN(test_an_answer_is_for_one_request_at_one_service);
    RUN(test_each_try_goes_out_under_another_number);
    RUN(test_requests_of_one_name_are_found_in_the_order_in_which_the_service_got_them);
    RUN(test_a_mark_stands_in_for_what_was_given_up);
    RUN(test_marks_go_when_the_service_has_passed_them_and_are_bounded);
    RUN(test_the_oldest_is_the_one_that_was_given_first);
    RUN(test_services_that_failed_are_remembered);
    RUN(test_any_mixture_of_steps_keeps_the_table_whole);
    RUN(test_the_least_comes_first_and_among_equals_the_one_that_was_there_first);
    RUN(test_percentiles_of_the_last_minute);
    return test_done();
}
