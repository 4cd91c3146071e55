// SPDX-License-Identifier: MPL-2.0
#include "admin/recentlog.h"
#include "base/log.h"
#include "base/mem.h"

#include "test.h"

#include <ctype.h>

#define LINE(out, id, ...) line((out), (id), (const event_field_t[]){ __VA_ARGS__, { NULL, FIELD_TEXT, NULL, 0 } })

static const char *
line(text_t *out, event_id_t id, const event_field_t *fields)
{
    text_clear(out);
    event_line(id, fields, out);
    return out->data;
}

static const char *
quoted(text_t *out, const char *value)
{
    text_clear(out);
    event_quote(out, value);
    return out->data;
}

static void
test_a_line_is_words_and_a_tail(void)
{
    text_t out = { 0 };
    CHECK_TEXT(LINE(&out, EVENT_CLIENT_CONNECTED, EVENT_TEXT("route", "prices"), EVENT_TEXT("side", "frontend"),
                    EVENT_NUMBER("client", 12), EVENT_TEXT("peer", "10.0.0.7:41230")),
               "route prices: frontend client 12 connected event=client-connected route=prices side=frontend client=12 "
               "peer=10.0.0.7:41230");
    CHECK_TEXT(line(&out, EVENT_STOPPED, NULL), "zbroker stopped event=stopped");
    text_free(&out);
}

static void
test_what_is_not_known_is_left_out(void)
{
    text_t out = { 0 };
    CHECK_TEXT(LINE(&out, EVENT_AUTH_REFUSED, EVENT_TEXT("route", "p"), EVENT_TEXT("side", "backend"),
                    EVENT_TEXT("address", "::1"), EVENT_TEXT("mechanism", "plain"), EVENT_TEXT("reason", "busy"),
                    EVENT_TEXT("user", NULL)),
               "auth: route p backend: ::1 plain refused, busy event=auth-refused route=p side=backend address=::1 "
               "mechanism=plain reason=busy");
    text_free(&out);
}

static void
test_prose_of_ours_is_quoted_in_the_tail_only(void)
{
    text_t out = { 0 };
    CHECK_TEXT(LINE(&out, EVENT_ROUTE_FAILED, EVENT_TEXT("route", "p"), EVENT_PROSE("reason", "it is in use")),
               "route p: failed: it is in use event=route-failed route=p reason=\"it is in use\"");
    text_free(&out);
}

static void
test_one_quoting_rule(void)
{
    text_t out = { 0 };
    CHECK_TEXT(quoted(&out, "plain/topic-1"), "plain/topic-1");
    CHECK_TEXT(quoted(&out, "plain/topic=1"), "\"plain/topic\\x3d1\"");
    CHECK_TEXT(quoted(&out, "event=stopped"), "\"event\\x3dstopped\"");
    CHECK_TEXT(quoted(&out, "J\xc3\xbcrgen"), "J\xc3\xbcrgen");
    CHECK_TEXT(quoted(&out, ""), "\"\"");
    CHECK_TEXT(quoted(&out, "a b"), "\"a b\"");
    CHECK_TEXT(quoted(&out, "a\"b\\c"), "\"a\\\"b\\\\c\"");
    CHECK_TEXT(quoted(&out, "a\nb\x1b[2J\xff\xc2\x85"), "\"a\\nb\\x1b[2J\\xff\\xc2\\x85\"");
    CHECK_TEXT(quoted(&out, "x event=stopped"), "\"x event\\x3dstopped\"");
    CHECK_TEXT(quoted(&out, "\xe2\x80\xa8"), "\"\\xe2\\x80\\xa8\"");
    text_free(&out);
}

static void
test_who_was_cut_or_refused_is_told_with_peer_and_reason(void)
{
    text_t out = { 0 };
    LINE(&out, EVENT_CLIENT_CUT, EVENT_TEXT("route", "jobs"), EVENT_TEXT("side", "backend"), EVENT_NUMBER("client", 7),
         EVENT_TEXT("peer", "192.0.2.7:4000"), EVENT_TEXT("user", NULL), EVENT_TEXT("reason", "too_large"),
         EVENT_WORDS("words", "a frame of 17000000 bytes, maxmsgsize is 16777216"));
    CHECK_TEXT(out.data, "route jobs: backend client 7 at 192.0.2.7:4000 cut: a frame of 17000000 bytes, maxmsgsize is 16777216 "
                         "event=client-cut route=jobs side=backend client=7 peer=192.0.2.7:4000 reason=too_large");
    LINE(&out, EVENT_CLIENT_REFUSED, EVENT_TEXT("route", "jobs"), EVENT_TEXT("side", "frontend"),
         EVENT_TEXT("peer", "ipc uid 1000 pid 4711"), EVENT_TEXT("reason", "greeting"), EVENT_WORDS("words", "it speaks HTTP"));
    CHECK_TEXT(out.data, "route jobs: frontend handshake with \"ipc uid 1000 pid 4711\" failed: it speaks HTTP "
                         "event=client-refused route=jobs side=frontend peer=\"ipc uid 1000 pid 4711\" reason=greeting");
    text_free(&out);
}

// Whatever a stranger calls itself: one line, our keys once each, in printable UTF-8.
static void
test_no_name_writes_a_key_or_a_line(void)
{
    static const char *const parts[] = { "\n", " ", "\"", "\\", "=", " route=b", " event=stopped", "event=stopped", "x", "\xff", "\xe2\x80\xa9", "\xe2\x80\xae", "\t" };
    text_t out = { 0 };
    unsigned seed = 1;
    for (int turn = 0; turn < 5000; turn++) {
        char name[200] = "";
        for (int i = 0; i < 12; i++) {
            seed = seed * 1103515245 + 12345;
            strcat(name, parts[(seed >> 16) % (sizeof parts / sizeof *parts)]);
        }
        LINE(&out, EVENT_ACL_DENIED, EVENT_TEXT("route", "a"), EVENT_TEXT("address", "127.0.0.1"),
             EVENT_PROSE("action", "publish"), EVENT_TEXT("user", name), EVENT_TEXT("topic", name));
        size_t size = 0;
        const char *route = event_value(out.data, "route", &size);
        bool good = route && size == 1 && *route == 'a' && !strpbrk(out.data, "\n\t\x1b") &&
                    !strstr(strstr(out.data, " event=") + 1, " event=") && !strstr(route, " route=") &&
                    event_value(out.data, "topic", &size) && strlen(out.data) < LOG_LINE_MAX;
        CHECK(good);
        if (!good)
            break;
    }
    text_free(&out);
}

// A publisher chooses its topic, and the words of a line come before its tail.
static void
test_a_topic_that_looks_like_a_tail_is_none(void)
{
    text_t out = { 0 };
    size_t size = 0;
    LINE(&out, EVENT_ACL_DENIED, EVENT_TEXT("route", "a"), EVENT_TEXT("address", "::1"), EVENT_PROSE("action", "publish"),
         EVENT_TEXT("topic", "event=auth-refused"));
    const char *first = strstr(out.data, " event=");
    CHECK(first && first == event_tail(out.data));
    CHECK(strncmp(first, " event=acl-denied ", 18) == 0);
    const char *topic = event_value(out.data, "topic", &size);
    CHECK(topic && strncmp(topic, "\"event\\x3dauth-refused\"", size) == 0);
    text_free(&out);
}

static void
test_a_quoted_value_is_read_back_as_it_was(void)
{
    static const char *const values[] = { "plain", "", "a b", "a=b", "\"", "\\", "\\n\n\t\r", "\x1b[2J", "\xff\xe2\x80\xae", "\\x41", "é" };
    text_t out = { 0 }, back = { 0 };
    for (size_t i = 0; i < COUNT(values); i++) {
        size_t size = 0;
        LINE(&out, EVENT_ACL_DENIED, EVENT_TEXT("route", "a"), EVENT_TEXT("topic", values[i]));
        const char *value = event_value(out.data, "topic", &size);
        CHECK(value);
        text_clear(&back);
        event_unquote(&back, value ? value : "", size);
        CHECK_TEXT(back.data, values[i]);
    }
    text_free(&out);
    text_free(&back);
}

// What a file says is quoted as it is there, in the words only.
static void
test_the_last_tail_of_a_line_is_its_tail(void)
{
    text_t out = { 0 };
    size_t size = 0;
    LINE(&out, EVENT_RELOAD_REFUSED, EVENT_WORDS("whole", "z.ini:1:1: error: no group \"x event=stopped file=y\""),
         EVENT_TEXT("file", "z.ini"));
    const char *file = event_value(out.data, "file", &size);
    CHECK(file && size == 5 && strncmp(file, "z.ini", 5) == 0);
    text_free(&out);
}

static void
test_a_long_line_keeps_its_tail(void)
{
    text_t out = { 0 };
    char *words = xcalloc(9001, 1);
    memset(words, 'x', 9000);
    LINE(&out, EVENT_RELOADED, EVENT_WORDS("change", words), EVENT_TEXT("route", "p"), EVENT_TEXT("new", words));
    CHECK(out.size <= LOG_LINE_MAX);
    CHECK(strstr(out.data, "xxx... event=reloaded route=p new=\"xxx"));
    CHECK(out.size > 4 && strcmp(out.data + out.size - 4, "...\"") == 0);
    free(words);
    text_free(&out);
}

// Logins are about a route, too, though the line begins with something else.
static void
test_the_status_page_gets_the_words_of_its_route(void)
{
    logged_t events[4];
    log_set_level(LOG_LEVEL_ERROR); // what is not logged is shown all the same
    recentlog_start();
    log_event(EVENT_AUTH_REFUSED, EVENT_TEXT("route", "a"), EVENT_TEXT("side", "frontend"), EVENT_TEXT("address", "::1"),
              EVENT_TEXT("mechanism", "plain"), EVENT_TEXT("reason", "busy"), EVENT_TEXT("user", "x route=b"));
    log_event(EVENT_ROUTE_STATE, EVENT_TEXT("route", "a.b"), EVENT_TEXT("state", "paused"));
    log_fields(EVENT_STOPPED, NULL);
    CHECK(recentlog_of("b", events, 4) == 0);
    CHECK(recentlog_of("a", events, 4) == 1);
    CHECK_TEXT(events[0].text, "auth: route a frontend: ::1 plain refused, busy");
    CHECK(recentlog_of(NULL, events, 4) == 3);
    CHECK_TEXT(events[0].text, "zbroker stopped");
    CHECK(recentlog_of_level(LOG_LEVEL_WARNING, events, 4) == 1); // the others are notices
    CHECK_TEXT(events[0].text, "auth: route a frontend: ::1 plain refused, busy");
    log_observe(NULL, NULL);
}

static void
test_every_name_is_used_once_and_every_key_is_a_word(void)
{
    for (unsigned i = 0; event_at(i); i++) {
        const event_row_t *row = event_at(i);
        for (unsigned k = 0; k < i; k++)
            CHECK(strcmp(row->name, event_at(k)->name) != 0);
        for (const char *at = row->name; *at; at++)
            CHECK(islower((unsigned char)*at) || *at == '-');
        for (const char *at = row->keys; *at; at++)
            CHECK(islower((unsigned char)*at) || *at == '_' || (*at == ' ' && at[1] && at[1] != ' '));
    }
}

static char *
read_whole(const char *path)
{
    text_t text = { 0 };
    FILE *file = fopen(path, "r");
    for (int c; file && (c = getc(file)) != EOF;)
        text_char(&text, (char)c);
    if (file)
        fclose(file);
    text_char(&text, '\n');
    return text_take(&text);
}

static void
test_the_manual_has_every_event(void)
{
    const char *source = getenv("ZB_SRCDIR");
    char *path = xasprintf("%s/man/zbroker-events.7.in", source ? source : ".");
    char *manual = read_whole(path);
    unsigned entries = 0;
    for (unsigned i = 0; event_at(i); i++) {
        const event_row_t *row = event_at(i);
        char *entry = xasprintf("\n.It Cm %s , No %s%s%s\n.Dq ", row->name, log_level_name(row->level),
                                *row->keys ? " : " : "", row->keys);
        if (!strstr(manual, entry)) {
            printf("# zbroker-events.7.in lacks%s\n", entry);
            test_ok = false;
        }
        free(entry);
    }
    const char *section = strstr(manual, "\n.Sh EVENTS\n"), *end = section ? strstr(section + 1, "\n.Sh ") : NULL;
    for (const char *at = section; at && (at = strstr(at, "\n.It Cm ")) && at < end; at++)
        entries++;
    CHECK(entries == EVENTS);
    free(manual);
    free(path);
}

int
main(void)
{
    RUN(test_a_line_is_words_and_a_tail);
    RUN(test_what_is_not_known_is_left_out);
    RUN(test_prose_of_ours_is_quoted_in_the_tail_only);
    RUN(test_one_quoting_rule);
    RUN(test_who_was_cut_or_refused_is_told_with_peer_and_reason);
    RUN(test_no_name_writes_a_key_or_a_line);
    RUN(test_a_topic_that_looks_like_a_tail_is_none);
    RUN(test_a_quoted_value_is_read_back_as_it_was);
    RUN(test_the_last_tail_of_a_line_is_its_tail);
    RUN(test_a_long_line_keeps_its_tail);
    RUN(test_the_status_page_gets_the_words_of_its_route);
    RUN(test_every_name_is_used_once_and_every_key_is_a_word);
    RUN(test_the_manual_has_every_event);
    return test_done();
}
