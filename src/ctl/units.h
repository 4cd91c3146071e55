// SPDX-License-Identifier: MPL-2.0
// units.h - numbers for people, who read 4.2k, 2.7 MiB and 3m ago, or for a
// program, which reads digits.

#ifndef ZB_CTL_UNITS_H
#define ZB_CTL_UNITS_H

#include "base/text.h"

#include <stdbool.h>
#include <stdint.h>

typedef enum {
    UNIT_COUNT,
    UNIT_RATE, // a second
    UNIT_BYTES,
    UNIT_SECONDS, // how long
    UNIT_AGE,     // seconds since then
    UNIT_SHARE,   // of 0 to 1
} unit_t;

void units_put(text_t *out, unit_t unit, double value, bool for_people);

// Seconds since TIME, as the daemon writes it (RFC 3339, UTC); -1: it is no time.
double units_age(const char *time, int64_t now_wall_ns);

#endif
