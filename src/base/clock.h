// SPDX-License-Identifier: MPL-2.0
// clock.h - CLOCK_MONOTONIC for measuring, CLOCK_REALTIME only for showing.

#ifndef ZB_CLOCK_H
#define ZB_CLOCK_H

#include <stddef.h>
#include <stdint.h>

int64_t clock_mono_ns(void);
int64_t clock_mono_ms(void);
int64_t clock_wall_ns(void);

// RFC 3339 in UTC with milliseconds, "2026-11-21T04:31:19.123Z"; TEXT holds 32 bytes.
void clock_rfc3339(int64_t wall_ns, char text[32]);
void clock_rfc3339_us(int64_t wall_ns, char text[32]); // with microseconds

#endif
