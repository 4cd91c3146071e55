// SPDX-License-Identifier: MPL-2.0
#include "store/subject.h"

#include "base/mem.h"
#include "test.h"

#include <stdint.h>

// --- what it looks like ---------------------------------------------------------------

static const struct {
    const char *topic, *subject;
} known[] = {
    // clang-format off
    { "prices",          "p.r.prices" },
    { "prices.EUR",      "p.r.prices.EUR" },
    { "",                "p.r.%" },
    { ".",               "p.r.%.%" },
    { "a..b",            "p.r.a.%.b" },
    { ".a",              "p.r.%.a" },
    { "a.",              "p.r.a.%" },
    { "%",               "p.r.%25" },
    { "a b",             "p.r.a%20b" },
    { "*",               "p.r.%2A" },
    { "a.>",             "p.r.a.%3E" },
    { "~",               "p.r.%7E" },
    { "$SYS",            "p.r.$SYS" },
    { "Z\xc3\xbcrich",   "p.r.Z%C3%BCrich" },
    { "\r\n\t\x7f\xff",  "p.r.%0D%0A%09%7F%FF" },
    // clang-format on
};

static void
test_a_topic_is_written_as_the_manual_says(void)
{
    for (size_t i = 0; i < COUNT(known); i++) {
        text_t subject = { 0 };
        subject_of(&subject, "p.r", known[i].topic, strlen(known[i].topic));
        CHECK_TEXT(subject.data, known[i].subject);
        text_free(&subject);
    }
}

// --- one to one -------------------------------------------------------------------------

static void
check_comes_back(const uint8_t *topic, size_t size)
{
    text_t subject = { 0 }, back = { 0 };
    subject_of(&subject, "p", topic, size);
    CHECK(subject_topic(&back, "p", subject.data));
    CHECK(back.size == size && memcmp(back.data, topic, size) == 0);
    CHECK(strlen(subject.data) == subject.size);
    text_free(&subject);
    text_free(&back);
}

static void
test_every_short_topic_comes_back_as_it_was(void)
{
    static const uint8_t bytes[] = { 0, ' ', '%', '*', '.', '>', 'a', '2', 'A', '~', 0x7f, 0x80, 0xff };
    uint8_t topic[4];
    check_comes_back((const uint8_t *)"", 0);
    for (size_t size = 1, all = 1; size <= sizeof topic; size++) {
        all *= COUNT(bytes);
        for (size_t i = 0; i < all; i++) {
            for (size_t j = 0, rest = i; j < size; j++, rest /= COUNT(bytes))
                topic[j] = bytes[rest % COUNT(bytes)];
            check_comes_back(topic, size);
        }
    }
    for (unsigned i = 0; i < 256; i++) {
        topic[0] = (uint8_t)i;
        check_comes_back(topic, 1);
    }
}

static void
test_a_long_topic_has_a_short_subject_of_its_own(void)
{
    char topic[3 * SUBJECT_TOPIC_MAX];
    text_t whole = { 0 }, first = { 0 }, second = { 0 }, back = { 0 };
    memset(topic, 'x', sizeof topic);
    subject_of(&whole, "p", topic, SUBJECT_TOPIC_MAX);
    CHECK(subject_topic(&back, "p", whole.data) && back.size == SUBJECT_TOPIC_MAX);
    subject_of(&first, "p", topic, sizeof topic);
    topic[sizeof topic - 1] = 'y';
    subject_of(&second, "p", topic, sizeof topic);
    CHECK(first.size < SUBJECT_TOPIC_MAX && second.size == first.size);
    CHECK(strcmp(first.data, second.data) != 0);
    CHECK(!subject_topic(&back, "p", first.data));
    text_free(&whole);
    text_free(&first);
    text_free(&second);
    text_free(&back);
}

static void
test_what_grows_beyond_the_bound_by_its_escapes_is_hashed(void)
{
    uint8_t topic[SUBJECT_TOPIC_MAX / 3 + 1];
    text_t subject = { 0 };
    memset(topic, 0xff, sizeof topic);
    subject_of(&subject, "p", topic, sizeof topic);
    CHECK(strncmp(subject.data, "p.~", 3) == 0 && subject.size == 3 + 64);
    text_free(&subject);
}

static void
test_a_subject_that_we_would_not_write_is_refused(void)
{
    static const char *const foreign[] = { "p",      "p.",    "q.a",   "pa.b",  "p.a.",  "p..a",  "p.a..b", "p.%2",
                                           "p.%2a",  "p.%41", "p.%2E", "p.%GG", "p.a%",  "p.%%",  "p.a b",  "p.*",
                                           "p.a.>",  "p.~",   "p.~00", "p.\xff", "p.%2e" };
    for (size_t i = 0; i < COUNT(foreign); i++) {
        text_t topic = { 0 };
        bool taken = subject_topic(&topic, "p", foreign[i]);
        if (taken)
            printf("# %s\n", foreign[i]);
        CHECK(!taken);
        text_free(&topic);
    }
}

static void
test_a_prefix_has_levels_without_wildcards(void)
{
    static const char *const good[] = { "a", "a.b", "zbroker.jobs", "x_1-2.y" };
    static const char *const bad[] = { "", ".", "a.", ".a", "a..b", "a.*", ">", "a b", "a.\xc3\xbc", "a%", "~" };
    for (size_t i = 0; i < COUNT(good); i++)
        CHECK(subject_is_prefix(good[i]));
    for (size_t i = 0; i < COUNT(bad); i++)
        CHECK(!subject_is_prefix(bad[i]));
}

int
main(void)
{
    RUN(test_a_topic_is_written_as_the_manual_says);
    RUN(test_every_short_topic_comes_back_as_it_was);
    RUN(test_a_long_topic_has_a_short_subject_of_its_own);
    RUN(test_what_grows_beyond_the_bound_by_its_escapes_is_hashed);
    RUN(test_a_subject_that_we_would_not_write_is_refused);
    RUN(test_a_prefix_has_levels_without_wildcards);
    return test_done();
}
