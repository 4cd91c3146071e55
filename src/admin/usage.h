// SPDX-License-Identifier: MPL-2.0
// usage.h - what this process uses of the machine: proc(5), getrusage(2).

#ifndef ZB_USAGE_H
#define ZB_USAGE_H

#include <stdint.h>

typedef struct {
    double cpu_seconds;
    int64_t rss_bytes;
    int64_t open_fds, max_fds;
} usage_t;

void usage_read(usage_t *self);

#endif
