// SPDX-License-Identifier: MPL-2.0
// units.c - see units.h.

#include "ctl/units.h"

#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

// VALUE in the first of the UNITS, each STEP times the one before, in which it has at most three digits (of bytes: four).
static void
scaled(text_t *out, double value, double step, const char *const *units)
{
    bool whole = true;
    for (; value >= step - 0.5 && units[1]; units++) {
        value /= step;
        whole = false;
    }
    text_add(out, "%.*f%s", whole || value >= 99.95 ? 0 : 1, value, *units);
}

static void
put_count(text_t *out, double value)
{
    static const char *const units[] = { "", "k", "M", "G", "T", "P", NULL };
    scaled(out, value, 1000, units);
}

static void
put_rate(text_t *out, double value)
{
    if (value > 0 && value < 9.95)
        text_add(out, "%.1f", value);
    else
        put_count(out, value);
}

static void
put_bytes(text_t *out, double value)
{
    static const char *const units[] = { " B", " KiB", " MiB", " GiB", " TiB", " PiB", NULL };
    scaled(out, value, 1024, units);
}

static const struct {
    long long size;
    char letter;
} steps[] = { { 86400, 'd' }, { 3600, 'h' }, { 60, 'm' }, { 1, 's' } };

// The greatest step that is in SECONDS; the last one if none is.
static size_t
step_of(long long seconds)
{
    size_t i = 0;
    while (i + 1 < COUNT(steps) && seconds < steps[i].size)
        i++;
    return i;
}

// The two greatest units: 8m 32s.
static void
put_seconds(text_t *out, double value)
{
    long long seconds = (long long)value;
    size_t i = step_of(seconds);
    if (value > 0 && value < 9.95)
        text_add(out, "%.1fs", value);
    else if (i + 1 == COUNT(steps))
        text_add(out, "%llds", seconds);
    else
        text_add(out, "%lld%c %lld%c", seconds / steps[i].size, steps[i].letter,
                 seconds % steps[i].size / steps[i + 1].size, steps[i + 1].letter);
}

static void
put_age(text_t *out, double value)
{
    long long seconds = (long long)value;
    size_t i = step_of(seconds);
    text_add(out, "%lld%c ago", seconds / steps[i].size, steps[i].letter);
}

static void
put_share(text_t *out, double value)
{
    text_add(out, "%.*f%%", value > 0 && value < 0.0995 ? 1 : 0, value * 100);
}

static const struct {
    void (*for_people)(text_t *out, double value);
    int digits; // behind the point, for a program
} forms[] = {
    [UNIT_COUNT] = { put_count, 0 },     [UNIT_RATE] = { put_rate, 1 }, [UNIT_BYTES] = { put_bytes, 0 },
    [UNIT_SECONDS] = { put_seconds, 1 }, [UNIT_AGE] = { put_age, 0 },   [UNIT_SHARE] = { put_share, 3 },
};

void
units_put(text_t *out, unit_t unit, double value, bool for_people)
{
    if (!isfinite(value) || fabs(value) > 1e18)
        text_add(out, "-");
    else if (for_people)
        forms[unit].for_people(out, value > 0 ? value : 0);
    else
        text_add(out, "%.*f", forms[unit].digits, value);
}

double
units_age(const char *time, int64_t now_wall_ns)
{
    struct tm parts = { 0 };
    const char *rest = strptime(time, "%Y-%m-%dT%H:%M:%S", &parts);
    if (!rest)
        return -1;
    double fraction = *rest == '.' ? strtod(rest, NULL) : 0;
    double age = (double)now_wall_ns / 1e9 - ((double)timegm(&parts) + fraction);
    return age > 0 ? age : 0;
}
