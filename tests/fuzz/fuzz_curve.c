// SPDX-License-Identifier: MPL-2.0
//
// Boxes: without the key none opens; with it, each opens once. The first octet says which of the two is tried.
#include "zmtp/curve.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ROOM = 16384 };

static const curve_session_t ours = { .out_key = { 1 }, .in_key = { 2 }, .out_nonce = 2, .in_nonce = 1 };
static const curve_session_t theirs = { .out_key = { 2 }, .in_key = { 1 }, .out_nonce = 2, .in_nonce = 1 };

static void
check(bool claim)
{
    if (!claim)
        abort();
}

static void
open_strange(const uint8_t *data, size_t size)
{
    curve_session_t session = theirs;
    uint8_t box[ROOM], flags, *body;
    size_t body_size;
    memcpy(box, data, size);
    check(curve_open(&session, box, size, &flags, &body, &body_size) == -1);
    check(memcmp(&session, &theirs, sizeof session) == 0);
}

// Seal what is there in pieces, and open each: the first time only.
static void
seal_and_open(const uint8_t *data, size_t size)
{
    curve_session_t from = ours, to = theirs;
    uint8_t frame[ROOM], copy[ROOM], flags, *body;
    size_t body_size;
    while (size) {
        size_t piece = 1 + (size_t)data[0] * 7;
        uint8_t sent = data[0] & 1 ? FRAME_MORE : data[0] & 2 ? FRAME_COMMAND : 0;
        piece = piece < size ? piece : size;
        size_t whole = curve_seal(&from, frame, sent, data, piece);
        frame_head_t head = { 0 };
        check(whole == CURVE_SEALED_SIZE(piece));
        check(frame_read(frame, whole, &head) == 1 && head.head + head.body == whole);
        memcpy(copy, frame, whole);
        check(curve_open(&to, frame + head.head, head.body, &flags, &body, &body_size) == 0);
        check(flags == sent && body_size == piece && memcmp(body, data, piece) == 0);
        check(curve_open(&to, copy + head.head, head.body, &flags, &body, &body_size) == -1);
        data += piece;
        size -= piece;
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > ROOM / 2 || sodium_init() == -1)
        return 0;
    (data[0] & 1 ? open_strange : seal_and_open)(data + 1, size - 1);
    return 0;
}
