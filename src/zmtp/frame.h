// SPDX-License-Identifier: MPL-2.0
// frame.h - the heads of ZMTP frames, read and written. No state: bytes and an
// offset are all there is.
//
// Frames of ZMTP 2.0 and later are the form that messages have inside zbroker, so
// that they go out as they came in. Frames of ZMTP 1.0 have heads of their own; the
// bodies are alike.

#ifndef ZB_ZMTP_FRAME_H
#define ZB_ZMTP_FRAME_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { FRAME_MORE = 1, FRAME_LARGE = 2, FRAME_COMMAND = 4 };

enum {
    FRAME_SHORT_HEAD = 2,
    FRAME_LARGE_HEAD = 9,
    FRAME_SHORT_BODY = 255, // the largest body after a short head
    FRAME_OLD_SHORT_HEAD = 2,
    FRAME_OLD_LARGE_HEAD = 10,
    FRAME_OLD_SHORT_BODY = 253, // its length counts the flags, and 255 announces a large one
    FRAME_HEAD_MAX = 10,
};

#define FRAME_BODY_MAX ((uint64_t)INT64_MAX) // no sum of a head and a body overflows

typedef struct {
    uint64_t body; // octets after the head
    uint8_t flags;
    uint8_t head; // octets
} frame_head_t;

static inline uint64_t
frame_get64(const uint8_t *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return be64toh(value);
}

static inline void
frame_put64(uint8_t *at, uint64_t value)
{
    value = htobe64(value);
    memcpy(at, &value, sizeof value);
}

// libzmq 4.3.4 forgets FRAME_LARGE on a SUBSCRIBE with a topic of 246 to 255 octets
// and on a CANCEL with one of 249 to 255, but writes the length in 8 octets: 04, then
// 00 00 00 00 00 00 01 XX. No command is empty, so a short command of length 0 is a
// large one. (Subscriptions as messages, where 00 00 could be an empty message as
// well, it writes to peers of ZMTP 3.0 only, and we are 3.1.)
#define FRAME_FORGOTTEN_LARGE_MAX 265 // octets: 10 of SUBSCRIBE and a topic of 255

// As frame_read, which is what to call.
static inline int
frame_read_any(const uint8_t *at, size_t have, frame_head_t *head)
{
    if (have == 0)
        return 0;
    uint8_t flags = at[0];
    if (flags > (FRAME_LARGE | FRAME_COMMAND) || (flags & (FRAME_MORE | FRAME_COMMAND)) == (FRAME_MORE | FRAME_COMMAND))
        return -1;
    if (have < FRAME_SHORT_HEAD)
        return 0;
    bool forgotten = flags == FRAME_COMMAND && at[1] == 0;
    if (!(flags & FRAME_LARGE) && !forgotten) {
        *head = (frame_head_t){ .body = at[1], .flags = flags, .head = FRAME_SHORT_HEAD };
        return 1;
    }
    if (have < FRAME_LARGE_HEAD)
        return 0;
    uint64_t body = frame_get64(at + 1);
    if (body > (forgotten ? FRAME_FORGOTTEN_LARGE_MAX : FRAME_BODY_MAX) || (forgotten && body <= FRAME_SHORT_BODY))
        return -1;
    *head = (frame_head_t){ .body = body, .flags = (uint8_t)(flags | FRAME_LARGE), .head = FRAME_LARGE_HEAD };
    return 1;
}

// Read the head at AT, of which HAVE octets are there. 1: read; 0: more octets are
// needed; -1: this is no frame: reserved bits, MORE on a command, an absurd length.
static inline int
frame_read(const uint8_t *at, size_t have, frame_head_t *head)
{
    if (have < FRAME_SHORT_HEAD || at[0] > FRAME_MORE)
        return frame_read_any(at, have, head);
    *head = (frame_head_t){ .body = at[1], .flags = at[0], .head = FRAME_SHORT_HEAD }; // as most are
    return 1;
}

// The octets of the shortest head for BODY octets.
static inline size_t
frame_head_size(uint64_t body)
{
    return body > FRAME_SHORT_BODY ? FRAME_LARGE_HEAD : FRAME_SHORT_HEAD;
}

// Write the shortest head for BODY octets to AT; FLAGS without LARGE, which follows
// from the length. Returns the octets written.
static inline size_t
frame_write_head(uint8_t *at, uint8_t flags, uint64_t body)
{
    if (body > FRAME_SHORT_BODY) {
        at[0] = (uint8_t)(flags | FRAME_LARGE);
        frame_put64(at + 1, body);
        return FRAME_LARGE_HEAD;
    }
    at[0] = (uint8_t)(flags & ~FRAME_LARGE);
    at[1] = (uint8_t)body;
    return FRAME_SHORT_HEAD;
}

// The same for ZMTP 1.0 (RFC 13), whose only flag is MORE.
int frame_read_old(const uint8_t *at, size_t have, frame_head_t *head);
size_t frame_write_old_head(uint8_t *at, uint8_t flags, uint64_t body);

#endif
