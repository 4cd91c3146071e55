// SPDX-License-Identifier: MPL-2.0
// wipebuf.h - a small buffer that grows by what is put into it and wipes whatever it
// forgets: passwords and keys pass through it.

#ifndef ZB_ZMTP_WIPEBUF_H
#define ZB_ZMTP_WIPEBUF_H

#include <stddef.h>
#include <stdint.h>

// Empty when zeroed.
typedef struct {
    uint8_t *at;
    uint32_t size, room;
} wipebuf_t;

// Add SIZE octets at the end. It never gets larger than MAX, which the
// caller sees to.
void wipebuf_add(wipebuf_t *self, const uint8_t *bytes, size_t size, size_t max);

// Forget the first SIZE octets; empty, it holds no memory.
void wipebuf_drop(wipebuf_t *self, size_t size);
void wipebuf_free(wipebuf_t *self); // all of them

#endif
