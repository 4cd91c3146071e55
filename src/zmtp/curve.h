// SPDX-License-Identifier: MPL-2.0
// curve.h - CURVE once both sides are READY (RFC 26): each part of a message, and each
// command, goes in a box of its own, an ordinary frame whose body is "\7MESSAGE", a
// nonce, a MAC, and the sealed flags and part. The handshake (handshake.h) makes the
// session.

#ifndef ZB_ZMTP_CURVE_H
#define ZB_ZMTP_CURVE_H

#include "zmtp/frame.h"

enum {
    CURVE_KEY = 32,
    CURVE_OVERHEAD = 33, // octets of a box's body besides the part
};

// A side's own keys. Whoever owns them wipes them.
typedef struct curve_keys {
    uint8_t public_key[CURVE_KEY];
    uint8_t secret_key[CURVE_KEY];
} curve_keys_t;

// The keys of both directions and the nonces used so far. No pointers: it can be
// handed over to another process, but only one of the two may go on sealing.
typedef struct {
    uint8_t out_key[CURVE_KEY];
    uint8_t in_key[CURVE_KEY];
    uint64_t out_nonce; // of the next box
    uint64_t in_nonce;  // of the last box
} curve_session_t;

// The octets that a part of SIZE octets takes when it is sealed, with the frame's head.
#define CURVE_SEALED_SIZE(size) (frame_head_size((size) + CURVE_OVERHEAD) + (size) + CURVE_OVERHEAD)

// Seal SIZE octets of BODY as a whole frame at OUT, which has room for
// CURVE_SEALED_SIZE (SIZE) and does not overlap BODY. FLAGS: FRAME_MORE or
// FRAME_COMMAND. Returns the octets written; 0 if the nonces are used up, when the
// connection has to end.
size_t curve_seal(curve_session_t *self, uint8_t *out, uint8_t flags, const uint8_t *body, size_t size);

// Open in place the SIZE octets at BOX, the body of a frame, which itself has neither
// FRAME_MORE nor a meaning of FRAME_COMMAND: FLAGS has those that were sealed, and
// *BODY and *BODY_SIZE the part, inside BOX. -1: it is no box, not for this
// session, changed, or was seen before; SELF is as it was then, and so is BOX.
int curve_open(curve_session_t *self, uint8_t *box, size_t size, uint8_t *flags, uint8_t **body, size_t *body_size);

// Forget the keys.
void curve_wipe(curve_session_t *self);

#endif
