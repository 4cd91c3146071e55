// SPDX-License-Identifier: MPL-2.0
// clock.c - see clock.h.

#include "base/clock.h"

#include <stdio.h>
#include <time.h>

static int64_t
read_ns(clockid_t id)
{
    struct timespec now;
    clock_gettime(id, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t
clock_mono_ns(void)
{
    return read_ns(CLOCK_MONOTONIC);
}

int64_t
clock_mono_ms(void)
{
    return read_ns(CLOCK_MONOTONIC) / 1000000;
}

int64_t
clock_wall_ns(void)
{
    return read_ns(CLOCK_REALTIME);
}

// With DIGITS of the second, each of which is UNIT_NS long.
static void
put_rfc3339(int64_t wall_ns, int digits, int64_t unit_ns, char text[32])
{
    // Round towards the past, so that a time before 1970 has its digits too.
    int64_t seconds = wall_ns / 1000000000 - (wall_ns % 1000000000 < 0);
    time_t when = (time_t)seconds;
    struct tm utc;
    gmtime_r(&when, &utc);
    size_t used = strftime(text, 32, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(text + used, 32 - used, ".%0*dZ", digits, (int)((wall_ns - seconds * 1000000000) / unit_ns));
}

void
clock_rfc3339(int64_t wall_ns, char text[32])
{
    put_rfc3339(wall_ns, 3, 1000000, text);
}

void
clock_rfc3339_us(int64_t wall_ns, char text[32])
{
    put_rfc3339(wall_ns, 6, 1000, text);
}
