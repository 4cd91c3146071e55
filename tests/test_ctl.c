// SPDX-License-Identifier: MPL-2.0
// test_ctl.c - what zbrokerctl draws: tables as narrow as a screen, units, and
// answers of a daemon that knows more, or less, than this one.

#include "admin/table.h"
#include "base/document.h"
#include "base/mem.h"
#include "ctl/clientlist.h"
#include "ctl/detail.h"
#include "ctl/process.h"
#include "ctl/routelist.h"
#include "ctl/units.h"
#include "ctl/verbs.h"
#include "test.h"

#define NAME_40 "prices-of-everything-in-frankfurt-and-ny"

// --- tables ------------------------------------------------------------------------------

static size_t
widest_line(const char *text)
{
    size_t widest = 0;
    for (; *text; text += strcspn(text, "\n") + 1)
        if (strcspn(text, "\n") > widest)
            widest = strcspn(text, "\n");
    return widest;
}

// A table with two columns that give way and two that do not.
static char *
drawn(const char *const (*rows)[4], size_t count, size_t limit)
{
    static const column_t columns[] = {
        { "ROUTE", COLUMN_GIVES_WAY }, { "STATE", 0 }, { "PEER", COLUMN_GIVES_WAY }, { "N", COLUMN_RIGHT },
    };
    table_t table = table_on(columns, COUNT(columns));
    text_t out = { 0 };
    table.limit = limit;
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < COUNT(columns); j++)
            table_cell(&table, "%s", rows[i][j]);
    table_print(&table, &out);
    table_free(&table);
    return text_take(&out);
}

static void
test_a_table_that_fits_is_aligned(void)
{
    static const char *const rows[][4] = { { "a", "running", "x", "1" }, { "bcd", "up", "", "234" } };
    char *text = drawn(rows, COUNT(rows), 80), *unlimited = drawn(rows, COUNT(rows), 0);
    CHECK_TEXT(text, "ROUTE  STATE    PEER    N\n"
                     "a      running  x       1\n"
                     "bcd    up       -     234\n");
    CHECK_TEXT(unlimited, text);
    free(text);
    free(unlimited);
}

static void
test_a_row_goes_on_below_a_long_name(void)
{
    static const char *const rows[][4] = { { "a", "running", "x", "1" }, { NAME_40, "up", "y", "2" } };
    char *text = drawn(rows, COUNT(rows), 50);
    CHECK_TEXT(text, "ROUTE  STATE    PEER  N\n"
                     "a      running  x     1\n"
                     NAME_40 "\n"
                     "       up       y     2\n");
    free(text);
}

// The last cell begins further left if its line would be too long.
static void
test_no_limit_is_passed_and_nothing_is_lost(void)
{
    static const char *const rows[][4] = {
        { "a", "running", "127.0.0.1:41234", "1" },
        { NAME_40, "running", NAME_40, "12345678901234567890" },
        { NAME_40, "up", "[2001:0db8:85a3:0000:0000:8a2e:0370:7334]:65535", "2" },
        { "b", NAME_40, NAME_40, NAME_40 },
    };
    for (size_t limit = 50; limit < 200; limit++) {
        char *text = drawn(rows, COUNT(rows), limit);
        size_t names = 0;
        for (const char *at = text; (at = strstr(at, NAME_40)); at++)
            names++;
        CHECK(widest_line(text) <= limit && names == 6 && strstr(text, "12345678901234567890") && strstr(text, "7334]:65535"));
        free(text);
    }
}

static void
test_prose_is_folded_at_blanks(void)
{
    text_t out = { 0 };
    table_fold(&out, "one two three  four fiveandsixandseven", 4, 14);
    CHECK_TEXT(out.data, "one two\n    three \n    four\n    fiveandsixandseven");
    text_free(&out);
}

// --- units -------------------------------------------------------------------------------

static void
test_units_for_people_and_for_programs(void)
{
    static const struct {
        unit_t unit;
        double value;
        const char *people, *program;
    } rows[] = {
        { UNIT_COUNT, 0, "0", "0" },
        { UNIT_COUNT, 999, "999", "999" },
        { UNIT_COUNT, 999.6, "1.0k", "1000" },
        { UNIT_COUNT, 4200, "4.2k", "4200" },
        { UNIT_COUNT, 123456, "123k", "123456" },
        { UNIT_COUNT, 999960, "1.0M", "999960" },
        { UNIT_COUNT, 1234567890123, "1.2T", "1234567890123" },
        { UNIT_COUNT, -3, "0", "-3" },
        { UNIT_RATE, 0, "0", "0.0" },
        { UNIT_RATE, 0.25, "0.2", "0.2" },
        { UNIT_RATE, 98.5, "98", "98.5" },
        { UNIT_RATE, 4234, "4.2k", "4234.0" },
        { UNIT_BYTES, 0, "0 B", "0" },
        { UNIT_BYTES, 1023, "1023 B", "1023" },
        { UNIT_BYTES, 1024, "1.0 KiB", "1024" },
        { UNIT_BYTES, 2831155, "2.7 MiB", "2831155" },
        { UNIT_BYTES, 1048575, "1.0 MiB", "1048575" },
        { UNIT_SECONDS, 0, "0s", "0.0" },
        { UNIT_SECONDS, 1.46, "1.5s", "1.5" },
        { UNIT_SECONDS, 59.9, "59s", "59.9" },
        { UNIT_SECONDS, 512, "8m 32s", "512.0" },
        { UNIT_SECONDS, 3600, "1h 0m", "3600.0" },
        { UNIT_SECONDS, 90061, "1d 1h", "90061.0" },
        { UNIT_AGE, 0.4, "0s ago", "0" },
        { UNIT_AGE, 200, "3m ago", "200" },
        { UNIT_AGE, 7300, "2h ago", "7300" },
        { UNIT_AGE, 864000, "10d ago", "864000" },
        { UNIT_SHARE, 0, "0%", "0.000" },
        { UNIT_SHARE, 0.004, "0.4%", "0.004" },
        { UNIT_SHARE, 1, "100%", "1.000" },
        { UNIT_COUNT, 1e300, "-", "-" },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        text_t people = { 0 }, program = { 0 };
        units_put(&people, rows[i].unit, rows[i].value, true);
        units_put(&program, rows[i].unit, rows[i].value, false);
        CHECK_TEXT(people.data, rows[i].people);
        CHECK_TEXT(program.data, rows[i].program);
        text_free(&people);
        text_free(&program);
    }
}

static void
test_an_age_is_that_of_a_time(void)
{
    const int64_t second = 1000000000, now = INT64_C(1795751600) * second; // 2026-11-27T03:53:20Z
    CHECK((int)units_age("2026-11-27T03:50:00.000Z", now) == 200);
    CHECK((int)(10 * units_age("2026-11-27T03:53:19.500Z", now)) == 5);
    CHECK((int)units_age("2027-01-01T00:00:00Z", now) == 0); // a clock that was set
    CHECK(units_age("yesterday", now) < 0 && units_age("", now) < 0);
}

// --- words --------------------------------------------------------------------------------

static void
test_verbs_are_found_by_their_words(void)
{
    static const char *const show_stats[] = { "show", "stats", "prices" }, *const show[] = { "show" }, *const tap[] = { "tap", "x" };
    size_t used;
    CHECK_TEXT(verbs_find(show_stats, 3, &used)->name, "show stats");
    CHECK(used == 2);
    CHECK(!verbs_find(show, 1, &used) && !verbs_find(show_stats + 1, 2, &used) && !verbs_find(NULL, 0, &used));
    CHECK(verbs_find(tap, 2, &used)->manner == STREAMS && used == 1);
    CHECK(verbs_is_shown("stats") && verbs_is_shown("clients") && !verbs_is_shown("status") && !verbs_is_shown("counters"));
}

// --- answers --------------------------------------------------------------------------------

// What DRAW makes of an answer, as a pipe of 80 columns gets it.
static char *
shown(void (*draw)(const view_t *view), const char *answer, const char *other, bool of_one, bool slow)
{
    document_t *first = document_read(answer, strlen(answer)), *second = other ? document_read(other, strlen(other)) : NULL;
    sheet_t sheet = { .width = 80 };
    view_t view = { .sheet = &sheet, .of_one = of_one, .slow = slow };
    text_bytes(&sheet.out, "", 0);
    CHECK(first && (!other || second));
    view.answers[0] = first ? document_root(first) : NULL;
    view.answers[1] = second ? document_root(second) : NULL;
    draw(&view);
    document_free(&first);
    document_free(&second);
    return text_take(&sheet.out);
}

#define CLIENT(id, rest) "{\"id\":" #id ",\"route\":\"jobs\",\"side\":\"backend\",\"peer\":\"10.0.0." #id ":7\",\"user\":\"\"," rest "}"

static void
test_clients_are_sorted_by_what_waits_for_them(void)
{
    static const char answer[] = "{\"clients\":[" CLIENT(1, "\"backlog_bytes\":0") "," CLIENT(2, "\"backlog_bytes\":-1") ","
                                 CLIENT(3, "\"backlog_bytes\":70") "," CLIENT(4, "\"backlog_bytes\":0") "]}";
    char *all = shown(clientlist_draw, answer, NULL, true, false), *slow = shown(clientlist_draw, answer, NULL, false, true);
    CHECK_TEXT(all, "ID  SIDE     PEER        USER  AGE  BACKLOG\n"
                    " 3  backend  10.0.0.3:7  -       -       70\n"
                    " 1  backend  10.0.0.1:7  -       -        0\n"
                    " 4  backend  10.0.0.4:7  -       -        0\n"
                    " 2  backend  10.0.0.2:7  -       -        -\n");
    CHECK_TEXT(slow, "ID  ROUTE  SIDE     PEER        USER  AGE  BACKLOG\n"
                     " 3  jobs   backend  10.0.0.3:7  -       -       70\n");
    free(all);
    free(slow);
}

// An engine that has queues of its own says what is in them, in fields that come behind the others.
static void
test_clients_of_an_engine_that_knows_more(void)
{
    static const char answer[] = "{\"clients\":[" CLIENT(1, "\"backlog_bytes\":5,\"queued_bytes\":null,\"dropped\":null") ","
                                 CLIENT(2, "\"backlog_bytes\":6,\"zmtp\":\"3.1\",\"queued\":3,\"queued_bytes\":100,\"dropped\":17") "]}";
    char *text = shown(clientlist_draw, answer, NULL, true, false);
    CHECK_TEXT(text, "ID  SIDE     PEER        USER  AGE  DROPPED  BACKLOG\n"
                     " 2  backend  10.0.0.2:7  -       -       17      106\n"
                     " 1  backend  10.0.0.1:7  -       -        -        5\n");
    free(text);
}

#define ROUTE(rest) "{\"routes\":[{\"name\":\"jobs\",\"type\":\"streamer\",\"state\":\"running\"" rest "}]}"

static void
test_figures_of_a_route(void)
{
    static const char answer[] = ROUTE(",\"blocked\":{\"side\":\"backend\"},"
                                       "\"frontend\":{\"connections\":3,\"blocked_seconds\":0.5},\"ingress\":null,"
                                       "\"backend\":{\"connections\":4,\"blocked_seconds\":2},"
                                       "\"rates\":{\"in_1s\":120.5,\"out_1s\":7,\"bytes_in_1s\":1000,\"bytes_out_1s\":24},"
                                       "\"dropped\":{\"hwm\":5,\"of_tomorrow\":6}");
    char *text = shown(routelist_figures, answer, NULL, false, false);
    CHECK_TEXT(text, "ROUTE  STATE     IN/s  OUT/s  BYTES/s  CLIENTS  DROPPED  BLOCKED\n"
                     "jobs   blocked  120.5    7.0     1024        7       11      2.5\n");
    free(text);
}

static void
test_detail_shows_what_it_has_never_heard_of(void)
{
    static const char answer[] = ROUTE(",\"failure\":null,\"mood\":\"good\",\"problems\":[{\"level\":\"error\",\"text\":\"it is \\u001b[31mred\"}],"
                                       "\"frontend\":{\"socket\":\"PULL\",\"endpoints\":[\"tcp://a:1\",\"tcp://b:2\"],\"sips\":18446744073709551615,"
                                       "\"refused\":{\"auth\":0,\"taste\":3}},\"history\":[1,2,3],\"endpoints_down\":[{\"why\":\"x\"}],"
                                       "\"options\":[{\"key\":\"a\",\"value\":\"1\",\"default\":true},{\"key\":\"b\",\"value\":\"\",\"default\":false}]");
    char *figures = shown(detail_figures, answer, NULL, true, false), *all = shown(detail_everything, answer, NULL, true, false);
    CHECK_TEXT(figures, "route jobs\n"
                        "  type                          streamer\n"
                        "  state                         running\n"
                        "  mood                          good\n"
                        "\nproblems\n"
                        "  error: it is \\x1b[31mred\n"
                        "\nfrontend\n"
                        "  sips                          18446744073709551615\n"
                        "  refused.taste                 3\n");
    CHECK(strstr(all, "  endpoints                     tcp://a:1\n                                tcp://b:2\n"));
    CHECK(strstr(all, "\nconfiguration, where it is not the default\n  b =\n") && !strstr(all, "  a ="));
    free(figures);
    free(all);
}

static void
test_a_failed_reload_is_told_with_its_problems_if_the_daemon_knows_them(void)
{
    static const char errors[] = "{\"errors\":[{\"time\":\"T\",\"level\":\"warning\",\"route\":null,\"text\":\"a b\"}]}", none[] = "{\"errors\":[]}";
    char *known = shown(process_errors, errors, "{\"last_reload\":{\"ok\":false,\"time\":\"T0\",\"problems\":[\"z.ini:1:2: no\",\"z.ini:3:4: never\"]}}", false, false);
    char *unknown = shown(process_errors, none, "{\"last_reload\":{\"ok\":false,\"time\":\"T0\"}}", false, false);
    char *good = shown(process_errors, none, "{\"last_reload\":{\"ok\":true,\"time\":\"T0\",\"problems\":[]}}", false, false);
    CHECK_TEXT(known, "The last reload failed.\nThe configuration that runs was read T0.\n"
                      "  z.ini:1:2: no\n  z.ini:3:4: never\n\n"
                      "TIME  LEVEL    TEXT\nT     warning  a b\n");
    CHECK_TEXT(unknown, "The last reload failed.\nThe configuration that runs was read T0.\n\nno warnings and no errors\n");
    CHECK_TEXT(good, "no warnings and no errors\n");
    free(known);
    free(unknown);
    free(good);
}

// Whatever comes in place of what is expected: no view may trip over it.
static void
test_answers_of_another_shape_are_survived(void)
{
    static void (*const draws[])(const view_t *) = {
        routelist_figures, routelist_endpoints, detail_figures, detail_everything, clientlist_draw,
        process_errors,    process_changed,     process_ping,   process_version,
    };
    static const char *const answers[] = {
        "null", "[]", "{}", "7", "{\"routes\":7,\"clients\":{},\"errors\":\"x\",\"options\":null}",
        "{\"routes\":[7,null,[],{}],\"clients\":[7,{}],\"errors\":[[],{}],\"options\":[{}],\"pid\":\"x\"}",
        "{\"routes\":[{\"name\":7,\"state\":[],\"problems\":[7],\"frontend\":[],\"backend\":{\"endpoints\":[7]},\"dropped\":[1],"
        "\"rates\":3,\"options\":[7],\"events\":[7],\"clients\":[7],\"message_size_bytes\":[{\"le\":\"x\",\"count\":2}]}]}",
    };
    for (size_t i = 0; i < COUNT(draws); i++)
        for (size_t j = 0; j < COUNT(answers); j++) {
            char *text = shown(draws[i], answers[j], answers[j], false, false);
            CHECK(widest_line(text) <= 80);
            free(text);
        }
}

int
main(void)
{
    RUN(test_a_table_that_fits_is_aligned);
    RUN(test_a_row_goes_on_below_a_long_name);
    RUN(test_no_limit_is_passed_and_nothing_is_lost);
    RUN(test_prose_is_folded_at_blanks);
    RUN(test_units_for_people_and_for_programs);
    RUN(test_an_age_is_that_of_a_time);
    RUN(test_verbs_are_found_by_their_words);
    RUN(test_clients_are_sorted_by_what_waits_for_them);
    RUN(test_clients_of_an_engine_that_knows_more);
    RUN(test_figures_of_a_route);
    RUN(test_detail_shows_what_it_has_never_heard_of);
    RUN(test_a_failed_reload_is_told_with_its_problems_if_the_daemon_knows_them);
    RUN(test_answers_of_another_shape_are_survived);
    return test_done();
}
