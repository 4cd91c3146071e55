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

void
clock_rfc3339(int64_t wall_ns, char text[32])
{
    // Round towards the past, so that a time before 1970 has milliseconds too.
    int64_t ms = wall_ns / 1000000 - (wall_ns % 1000000 < 0);
    int64_t seconds = ms / 1000 - (ms % 1000 < 0);
    time_t when = (time_t)seconds;
    struct tm utc;
    gmtime_r(&when, &utc);
    size_t used = strftime(text, 32, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(text + used, 32 - used, ".%03dZ", (int)(ms - seconds * 1000));
}
