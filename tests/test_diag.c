// SPDX-License-Identifier: MPL-2.0
#include "base/diag.h"

#include "test.h"

static diag_level_t level;

static void
test_a_line_reads_as_compilers_write_it(void)
{
    diag_t *diag = diag_new();
    diag_error(diag, (place_t){ "a.ini", 3, 7 }, "%s: unknown key", "x");
    diag_warning(diag, (place_t){ "a.ini", 4, 0 }, "no column");
    diag_error(diag, (place_t){ "b.ini", 0, 0 }, "no line");
    diag_error(diag, (place_t){ 0 }, "no file");
    CHECK_TEXT(diag_text(diag, 0, &level), "a.ini:3:7: error: x: unknown key");
    CHECK(level == DIAG_ERROR);
    CHECK_TEXT(diag_text(diag, 1, &level), "a.ini:4: warning: no column");
    CHECK(level == DIAG_WARNING);
    CHECK_TEXT(diag_text(diag, 2, NULL), "b.ini: error: no line");
    CHECK_TEXT(diag_text(diag, 3, NULL), "error: no file");
    CHECK(!diag_text(diag, 4, NULL));
    CHECK(diag_errors(diag) == 3 && diag_warnings(diag) == 1);
    diag_destroy(&diag);
    CHECK(!diag);
    diag_destroy(&diag);
}

static void
test_lines_of_one_file_ascend_and_files_keep_their_order(void)
{
    diag_t *diag = diag_new();
    diag_error(diag, (place_t){ "b", 9, 1 }, "late");
    diag_error(diag, (place_t){ "a", 1, 1 }, "other file");
    diag_error(diag, (place_t){ "b", 2, 5 }, "second");
    diag_error(diag, (place_t){ "b", 2, 5 }, "third");
    diag_error(diag, (place_t){ "b", 2, 1 }, "first");
    CHECK_TEXT(diag_text(diag, 0, NULL), "b:2:1: error: first");
    CHECK_TEXT(diag_text(diag, 1, NULL), "b:2:5: error: second");
    CHECK_TEXT(diag_text(diag, 2, NULL), "b:2:5: error: third");
    diag_error(diag, (place_t){ "b", 1, 1 }, "after a look");
    CHECK_TEXT(diag_text(diag, 0, NULL), "b:1:1: error: after a look");
    CHECK_TEXT(diag_text(diag, 4, NULL), "b:9:1: error: late");
    CHECK_TEXT(diag_text(diag, 5, NULL), "a:1:1: error: other file");
    diag_destroy(&diag);
    diag = diag_new();
    diag_file(diag, "main");
    diag_error(diag, (place_t){ "included", 1, 1 }, "while it is read");
    diag_error(diag, (place_t){ "main", 5, 1 }, "when all is read");
    CHECK_TEXT(diag_text(diag, 0, NULL), "main:5:1: error: when all is read");
    CHECK_TEXT(diag_text(diag, 1, NULL), "included:1:1: error: while it is read");
    diag_destroy(&diag);
}

static void
test_the_same_problem_is_kept_once(void)
{
    diag_t *diag = diag_new();
    for (int i = 0; i < 3; i++) {
        diag_error(diag, (place_t){ "a", 1, 1 }, "twice");
        diag_warning(diag, (place_t){ "a", 1, 1 }, "twice");
        diag_error(diag, (place_t){ "a", 2, 1 }, "twice");
    }
    CHECK(diag_errors(diag) == 2 && diag_warnings(diag) == 1);
    diag_destroy(&diag);
}

static void
test_problems_of_a_file_are_told_where_it_is_named(void)
{
    diag_t *diag = diag_new(), *file = diag_new();
    diag_warning(file, (place_t){ "acl", 0, 0 }, "mode 0664");
    diag_error(file, (place_t){ "acl", 3, 14 }, "100%% \x1b");
    diag_adopt(diag, (place_t){ "a.ini", 7, 8 }, "[route p] acl", file);
    diag_destroy(&file);
    CHECK(diag_errors(diag) == 1 && diag_warnings(diag) == 1);
    CHECK_TEXT(diag_text(diag, 0, NULL), "a.ini:7:8: warning: [route p] acl: acl: mode 0664");
    CHECK_TEXT(diag_text(diag, 1, NULL), "a.ini:7:8: error: [route p] acl: acl:3:14: 100% \\x1b");
    diag_destroy(&diag);
}

static void
test_a_hundred_thousand_problems_are_no_trouble(void)
{
    diag_t *diag = diag_new();
    for (int round = 0; round < 2; round++)
        for (int i = 100000; i > 0; i--)
            diag_error(diag, (place_t){ "a", i, 1 }, "bad");
    CHECK(diag_errors(diag) == 100000);
    CHECK_TEXT(diag_text(diag, 99999, NULL), "a:100000:1: error: bad");
    diag_destroy(&diag);
}

static void
test_print_writes_one_line_each_and_escapes_control_characters(void)
{
    char *out = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&out, &size);
    diag_t *diag = diag_new();
    diag_error(diag, (place_t){ "a", 1, 1 }, "bad value: \x1b[31m\nnext");
    diag_error(diag, (place_t){ "a", 2, 1 }, "also");
    diag_print(diag, file);
    fclose(file);
    CHECK_TEXT(out, "a:1:1: error: bad value: \\x1b[31m\\nnext\na:2:1: error: also\n");
    free(out);
    diag_destroy(&diag);
}

int
main(void)
{
    RUN(test_a_line_reads_as_compilers_write_it);
    RUN(test_lines_of_one_file_ascend_and_files_keep_their_order);
    RUN(test_the_same_problem_is_kept_once);
    RUN(test_problems_of_a_file_are_told_where_it_is_named);
    RUN(test_a_hundred_thousand_problems_are_no_trouble);
    RUN(test_print_writes_one_line_each_and_escapes_control_characters);
    return test_done();
}
