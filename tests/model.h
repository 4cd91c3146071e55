// SPDX-License-Identifier: MPL-2.0
// model.h - for tests that do the same at random to what they test and to a naive
// model of it, and look at what it costs.

#ifndef ZB_MODEL_H
#define ZB_MODEL_H

#include <malloc.h>
#include <stddef.h>
#include <stdint.h>

// Always the same numbers: a test that fails fails again.
static inline uint32_t
dice(uint32_t sides)
{
    static uint64_t state = 42;
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(state >> 33) % sides;
}

// Memory in use, in bytes. With a sanitizer's malloc it is always 0.
static inline size_t
in_use(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

#endif
