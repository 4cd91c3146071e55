// SPDX-License-Identifier: MPL-2.0
#include "base/mem.h"
#include "base/text.h"
#include "conf/ini.h"
#include "test.h"

static char *
problems(diag_t *diag)
{
    text_t text = { 0 };
    for (size_t i = 0; diag_text(diag, i, NULL); i++)
        text_add(&text, "%s\n", diag_text(diag, i, NULL));
    text_add(&text, "%s", "");
    return text_take(&text);
}

// Reads TEXT and shows what came of it: "[section]KEY=VALUE;…" and the problems.
static void
check(const char *text, size_t size, const char *expected, const char *said)
{
    ini_t ini;
    diag_t *diag = diag_new();
    text_t out = { 0 };
    ini_read(&ini, "f", text, size, diag);
    size_t next = 0;
    for (size_t i = 0; i < ini.section_count; i++) {
        text_add(&out, "[%s]", ini.sections[i].name);
        for (; next < ini.entry_count && ini.entries[next].section == i; next++)
            text_add(&out, "%s=%s|", ini.entries[next].key, ini.entries[next].value);
    }
    CHECK(next == ini.entry_count);
    text_add(&out, "%s", "");
    char *problem = problems(diag);
    CHECK_TEXT(out.data, expected);
    CHECK_TEXT(problem, said);
    free(problem);
    text_free(&out);
    ini_free(&ini);
    diag_destroy(&diag);
}

#define CHECK_INI(text, expected, said) check(text, sizeof text - 1, expected, said)

static void
sections_and_keys_arrive_in_order(void)
{
    CHECK_INI("[a]\nx = 1\ny=2\n[b]\nx = 3\n", "[a]x=1|y=2|[b]x=3|", "");
    CHECK_INI("[a]\nx = 1\nx = 2\n", "[a]x=1|x=2|", "");
    CHECK_INI("", "", "");
    CHECK_INI("\n\n", "", "");
}

static void
empty_sections_are_seen(void)
{
    CHECK_INI("[a]\n[b]\n\n[c]", "[a][b][c]", "");
}

static void
blanks_and_comments_are_not_part_of_a_value(void)
{
    CHECK_INI("[ a ] ; c\n; x = 1\n# x = 1\n  ; indented\nx =  1 2  ; c ; d\t\n", "[a]x=1 2|", "");
    CHECK_INI("[a]\nx = epgm://eth0;239.1.1.1:5\ny = a#b # c\n", "[a]x=epgm://eth0;239.1.1.1:5|y=a#b # c|", "");
    CHECK_INI("[a]\nx =\ny = ; nothing\nz=;z\n", "[a]x=|y=|z=;z|", "");
    CHECK_INI("[a]\nx = \"a ; b\"\n", "[a]x=\"a|", "");
    CHECK_INI("[a]\nx = a = b : c\n", "[a]x=a = b : c|", "");
    CHECK_INI("[  route \t  a b ]\n", "[route a b]", "");
}

static void
line_ends_of_all_kinds_are_read(void)
{
    CHECK_INI("[a]\r\nx = 1\r\n", "[a]x=1|", "");
    CHECK_INI("\xef\xbb\xbf[a]\nx = 1", "[a]x=1|", "");
    CHECK_INI("[a]\nx = 1\ry = 2\n", "[a]", "f:2:6: error: [a] a control character, 0x0d\n");
}

static void
places_count_from_one_in_bytes(void)
{
    ini_t ini;
    diag_t *diag = diag_new();
    static const char text[] = "; c\n[ a ]\n\nx   =   \xc3\xa4 1\n";
    ini_read(&ini, "f", text, sizeof text - 1, diag);
    CHECK(ini.section_count == 1 && ini.sections[0].place.line == 2 && ini.sections[0].place.column == 3);
    CHECK(ini.entry_count == 1 && ini.entries[0].key_place.line == 4 && ini.entries[0].key_place.column == 1);
    CHECK(ini.entries[0].value_place.line == 4 && ini.entries[0].value_place.column == 9);
    ini_free(&ini);
    diag_destroy(&diag);
}

static void
an_indented_line_is_not_a_continuation(void)
{
    CHECK_INI("[a]\nx = 1\n  y = 2\nz = 3\n", "[a]x=1|z=3|",
              "f:3:3: error: [a] the line is indented; there are no continuation lines, start in the first column\n");
}

static void
what_is_no_line_of_ini_is_refused(void)
{
    CHECK_INI("[a]\nx\n= 1\nx y = 1\nx: 1\n", "[a]",
              "f:2:1: error: [a] the line is not KEY = VALUE\n"
              "f:3:1: error: [a] a key is missing before the =\n"
              "f:4:2: error: [a] a key has letters, digits and _\n"
              "f:5:1: error: [a] the line is not KEY = VALUE\n");
    CHECK_INI("[a\nx = 1\n[b] c\ny = 1\n[]\n", "",
              "f:1:3: error: a closing ] is missing\n"
              "f:3:5: error: unexpected text after the section name\n"
              "f:5:1: error: the section name is missing\n");
    CHECK_INI("x = 1\ny = 2\n[a]\nz = 3\n", "[a]z=3|",
              "f:1:1: error: a key before any section; start with [zbroker], [defaults] or [route NAME]\n");
    CHECK_INI("[a]\nx = 1\0\ny = 2\n", "[a]y=2|", "f:2:6: error: [a] a NUL byte\n");
}

static void
lines_up_to_4096_bytes_arrive_whole(void)
{
    for (size_t length = 150; length <= INI_LINE_MAX + 2;
         length = length < INI_LINE_MAX - 2 ? length + (length < 260 ? 1 : 500) : length + 1) {
        // More than inih's own buffer on every one of its builds.
        char *text = xcalloc(length + 16, 1), *value = xcalloc(length + 1, 1);
        memset(value, 'v', length - 4);
        size_t size = (size_t)sprintf(text, "[a]\nx = %s\ny = 2\n", value);
        char *expected = xasprintf("[a]x=%s|y=2|", value);
        char *said = xasprintf("f:2:4097: error: [a] the line has %zu bytes, at most 4096\n", length);
        bool fits = length <= INI_LINE_MAX;
        check(text, size, fits ? expected : "[a]y=2|", fits ? "" : said);
        free(expected);
        free(said);
        free(value);
        free(text);
    }
}

static void
long_names_are_whole_or_refused(void)
{
    for (size_t length = 40; length < 60; length++) {
        char name[64] = "", text[256];
        memset(name, 'n', length);
        name[length] = '\0';
        snprintf(text, sizeof text, "[%s]\n%s = 1\n", name, name);
        char *expected = xasprintf("[%s]%s=1|", name, name);
        char *section = xasprintf("f:1:2: error: the section name has %zu bytes, at most 49\n"
                                  "f:2:1: error: the key has %zu bytes, at most 49\n",
                                  length, length);
        check(text, strlen(text), length <= 49 ? expected : "", length <= 49 ? "" : section);
        free(expected);
        free(section);
    }
}

// What is no configuration may hold a secret: its lines are not repeated.
static void
what_is_not_understood_is_not_quoted(void)
{
    static const char *const lines[] = {
        "hunter2", "hunter2 hunter2", "hunter2=", "hunter2==", "hun/ter2=hunter2", "hunter2:hunter2", "  hunter2", "[hunter2",
        "[a] hunter2", "hunter2hunter2hunter2hunter2hunter2hunter2hunter2hunter2=1", "[hunter2hunter2hunter2hunter2hunter2hunter2hunter2hunter2]",
        "\thunter2", "secret-key = \"hunter2\"", "=hunter2", "hunter2\x01",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        ini_t ini;
        diag_t *diag = diag_new();
        ini_read(&ini, "f", lines[i], strlen(lines[i]), diag);
        char *problem = problems(diag);
        CHECK(*problem && !strstr(problem, "hunter2") && !strstr(problem, "hun/"));
        free(problem);
        ini_free(&ini);
        diag_destroy(&diag);
    }
}

int
main(void)
{
    RUN(sections_and_keys_arrive_in_order);
    RUN(empty_sections_are_seen);
    RUN(blanks_and_comments_are_not_part_of_a_value);
    RUN(line_ends_of_all_kinds_are_read);
    RUN(places_count_from_one_in_bytes);
    RUN(an_indented_line_is_not_a_continuation);
    RUN(what_is_no_line_of_ini_is_refused);
    RUN(what_is_not_understood_is_not_quoted);
    RUN(lines_up_to_4096_bytes_arrive_whole);
    RUN(long_names_are_whole_or_refused);
    return test_done();
}
