// SPDX-License-Identifier: MPL-2.0
#include "guard/acl.h"

#include "test.h"

#include <string.h>

static acl_t *
parse(const char *text)
{
    diag_t *diag = diag_new();
    acl_t *acl = acl_parse("acl", text, strlen(text), diag);
    diag_print(diag, stdout);
    diag_destroy(&diag);
    return acl;
}

static bool
may(const char *rules, const char *user, acl_access_t access, const char *topic)
{
    acl_t *acl = parse(rules);
    acl_view_t *view = acl_view(acl, user, "");
    bool allowed = acl_may(view, access, topic, strlen(topic));
    acl_view_free(&view);
    acl_free(&acl);
    return allowed;
}

static void
what_nothing_allows_is_denied(void)
{
    CHECK(!may("", "alice", ACL_READ, "a"));
    CHECK(!may("user bob\ntopic a\n", "alice", ACL_READ, "a"));
    CHECK(may("user alice\ntopic a\n", "alice", ACL_READ, "a"));
    CHECK(may("user alice\ntopic a\n", "alice", ACL_WRITE, "a"));
    CHECK(!may("user alice\ntopic read a\n", "alice", ACL_WRITE, "a"));
    CHECK(!may("user alice\ntopic write a\n", "alice", ACL_READ, "a"));
    CHECK(may("user alice\ntopic readwrite a b\n", "alice", ACL_READ, "a b"));
}

static void
deny_wins_wherever_it_stands(void)
{
    CHECK(!may("user a\ntopic deny x/secret\ntopic x/#\n", "a", ACL_READ, "x/secret"));
    CHECK(!may("user a\ntopic x/#\ntopic deny x/secret\n", "a", ACL_WRITE, "x/secret"));
    CHECK(may("user a\ntopic x/#\ntopic deny x/secret\n", "a", ACL_READ, "x/secrets"));
    CHECK(!may("user a\ntopic #\npattern deny x/#\n", "a", ACL_READ, "x/y/z"));
}

static void
levels_are_matched_as_mosquitto_does(void)
{
    CHECK(may("topic a/+/c", "", ACL_READ, "a/b/c"));
    CHECK(may("topic a/+/c", "", ACL_READ, "a//c"));
    CHECK(!may("topic a/+/c", "", ACL_READ, "a/b/d/c"));
    CHECK(!may("topic a/+", "", ACL_READ, "a"));
    CHECK(may("topic a/#", "", ACL_READ, "a"));
    CHECK(may("topic a/#", "", ACL_READ, "a/"));
    CHECK(!may("topic a/#", "", ACL_READ, "ab"));
    CHECK(may("topic #", "", ACL_READ, ""));
    CHECK(may("topic +", "", ACL_READ, ""));
    CHECK(!may("topic +", "", ACL_READ, "a/b"));
}

static void
topics_before_a_user_are_for_those_without_a_name(void)
{
    CHECK(may("topic a\nuser alice\ntopic b\n", "", ACL_READ, "a"));
    CHECK(!may("topic a\nuser alice\ntopic b\n", "alice", ACL_READ, "a"));
    CHECK(may("user alice\ntopic a\nuser bob\ntopic b\nuser alice\ntopic c\n", "alice", ACL_READ, "c"));
    CHECK(may("user alice\ntopic a\nuser bob\ntopic b\nuser alice\ntopic c\n", "alice", ACL_READ, "a"));
}

static void
patterns_know_the_user_and_nothing_widens_them(void)
{
    CHECK(may("pattern home/%u/#", "alice", ACL_READ, "home/alice/x"));
    CHECK(!may("pattern home/%u/#", "alice", ACL_READ, "home/bob/x"));
    CHECK(!may("pattern home/%u/#", "+", ACL_READ, "home/bob/x"));
    CHECK(!may("pattern home/%u/#", "#", ACL_READ, "home/bob/x"));
    CHECK(!may("pattern home/%u/#", "bob/x", ACL_READ, "home/bob/x/y"));
    CHECK(!may("pattern home/%u/#", "", ACL_READ, "home//x"));
    CHECK(!may("pattern %u/#", "a/b", ACL_READ, "a/b/c"));
    // A name that fits no level must not slip through what denies.
    CHECK(!may("pattern deny home/%u/#\npattern #", "a/b", ACL_READ, "home/a/b/x"));
}

static bool
may_with_id(const char *rules, const char *id, const char *topic)
{
    acl_t *acl = parse(rules);
    acl_view_t *view = acl_view(acl, "alice", id);
    bool allowed = acl_may(view, ACL_READ, topic, strlen(topic));
    acl_view_free(&view);
    acl_free(&acl);
    return allowed;
}

static void
an_id_that_a_client_claims_only_takes_away(void)
{
    CHECK(!may_with_id("pattern deny dev/%c/#\npattern #", "pump", "dev/pump/on"));
    CHECK(may_with_id("pattern deny dev/%c/#\npattern #", "pump", "dev/fan/on"));
    CHECK(may_with_id("pattern deny dev/%c/#\npattern #", "", "dev/pump/on"));
    CHECK(!may_with_id("pattern deny dev/%c/#\npattern #", "#", "dev/pump/on"));
}

static void
every_problem_is_reported_where_it_is(void)
{
    static const struct {
        const char *text;
        int errors;
        const char *first;
    } cases[] = {
        {"topic a/#/b\n", 1, "f:1:9: error: # is only for the end of a pattern"},
        {"topic a+\n", 1, "f:1:7: error: +, #, %u and %c stand for a whole level, alone between two /"},
        {"pattern x%u\n", 1, "f:1:9: error: +, #, %u and %c stand for a whole level, alone between two /"},
        {"pattern deny a/%c\npattern read dev/%c/#\n", 1, "f:2:18: error: %c is what a client says of itself and gives no rights: "
                                                           "only a deny line may have it; %u is its user"},
        {"pattern %c\n", 1, "f:1:9: error: %c is what a client says of itself and gives no rights: only a deny line may have it; "
                            "%u is its user"},
        {"topic read\n", 1, "f:1:11: error: the topic is missing"},
        {"user\n", 1, "f:1:1: error: the user's name is missing"},
        {"grant a\n\n  what b\n", 2, "f:1:1: error: expected user, topic or pattern"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        diag_t *diag = diag_new();
        diag_level_t level;
        CHECK(acl_parse("f", cases[i].text, strlen(cases[i].text), diag) == NULL);
        CHECK((int)diag_errors(diag) == cases[i].errors);
        CHECK_TEXT(diag_text(diag, 0, &level), cases[i].first);
        diag_destroy(&diag);
    }
}

static void
test_acl_access_word_misspelt_is_warned_of(void)
{
    static const struct {
        const char *text, *warning;
    } cases[] = {
        {"topic raed news/#\n", "f:1:7: warning: this word is taken as part of the topic; did you mean read?"},
        {"user a\n topic  Read news/#\n", "f:2:9: warning: this word is taken as part of the topic; did you mean read?"},
        {"pattern dney x/%u/#\n", "f:1:9: warning: this word is taken as part of the topic; did you mean deny?"},
        {"topic read news\n", NULL},
        {"topic raed\n", NULL},
        {"topic late news\n", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        diag_t *diag = diag_new();
        acl_t *acl = acl_parse("f", cases[i].text, strlen(cases[i].text), diag);
        CHECK(acl && diag_errors(diag) == 0 && diag_warnings(diag) == (cases[i].warning != NULL));
        CHECK(cases[i].warning ? strcmp(diag_text(diag, 0, NULL), cases[i].warning) == 0 : !diag_text(diag, 0, NULL));
        diag_destroy(&diag);
        acl_free(&acl);
    }
}

static void
percent_is_an_ordinary_byte_in_a_topic_line(void)
{
    CHECK(may("topic home/%u/x", "", ACL_READ, "home/%u/x"));
}

// All rules of a small world against all topics of it.
static void
test_a_subscription_is_allowed_where_something_of_it_may_be_read(void)
{
    static const char *const rules[] = {
        "read #", "read a/#", "read a", "read a/b", "read +/b", "read a/+", "read a/+/#", "read +/b/#", "deny a/b/#", "deny a/b",
        "deny +/b", "deny a/+", "deny #", "deny a", "deny b/#", "write #"};
    static const char *const topics[] = {"", "a", "b", "ab", "a/", "a/b", "a/bc", "a/b/", "a/b/c", "b/b", "b/b/c", "b/", "/b", "a/c",
                                         "a/c/b", "aa/b"};
    size_t hidden = 0, count = sizeof rules / sizeof *rules, seen = 0;
    for (size_t i = 0; i < count * count; i++) {
        char text[200];
        snprintf(text, sizeof text, "topic %s\ntopic %s\n", rules[i / count], rules[i % count]);
        acl_t *acl = parse(text);
        acl_view_t *view = acl_view(acl, "", "");
        for (size_t p = 0; p < sizeof topics / sizeof *topics; p++)
            for (size_t t = 0; t < sizeof topics / sizeof *topics; t++) {
                size_t size = strlen(topics[p]);
                bool reads = strncmp(topics[t], topics[p], size) == 0 && acl_may(view, ACL_READ, topics[t], strlen(topics[t]));
                seen += reads;
                hidden += reads && !acl_may_see(view, topics[p], size);
            }
        acl_view_free(&view);
        acl_free(&acl);
    }
    CHECK(hidden == 0);
    CHECK(seen > 1000);
}

static void
the_same_rights_are_the_same(void)
{
    acl_t *a = parse("user x\ntopic read a/+/#\nuser y\ntopic b\n"), *b = parse("user y\ntopic c\nuser x\ntopic read a/+/#\n");
    acl_view_t *ax = acl_view(a, "x", ""), *bx = acl_view(b, "x", ""), *ay = acl_view(a, "y", ""), *by = acl_view(b, "y", "");
    CHECK(acl_view_same(ax, bx));
    CHECK(!acl_view_same(ay, by));
    acl_view_free(&ax);
    acl_view_free(&bx);
    acl_view_free(&ay);
    acl_view_free(&by);
    acl_free(&a);
    acl_free(&b);
}

static void
test_a_subscription_is_denied_where_nothing_of_it_may_be_read(void)
{
    static const struct {
        const char *rules, *prefix;
        bool seen;
    } cases[] = {
        { "topic read news/#", "", true },
        { "topic read news/#", "ne", true },
        { "topic read news/#", "news/x", true },
        { "topic read news/#", "newt", false },
        { "topic read a", "a", true },
        { "topic read a", "ab", false },
        { "topic read +/x", "any", true },
        { "topic write news/#", "news/", false },
        { "topic #\ntopic deny secret/#", "secret/", false },
        { "topic #\ntopic deny secret/#", "secret/a/b", false },
        { "topic #\ntopic deny secret/#", "sec", true },
        { "", "a", false },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        diag_t *diag = diag_new();
        acl_t *acl = acl_parse("acl", cases[i].rules, strlen(cases[i].rules), diag);
        acl_view_t *view = acl_view(acl, "", "");
        if (acl_may_see(view, cases[i].prefix, strlen(cases[i].prefix)) != cases[i].seen) {
            printf("# %s: %s\n", cases[i].rules, cases[i].prefix);
            test_ok = false;
        }
        acl_view_free(&view);
        acl_free(&acl);
        diag_destroy(&diag);
    }
}

int
main(void)
{
    RUN(what_nothing_allows_is_denied);
    RUN(deny_wins_wherever_it_stands);
    RUN(levels_are_matched_as_mosquitto_does);
    RUN(topics_before_a_user_are_for_those_without_a_name);
    RUN(patterns_know_the_user_and_nothing_widens_them);
    RUN(an_id_that_a_client_claims_only_takes_away);
    RUN(every_problem_is_reported_where_it_is);
    RUN(test_acl_access_word_misspelt_is_warned_of);
    RUN(percent_is_an_ordinary_byte_in_a_topic_line);
    RUN(test_a_subscription_is_allowed_where_something_of_it_may_be_read);
    RUN(the_same_rights_are_the_same);
    RUN(test_a_subscription_is_denied_where_nothing_of_it_may_be_read);
    return test_done();
}
