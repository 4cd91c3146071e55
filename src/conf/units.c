// SPDX-License-Identifier: MPL-2.0
#include "conf/units.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

typedef struct {
    const char *name;
    int64_t factor;
} suffix_t;

static const suffix_t times[] = { { "h", 3600000 }, { "m", 60000 }, { "s", 1000 }, { "ms", 1 }, { NULL, 0 } };
static const suffix_t sizes[] = { { "G", 1 << 30 }, { "M", 1 << 20 }, { "k", 1 << 10 }, { "K", 1 << 10 }, { NULL, 0 } };

// strtoll alone would take leading blanks and a lone sign.
static const char *
read_number(const char *text, int base, int64_t *value, bool *beyond)
{
    const char *digits = text + (*text == '-' || *text == '+');
    if (!isdigit((unsigned char)*digits))
        return NULL;
    errno = 0;
    char *end;
    *value = strtoll(text, &end, base);
    *beyond = errno == ERANGE;
    return end;
}

int
units_number(const char *text, int64_t *value)
{
    const char *digits = text + (*text == '-' || *text == '+');
    bool hex = digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X');
    if (hex && !isxdigit((unsigned char)digits[2]))
        return -1;
    bool beyond;
    const char *end = read_number(text, hex ? 16 : 10, value, &beyond);
    return !end || *end ? -1 : beyond ? UNITS_BEYOND : 0;
}

static int
read_with_unit(const char *text, const suffix_t *units, int64_t bare, int64_t *value)
{
    int64_t number;
    bool beyond;
    const char *end = read_number(text, 10, &number, &beyond);
    if (!end)
        return -1;
    int64_t factor = *end ? 0 : bare;
    for (const suffix_t *unit = units; *end && unit->name; unit++)
        if (strcmp(end, unit->name) == 0)
            factor = unit->factor;
    // -1 is libzmq's "none" or "for ever" and has no unit.
    if (number == -1 && !*end)
        factor = 1;
    if (!factor)
        return -1;
    return beyond || __builtin_mul_overflow(number, factor, value) ? UNITS_BEYOND : 0;
}

int
units_time(const char *text, int64_t bare_unit_ms, int64_t *ms)
{
    return read_with_unit(text, times, bare_unit_ms, ms);
}

int
units_size(const char *text, int64_t *bytes)
{
    return read_with_unit(text, sizes, 1, bytes);
}

int
units_switch(const char *text, bool *value)
{
    static const char *const words[][2] = { { "no", "yes" }, { "false", "true" }, { "off", "on" }, { "0", "1" } };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        for (int j = 0; j < 2; j++)
            if (strcasecmp(text, words[i][j]) == 0) {
                *value = j;
                return 0;
            }
    return -1;
}

int
units_mode(const char *text, int64_t *mode)
{
    bool beyond;
    const char *end = read_number(text, 8, mode, &beyond);
    return end && !*end && *mode >= 0 && *mode <= 0777 && *text != '+' ? 0 : -1;
}

static void
print_with_unit(int64_t value, const suffix_t *units, const char *smallest, char text[UNITS_TEXT])
{
    for (const suffix_t *unit = units; unit->name; unit++)
        if (value > 0 && unit->factor > 1 && value % unit->factor == 0) {
            snprintf(text, UNITS_TEXT, "%" PRId64 "%s", value / unit->factor, unit->name);
            return;
        }
    snprintf(text, UNITS_TEXT, "%" PRId64 "%s", value, value > 0 ? smallest : "");
}

void
units_print_time(int64_t ms, char text[UNITS_TEXT])
{
    print_with_unit(ms, times, "ms", text);
}

void
units_print_size(int64_t bytes, char text[UNITS_TEXT])
{
    print_with_unit(bytes, sizes, "", text);
}

void
units_print_end(int64_t number, void (*print)(int64_t, char[UNITS_TEXT]), char text[UNITS_TEXT])
{
    if (print && number != INT_MAX && number != INT64_MAX)
        print(number, text);
    else
        snprintf(text, UNITS_TEXT, "%" PRId64, number);
}

const char *
units_hint(const char *text, bool is_count, char hint[UNITS_HINT])
{
    static const suffix_t counts[] = {
        { "G", 1000000000 }, { "M", 1000000 }, { "k", 1000 }, { "K", 1000 }, { NULL, 0 }
    };
    int64_t count;
    if (!is_count || read_with_unit(text, counts, 1, &count) != 0)
        return "";
    snprintf(hint, UNITS_HINT, "; a count has no unit, write %" PRId64, count);
    return hint;
}
