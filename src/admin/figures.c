// SPDX-License-Identifier: MPL-2.0
#include "admin/figures.h"

#include "base/mem.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

// Groups of three digits, each in an element of its own: they look apart and copy as one number.
static void
put_grouped(text_t *out, const char *digits)
{
    size_t length = strlen(digits), head = length % 3 ? length % 3 : 3;
    if (length < 5) {
        text_add(out, "%s", digits);
        return;
    }
    text_bytes(out, digits, head);
    for (size_t i = head; i < length; i += 3)
        text_add(out, "<span>%.3s</span>", digits + i);
}

void
figures_count(text_t *out, double value)
{
    char digits[400];
    snprintf(digits, sizeof digits, "%.0f", value);
    put_grouped(out, digits);
}

void
figures_rate(text_t *out, double value)
{
    if (value >= 100 || value - floor(value) <= 0)
        figures_count(out, value);
    else
        text_add(out, "%.1f", value);
}

void
figures_bytes(text_t *out, double value)
{
    static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
    size_t unit = 0;
    for (; value >= 1024 && unit + 1 < COUNT(units); unit++)
        value /= 1024;
    text_add(out, "%.*f %s", unit && value < 100 ? 1 : 0, value, units[unit]);
}

void
figures_share(text_t *out, double value)
{
    text_add(out, "%.*f %%", value > 0 && value < 0.9995 ? 1 : 0, value * 100);
}

void
figures_seconds(text_t *out, double value)
{
    text_add(out, "%.*f s", value > 0 ? 1 : 0, value);
}

void
figures_duration(text_t *out, double value)
{
    static const struct {
        long long size, next;
        char unit, next_unit;
    } steps[] = { { 86400, 3600, 'd', 'h' }, { 3600, 60, 'h', 'm' }, { 60, 1, 'm', 's' } };
    long long seconds = value > 0 ? (long long)value : 0;
    for (size_t i = 0; i < COUNT(steps); i++)
        if (seconds >= steps[i].size) {
            text_add(out, "%lld %c %lld %c", seconds / steps[i].size, steps[i].unit, seconds % steps[i].size / steps[i].next, steps[i].next_unit);
            return;
        }
    text_add(out, "%lld s", seconds);
}
