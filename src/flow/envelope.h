// SPDX-License-Identifier: MPL-2.0
// envelope.h - the frame that says where a captured message came from:
// "ROUTE SIDE SEQ NANOSECONDS". Divisions, let alone snprintf(3), would cost more than
// the message itself: the text is kept, and the next number is written over it.

#ifndef ZB_ENVELOPE_H
#define ZB_ENVELOPE_H

#include "conf/conf.h"

#include <stddef.h>
#include <stdint.h>

enum { ENVELOPE_MAX = ROUTE_NAME_MAX + 58 };

typedef struct envelope {
    char text[ENVELOPE_MAX];
    size_t head, units, size; // where SEQ begins; its last digit; all of it
    uint64_t seq;
    int64_t wall_ns; // -1: nothing is written yet
} envelope_t;

void envelope_begin(envelope_t *self, const char *route, side_t side);
void envelope_write(envelope_t *self, uint64_t seq, int64_t wall_ns);

#endif
