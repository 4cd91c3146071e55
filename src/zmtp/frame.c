// SPDX-License-Identifier: MPL-2.0
#include "zmtp/frame.h"

enum { OLD_LARGE = 0xff };

int
frame_read_old(const uint8_t *at, size_t have, frame_head_t *head)
{
    if (have == 0)
        return 0;
    size_t size = at[0] == OLD_LARGE ? FRAME_OLD_LARGE_HEAD : FRAME_OLD_SHORT_HEAD;
    if (have < size)
        return 0;
    uint64_t length = at[0] == OLD_LARGE ? frame_get64(at + 1) : at[0]; // of the flags and the body
    uint8_t flags = at[size - 1];
    if (length == 0 || length > FRAME_BODY_MAX || (flags & ~FRAME_MORE))
        return -1;
    *head = (frame_head_t){ .body = length - 1, .flags = flags, .head = (uint8_t)size };
    return 1;
}

size_t
frame_write_old_head(uint8_t *at, uint8_t flags, uint64_t body)
{
    size_t size = body > FRAME_OLD_SHORT_BODY ? FRAME_OLD_LARGE_HEAD : FRAME_OLD_SHORT_HEAD;
    if (size == FRAME_OLD_LARGE_HEAD) {
        at[0] = OLD_LARGE;
        frame_put64(at + 1, body + 1);
    } else {
        at[0] = (uint8_t)(body + 1);
    }
    at[size - 1] = flags & FRAME_MORE;
    return size;
}
