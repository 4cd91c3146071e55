// SPDX-License-Identifier: MPL-2.0
#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"

#include "test.h"

#include <stdint.h>

static void
test_it_grows_while_it_is_written(void)
{
    text_t text = { 0 };
    for (int i = 0; i < 10000; i++)
        text_add(&text, "%d,", i % 10);
    CHECK(text.size == 20000 && strlen(text.data) == 20000);
    CHECK(memcmp(text.data + 19990, "5,6,7,8,9,", 10) == 0);
    text_clear(&text);
    CHECK(text.size == 0 && text.data[0] == '\0');
    text_free(&text);
    CHECK(!text.data);
}

static void
test_one_long_piece_fits(void)
{
    char *piece = xcalloc(5001, 1);
    memset(piece, 'x', 5000);
    text_t text = { 0 };
    text_add(&text, "<%s>", piece);
    CHECK(text.size == 5002 && text.data[5001] == '>');
    text_free(&text);
    free(piece);
}

static void
test_bytes_may_hold_nul(void)
{
    text_t text = { 0 };
    text_bytes(&text, "a\0b", 3);
    text_char(&text, 'c');
    CHECK(text.size == 4 && memcmp(text.data, "a\0bc", 5) == 0);
    text_free(&text);
}

static void
test_an_unused_text_is_an_empty_string(void)
{
    text_t text = { 0 };
    char *taken = text_take(&text);
    CHECK_TEXT(taken, "");
    CHECK(!text.data && text.size == 0);
    free(taken);
    text_clear(&text);
    CHECK_TEXT(text.data, "");
    text_add(&text, "%s", "");
    CHECK_TEXT(text.data, "");
    text_free(&text);
}

static void
test_utf8_is_what_rfc_3629_allows(void)
{
    static const struct {
        const char *bytes;
        size_t size, length;
    } cases[] = {
        { "a", 1, 1 },
        { "\xc3\xa4", 2, 2 },
        { "\xe2\x82\xac", 3, 3 },
        { "\xf0\x9f\x90\x8d", 4, 4 },
        { "", 0, 0 },
        { "\x80", 1, 0 },
        { "\xc0\x80", 2, 0 },
        { "\xc1\xbf", 2, 0 },
        { "\xe0\x9f\xbf", 3, 0 },
        { "\xed\xa0\x80", 3, 0 },
        { "\xf0\x8f\xbf\xbf", 4, 0 },
        { "\xf4\x90\x80\x80", 4, 0 },
        { "\xf5\x80\x80\x80", 4, 0 },
        { "\xe2\x82\xac", 2, 0 },
        { "\xc3", 1, 0 },
        { "\xe2\x28\xac", 3, 0 },
        { "\xe2\x82\x28", 3, 0 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        CHECK(text_utf8(cases[i].bytes, cases[i].size) == cases[i].length);
}

static void
test_shown_text_can_do_no_harm(void)
{
    text_t text = { 0 };
    text_shown(&text, "a\n\r\t\x1b[2J\x7f\0\xff\xc3\xa4\xc2\x9b!\\", 17);
    CHECK_TEXT(text.data, "a\\n\\r\\t\\x1b[2J\\x7f\\x00\\xff\xc3\xa4\\xc2\\x9b!\\");
    text_clear(&text);
    text_shown(&text, "", 0);
    CHECK_TEXT(text.data, "");
    text_free(&text);
}

// Both ends of each range of characters that would change how others are shown, and their neighbours.
static void
test_shown_text_keeps_its_direction(void)
{
    static const struct {
        const char *bytes, *shown;
    } cases[] = {
        { "\xc2\xa0", "\xc2\xa0" },
        { "\xd8\x9b", "\xd8\x9b" },
        { "\xd8\x9c", "\\xd8\\x9c" },
        { "\xd8\x9d", "\xd8\x9d" },
        { "\xe2\x80\x8d", "\xe2\x80\x8d" },
        { "\xe2\x80\x8e", "\\xe2\\x80\\x8e" },
        { "\xe2\x80\x8f", "\\xe2\\x80\\x8f" },
        { "\xe2\x80\x90", "\xe2\x80\x90" },
        { "\xe2\x80\xa7", "\xe2\x80\xa7" },
        { "\xe2\x80\xa8", "\\xe2\\x80\\xa8" },
        { "\xe2\x80\xaa", "\\xe2\\x80\\xaa" },
        { "\xe2\x80\xae", "\\xe2\\x80\\xae" },
        { "\xe2\x80\xaf", "\xe2\x80\xaf" },
        { "\xe2\x81\xa5", "\xe2\x81\xa5" },
        { "\xe2\x81\xa6", "\\xe2\\x81\\xa6" },
        { "\xe2\x81\xa9", "\\xe2\\x81\\xa9" },
        { "\xe2\x81\xaa", "\xe2\x81\xaa" },
        { "\xef\xbb\xbe", "\xef\xbb\xbe" },
        { "\xef\xbb\xbf", "\\xef\\xbb\\xbf" },
        { "\xf0\x9f\x90\x8d", "\xf0\x9f\x90\x8d" },
    };
    text_t text = { 0 };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        text_clear(&text);
        text_shown(&text, cases[i].bytes, strlen(cases[i].bytes));
        CHECK_TEXT(text.data, cases[i].shown);
    }
    text_free(&text);
}

static void
test_escaped_text_can_be_told_from_any_other(void)
{
    text_t text = { 0 };
    text_escaped(&text, "a \\\"\x00\xc3\xa4\n~", 9);
    CHECK_TEXT(text.data, "a \\x5c\\x22\\x00\\xc3\\xa4\\x0a~");
    text_clear(&text);
    text_escaped(&text, "", 0);
    CHECK_TEXT(text.data, "");
    text_free(&text);
}

static void
test_arrays_grow_by_doubling(void)
{
    int *array = NULL;
    size_t count = 0, room = 0;
    for (int i = 0; i < 1000; i++) {
        mem_grow(array, count, room);
        array[count++] = i;
    }
    CHECK(array[999] == 999 && room == 1024);
    free(array);
}

static void
test_times_are_rfc_3339(void)
{
    char text[32];
    clock_rfc3339(1795235479123456789, text);
    CHECK_TEXT(text, "2026-11-21T04:31:19.123Z");
    clock_rfc3339(-1, text);
    CHECK_TEXT(text, "1969-12-31T23:59:59.999Z");
    int64_t before = clock_mono_ns();
    CHECK(before > 0 && clock_mono_ns() >= before && clock_mono_ms() >= before / 1000000);
    CHECK(clock_wall_ns() > 1600000000000000000);
}

int
main(void)
{
    RUN(test_it_grows_while_it_is_written);
    RUN(test_one_long_piece_fits);
    RUN(test_bytes_may_hold_nul);
    RUN(test_an_unused_text_is_an_empty_string);
    RUN(test_utf8_is_what_rfc_3629_allows);
    RUN(test_shown_text_can_do_no_harm);
    RUN(test_escaped_text_can_be_told_from_any_other);
    RUN(test_shown_text_keeps_its_direction);
    RUN(test_arrays_grow_by_doubling);
    RUN(test_times_are_rfc_3339);
    return test_done();
}
