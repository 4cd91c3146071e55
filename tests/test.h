// SPDX-License-Identifier: MPL-2.0
// test.h - the whole unit-test harness: one function per behaviour, one line of
// TAP each, so that `make check` counts behaviours, not programs.

#ifndef ZB_TEST_H
#define ZB_TEST_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// How long a test waits for what must come. It ends what hangs and judges no machine: tests wait for conditions,
// print how long something took, and do not take a moment of quiet for the end.
#define ENOUGH_MS 60000

static int test_number;
static int test_failures;
static bool test_ok;

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            printf("# %s:%d: %s\n", __FILE__, __LINE__, #condition);                                                   \
            test_ok = false;                                                                                           \
        }                                                                                                              \
    } while (0)

#define CHECK_TEXT(actual, expected)                                                                                   \
    do {                                                                                                               \
        const char *a_ = (actual), *e_ = (expected);                                                                   \
        if (!a_ || strcmp(a_, e_) != 0) {                                                                              \
            printf("# %s:%d: got \"%s\", expected \"%s\"\n", __FILE__, __LINE__, a_ ? a_ : "(null)", e_);              \
            test_ok = false;                                                                                           \
        }                                                                                                              \
    } while (0)

#define RUN(function)                                                                                                  \
    do {                                                                                                               \
        test_ok = true;                                                                                                \
        function();                                                                                                    \
        if (!test_ok)                                                                                                  \
            test_failures++;                                                                                           \
        printf("%sok %d - %s\n", test_ok ? "" : "not ", ++test_number, #function);                                     \
        fflush(stdout);                                                                                                \
    } while (0)

static inline int
test_done(void)
{
    printf("1..%d\n", test_number);
    return test_failures ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
