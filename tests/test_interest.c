// SPDX-License-Identifier: MPL-2.0
// Who asks for what on one side of a forwarder: interest, and bigset, which it is made of.
#include "base/bigset.h"
#include "base/mem.h"
#include "wire/interest.h"

#include "model.h"
#include "test.h"

enum { TOPICS = 400, WORLD = 120, STEPS = 60000, MILLION = 1000000 };

static bool
add(interest_t *interest, uint32_t subscriber, const char *topic)
{
    bool first;
    return interest_add(interest, subscriber, topic, strlen(topic), &first);
}

static bool
remove_from(interest_t *interest, uint32_t subscriber, const char *topic)
{
    bool last;
    return interest_remove(interest, subscriber, topic, strlen(topic), &last);
}

// Who gets MESSAGE: "1,5,".
static const char *
who_gets(interest_t *interest, const char *message)
{
    static char all[1000];
    const members_t *members = interest_match(interest, message, strlen(message));
    *all = '\0';
    for (uint32_t place = 0, subscriber; members_next(members, &place, &subscriber);)
        snprintf(all + strlen(all), sizeof all - strlen(all), "%u,", subscriber);
    return all;
}

// --- what it says -----------------------------------------------------------------------

static void
a_message_goes_to_all_who_ask_for_a_beginning_of_it(void)
{
    interest_t *interest = interest_new();
    CHECK_TEXT(who_gets(interest, "prices.EUR"), "");
    CHECK(add(interest, 3, "prices."));
    CHECK(add(interest, 1, "prices.EUR"));
    CHECK(add(interest, 2, "prices.EURUSD"));
    CHECK(add(interest, 7, "weather"));
    CHECK_TEXT(who_gets(interest, "prices.EUR"), "1,3,");
    CHECK_TEXT(who_gets(interest, "prices.EURUSD 1.08"), "1,2,3,");
    CHECK_TEXT(who_gets(interest, "prices.USD"), "3,");
    CHECK_TEXT(who_gets(interest, "price"), "");
    CHECK_TEXT(who_gets(interest, "weather"), "7,");
    CHECK_TEXT(who_gets(interest, "weathe"), "");
    CHECK_TEXT(who_gets(interest, ""), "");
    CHECK(add(interest, 9, ""));
    CHECK_TEXT(who_gets(interest, ""), "9,");
    CHECK_TEXT(who_gets(interest, "zebra"), "9,");
    CHECK_TEXT(who_gets(interest, "prices.EURUSD"), "1,2,3,9,");
    CHECK(remove_from(interest, 3, "prices."));
    CHECK_TEXT(who_gets(interest, "prices.EURUSD"), "1,2,9,");
    interest_free(&interest);
}

static void
only_the_first_and_the_last_are_news(void)
{
    interest_t *interest = interest_new();
    bool first, last;
    CHECK(interest_add(interest, 1, "a", 1, &first) && first);
    CHECK(!interest_add(interest, 1, "a", 1, &first) && !first);
    CHECK(interest_add(interest, 2, "a", 1, &first) && !first);
    CHECK(!interest_remove(interest, 3, "a", 1, &last) && !last);
    CHECK(!interest_remove(interest, 1, "ab", 2, &last) && !last);
    CHECK(interest_remove(interest, 1, "a", 1, &last) && !last);
    CHECK(!interest_remove(interest, 1, "a", 1, &last) && !last);
    CHECK(interest_remove(interest, 2, "a", 1, &last) && last);
    CHECK(interest_count(interest) == 0);
    interest_free(&interest);
}

static void
topics_may_differ_in_any_byte(void)
{
    interest_t *interest = interest_new();
    bool first;
    size_t wrong = 0;
    for (uint32_t i = 0; i < 65536; i++) {
        unsigned char bytes[] = { (unsigned char)i, (unsigned char)(i >> 8) };
        wrong += !interest_add(interest, i % 100, bytes, i < 256 ? 1 : 2, &first) || !first;
    }
    CHECK(add(interest, 200, ""));
    for (uint32_t i = 256; i < 65536; i++) {
        unsigned char bytes[] = { (unsigned char)i, (unsigned char)(i >> 8), 0 };
        const members_t *members = interest_match(interest, bytes, 3);
        uint32_t one = i % 256 % 100;
        wrong += members->count != 2u + (one != i % 100) || (members->at[0] != one && members->at[1] != one);
    }
    CHECK(wrong == 0);
    interest_free(&interest);
}

static void
a_topic_that_is_too_long_is_not_taken_in(void)
{
    interest_t *interest = interest_new();
    bool first;
    char *topic = xcalloc(INTEREST_TOPIC_MAX + 1u, 1);
    CHECK(!interest_add(interest, 1, topic, INTEREST_TOPIC_MAX + 1u, &first));
    CHECK(interest_add(interest, 1, topic, INTEREST_TOPIC_MAX, &first) && first);
    CHECK(interest_add(interest, 2, topic, INTEREST_TOPIC_MAX - 1u, &first) && first);
    CHECK(interest_match(interest, topic, INTEREST_TOPIC_MAX + 1u)->count == 2);
    CHECK(interest_match(interest, topic, INTEREST_TOPIC_MAX - 1u)->count == 1);
    CHECK(interest_bytes_of(interest, 1) == INTEREST_TOPIC_MAX);
    free(topic);
    interest_free(&interest);
}

static void
join(void *arg, const void *topic, size_t size)
{
    char *all = arg;
    snprintf(all + strlen(all), 200 - strlen(all), "%.*s,", (int)size, (const char *)topic);
}

static void
who_leaves_takes_along_what_nobody_else_asks_for(void)
{
    interest_t *interest = interest_new();
    char gone[200] = "";
    add(interest, 1, "shared");
    add(interest, 2, "shared");
    add(interest, 2, "own");
    CHECK(interest_count_of(interest, 2) == 2 && interest_bytes_of(interest, 2) == 9);
    interest_leave(interest, 2, join, gone);
    CHECK_TEXT(gone, "own,");
    CHECK(interest_count_of(interest, 2) == 0 && interest_bytes_of(interest, 2) == 0);
    CHECK_TEXT(who_gets(interest, "shared"), "1,");
    interest_leave(interest, 2, join, gone);
    interest_leave(interest, 1234567, NULL, NULL);
    CHECK_TEXT(gone, "own,");
    CHECK(add(interest, 2, "own")); // another one under the same number
    CHECK_TEXT(who_gets(interest, "own"), "2,");
    interest_free(&interest);
}

static void
topics_are_listed_and_walked_in_order(void)
{
    interest_t *interest = interest_new();
    char all[200] = "";
    size_t count;
    bool first;
    const char *const topics[] = { "b", "ab", "", "a", "abc" };
    for (size_t i = 0; i < COUNT(topics); i++)
        add(interest, (uint32_t)i, topics[i]);
    interest_each(interest, join, all);
    CHECK_TEXT(all, ",a,ab,abc,b,");
    interest_add(interest, 1, "\x01\"\xc3", 3, &first);
    char **list = interest_list(interest, &count, 100);
    CHECK(count == 6);
    CHECK_TEXT(list[0], "");
    CHECK_TEXT(list[1], "\\x01\\x22\\xc3");
    CHECK_TEXT(list[5], "b");
    for (size_t i = 0; i < count; i++)
        free(list[i]);
    free(list);
    free(interest_list(interest, &count, 0));
    CHECK(count == 0);
    interest_free(&interest);
}

// --- sets ---------------------------------------------------------------------------------

static void
an_answer_outlives_the_next_one(void)
{
    interest_t *interest = interest_new();
    char topic[20];
    for (uint32_t i = 0; i < 1000; i++) {
        snprintf(topic, sizeof topic, "%03u", i);
        add(interest, i, topic);
        add(interest, i + 1, topic);
    }
    add(interest, 5000, "");
    size_t wrong = 0;
    const members_t *before = interest_match(interest, "000", 3);
    for (uint32_t i = 1; i < 1000; i++) {
        snprintf(topic, sizeof topic, "%03u", i);
        const members_t *now = interest_match(interest, topic, 3);
        wrong += before->count != 3 || now->count != 3 || before->at[0] != i - 1 || now->at[0] != i;
        wrong += members_same(before, now);
        before = now;
    }
    CHECK(wrong == 0);
    interest_free(&interest);
}

// Whatever the way to a set was, it looks the same.
static void
equal_sets_are_the_same(void)
{
    interest_t *interest = interest_new();
    for (uint32_t i = 0; i < 300; i++)
        add(interest, i, "up");
    for (uint32_t i = 300; i-- > 0;)
        add(interest, i, "down");
    for (uint32_t i = 0; i < 3000; i++)
        add(interest, i, "more");
    for (uint32_t i = 300; i < 3000; i++)
        remove_from(interest, i, "more");
    for (uint32_t i = 0; i < 300; i++)
        add(interest, i, i % 2 ? "both" : "both.");
    const members_t *up = interest_match(interest, "up", 2);
    CHECK(up->count == 300 && up->words == 10);
    CHECK(members_same(up, interest_match(interest, "down", 4)));
    CHECK(members_same(interest_match(interest, "more", 4), interest_match(interest, "down", 4)));
    CHECK(members_same(interest_match(interest, "both.", 5), interest_match(interest, "down", 4)));
    add(interest, 100000, "up");
    up = interest_match(interest, "up", 2);
    CHECK(up->count == 301 && up->words == 0 && up->at[300] == 100000);
    remove_from(interest, 100000, "up");
    CHECK(members_same(interest_match(interest, "up", 2), interest_match(interest, "down", 4)));
    interest_free(&interest);
}

// --- against a model ----------------------------------------------------------------------

typedef struct {
    char bytes[TOPICS][60];
    size_t size[TOPICS];
    bool asks[TOPICS][WORLD];
    interest_t *interest;
    size_t wrong;
} model_t;

static bool
is_known(const model_t *self, size_t i)
{
    for (size_t j = 0; j < i; j++)
        if (self->size[j] == self->size[i] && memcmp(self->bytes[j], self->bytes[i], self->size[i]) == 0)
            return true;
    return false;
}

// As they are in real life, as nobody would have them, and many that are the beginning of others.
static size_t
invent(char *bytes, size_t room)
{
    static const char *const markets[] = { "NYSE", "NASDAQ", "LSE", "XETRA" }, *const rooms[] = { "kitchen", "hall",
                                                                                                  "roof" };
    switch (dice(6)) {
    case 0:
        return (size_t)snprintf(bytes, room, "%s.%c%c%c", markets[dice(4)], 'A' + dice(26), 'A' + dice(26),
                                'A' + dice(5));
    case 1:
        return (size_t)snprintf(bytes, room, "home/%s/%s/%u", rooms[dice(3)], dice(2) ? "temp" : "light", dice(30));
    case 2:
        return (size_t)snprintf(bytes, room, "%s", markets[dice(4)]) - dice(3);
    case 3: {
        size_t size = dice(6);
        for (size_t at = 0; at < size; at++)
            bytes[at] = (char)(dice(3) * 127);
        return size;
    }
    case 4:
        memset(bytes, 'x', room);
        return dice((uint32_t)room);
    default: {
        uint32_t number = dice(1u << 30);
        memcpy(bytes, &number, sizeof number);
        return sizeof number;
    }
    }
}

static model_t *
new_model(void)
{
    model_t *self = xcalloc(1, sizeof *self);
    self->interest = interest_new();
    for (uint32_t i = 0; i < TOPICS; i++)
        do
            self->size[i] = i == 0 ? 0 : invent(self->bytes[i], sizeof self->bytes[i]);
        while (is_known(self, i));
    return self;
}

// Most are near each other, some far off.
static uint32_t
number_of(uint32_t who)
{
    return who < WORLD - 10 ? who : who * 317;
}

static uint32_t
askers(const model_t *self, size_t topic)
{
    uint32_t count = 0;
    for (size_t who = 0; who < WORLD; who++)
        count += self->asks[topic][who];
    return count;
}

static void
step_add(model_t *self, uint32_t topic, uint32_t who)
{
    bool first, is_first = askers(self, topic) == 0, is_new = !self->asks[topic][who];
    self->wrong +=
        interest_add(self->interest, number_of(who), self->bytes[topic], self->size[topic], &first) != is_new;
    self->wrong += first != is_first;
    self->asks[topic][who] = true;
}

static void
step_remove(model_t *self, uint32_t topic, uint32_t who)
{
    bool last, is_there = self->asks[topic][who], is_last = is_there && askers(self, topic) == 1;
    self->wrong +=
        interest_remove(self->interest, number_of(who), self->bytes[topic], self->size[topic], &last) != is_there;
    self->wrong += last != is_last;
    self->asks[topic][who] = false;
}

static void
count_gone(void *arg, const void *topic, size_t size)
{
    size_t *gone = arg;
    (void)topic;
    *gone += size + 1;
}

static void
step_leave(model_t *self, uint32_t who)
{
    size_t gone = 0, expected = 0;
    for (size_t i = 0; i < TOPICS; i++)
        if (self->asks[i][who]) {
            expected += askers(self, i) == 1 ? self->size[i] + 1 : 0;
            self->asks[i][who] = false;
        }
    interest_leave(self->interest, number_of(who), count_gone, &gone);
    self->wrong += gone != expected;
}

static void
check_match(model_t *self, const char *bytes, size_t size)
{
    bool gets[WORLD] = { false };
    uint32_t count = 0, place = 0, subscriber;
    for (size_t i = 0; i < TOPICS; i++)
        if (self->size[i] <= size && memcmp(self->bytes[i], bytes, self->size[i]) == 0)
            for (size_t who = 0; who < WORLD; who++)
                gets[who] |= self->asks[i][who];
    const members_t *members = interest_match(self->interest, bytes, size);
    for (uint32_t who = 0; who < WORLD; who++)
        if (gets[who]) {
            count++;
            self->wrong += !members_next(members, &place, &subscriber) || subscriber != number_of(who);
        }
    self->wrong += members_next(members, &place, &subscriber) || members->count != count;
}

static void
check_messages(model_t *self)
{
    char bytes[100];
    for (uint32_t i = 0; i < 4; i++) {
        uint32_t topic = dice(TOPICS);
        memcpy(bytes, self->bytes[topic], self->size[topic]);
        size_t size = self->size[topic] + (dice(2) ? invent(bytes + self->size[topic], 30) : 0);
        check_match(self, bytes, size);
        check_match(self, bytes, dice((uint32_t)size + 1));
    }
}

static void
check_counts(model_t *self)
{
    size_t topics = 0;
    for (uint32_t i = 0; i < TOPICS; i++)
        topics += askers(self, i) > 0;
    self->wrong += interest_count(self->interest) != topics;
    for (uint32_t who = 0; who < WORLD; who++) {
        size_t count = 0, bytes = 0;
        for (uint32_t i = 0; i < TOPICS; i++) {
            bool has = interest_has(self->interest, number_of(who), self->bytes[i], self->size[i]);
            self->wrong += has != self->asks[i][who];
            count += has;
            bytes += has ? self->size[i] : 0;
        }
        self->wrong += interest_count_of(self->interest, number_of(who)) != count;
        self->wrong += interest_bytes_of(self->interest, number_of(who)) != bytes;
    }
}

// More come for a while, then more go.
static void
it_does_what_a_simple_model_does(void)
{
    model_t *model = new_model();
    for (uint32_t step = 0; step < STEPS; step++) {
        uint32_t topic = dice(4) ? dice(TOPICS) : dice(6), who = dice(3) ? dice(WORLD) : dice(3);
        if (dice(300) == 0)
            step_leave(model, who);
        else if (dice(8) < (step / 5000 % 2 ? 2 : 6))
            step_add(model, topic, who);
        else
            step_remove(model, topic, who);
        if (step % 8 == 0)
            check_messages(model);
        if (step % 3000 == 0)
            check_counts(model);
    }
    CHECK(model->wrong == 0);
    for (uint32_t who = 0; who < WORLD; who++)
        step_leave(model, who);
    check_counts(model);
    CHECK(model->wrong == 0 && interest_count(model->interest) == 0);
    CHECK(interest_match(model->interest, "", 0)->count == 0);
    interest_free(&model->interest);
    free(model);
}

// --- many -----------------------------------------------------------------------------------

static size_t
name(uint32_t i, char text[32])
{
    return (size_t)snprintf(text, 32, "quotes/%u/%c", i * 7919, 'a' + (int)(i % 26));
}

static void
a_million_topics_are_kept_in_little_memory(void)
{
    size_t before = in_use(), bytes = 0, wrong = 0;
    interest_t *interest = interest_new();
    char text[32];
    bool first;
    for (uint32_t i = 0; i < MILLION; i++) {
        size_t size = name(i, text);
        bytes += size;
        wrong += !interest_add(interest, i % 1000, text, size, &first) || !first;
    }
    CHECK(wrong == 0 && interest_count(interest) == MILLION);
    printf("# %.1f bytes a topic of %.1f\n", (double)(in_use() - before) / MILLION, (double)bytes / MILLION);
    CHECK(in_use() - before < (size_t)80 * MILLION);
    for (uint32_t i = 0; i < MILLION; i += 101) {
        const members_t *members = interest_match(interest, text, name(i, text));
        wrong += members->count != 1 || members->at[0] != i % 1000;
    }
    CHECK(wrong == 0);
    for (uint32_t i = 0; i < 1000; i++)
        interest_leave(interest, i, NULL, NULL);
    CHECK(interest_count(interest) == 0);
    CHECK(in_use() - before < 200000 || in_use() == 0);
    interest_free(&interest);
}

static void
who_has_a_million_topics_leaves_in_many_steps(void)
{
    interest_t *interest = interest_new();
    char text[32];
    bool first;
    size_t steps = 0, most = 0, count = MILLION / 4;
    for (uint32_t i = 0; i < count; i++)
        interest_add(interest, 5, text, name(i, text), &first);
    CHECK(interest_count_of(interest, 5) == count);
    for (bool more = true; more; steps++) {
        size_t had = interest_count(interest);
        more = interest_leave_some(interest, 5, NULL, NULL);
        most = had - interest_count(interest) > most ? had - interest_count(interest) : most;
    }
    CHECK(most <= 1500 && steps >= count / 1500);
    CHECK(interest_count_of(interest, 5) == 0 && interest_count(interest) == 0);
    interest_free(&interest);
}

static void
a_topic_of_a_thousand_subscribers_costs_each_of_them_little(void)
{
    size_t before = in_use();
    interest_t *interest = interest_new();
    char text[32];
    bool first;
    for (uint32_t who = 0; who < 1000; who++)
        for (uint32_t i = 0; i < 1000; i++)
            interest_add(interest, who, text, name(i, text), &first);
    CHECK(interest_count(interest) == 1000);
    printf("# %.1f bytes a subscription\n", (double)(in_use() - before) / 1e6);
    CHECK(in_use() - before < 8 * 1000000);
    CHECK(interest_match(interest, text, name(5, text))->words == 32);
    interest_free(&interest);
}

// --- bigset -----------------------------------------------------------------------------------

static void
a_bigset_holds_what_was_put_and_not_taken(void)
{
    enum { NUMBERS = 30000 };
    bigset_t set = { 0 };
    bool *in = xcalloc(NUMBERS + 1, sizeof *in);
    size_t wrong = 0, count = 0;
    CHECK(!bigset_take(&set, 1) && !bigset_last(&set));
    for (uint32_t step = 0; step < 400000; step++) {
        uint32_t number = 1 + dice(NUMBERS);
        bool put = dice(8) < (step / 100000 % 2 ? 2 : 6);
        wrong += put ? bigset_put(&set, number) == in[number] : bigset_take(&set, number) != in[number];
        count = count + (put && !in[number]) - (!put && in[number]);
        in[number] = put;
        wrong += set.count != count;
    }
    CHECK(wrong == 0 && set.part_count > 1);
    while (bigset_last(&set)) {
        const idset_t *last = bigset_last(&set);
        for (uint32_t i = 0; i < last->room; i++)
            if (idset_slot(last, i)) {
                wrong += !in[idset_slot(last, i)];
                in[idset_slot(last, i)] = false;
                count--;
            }
        bigset_drop_last(&set);
        wrong += set.count != count;
        for (uint32_t number = 1; number < 20 && set.count; number++) // and it still finds the others
            wrong += bigset_put(&set, number) == in[number] || (!in[number] && !bigset_take(&set, number));
    }
    CHECK(wrong == 0 && count == 0 && set.count == 0);
    free(in);
    bigset_free(&set);
}

int
main(void)
{
    RUN(a_message_goes_to_all_who_ask_for_a_beginning_of_it);
    RUN(only_the_first_and_the_last_are_news);
    RUN(topics_may_differ_in_any_byte);
    RUN(a_topic_that_is_too_long_is_not_taken_in);
    RUN(who_leaves_takes_along_what_nobody_else_asks_for);
    RUN(topics_are_listed_and_walked_in_order);
    RUN(an_answer_outlives_the_next_one);
    RUN(equal_sets_are_the_same);
    RUN(it_does_what_a_simple_model_does);
    RUN(a_million_topics_are_kept_in_little_memory);
    RUN(who_has_a_million_topics_leaves_in_many_steps);
    RUN(a_topic_of_a_thousand_subscribers_costs_each_of_them_little);
    RUN(a_bigset_holds_what_was_put_and_not_taken);
    return test_done();
}
