// SPDX-License-Identifier: MPL-2.0
//
// A box is crypto_box's, made of its pieces: the key of two sides is computed once, and
// so is what the 16 fixed octets of a nonce make of it, for the boxes of a direction.
#include "zmtp/curve.h"

#include <sodium.h>
#include <string.h>

// Where things are in the body of a box; the name is there with its length. The first
// 32 octets of the key stream make the key of the MAC, as in crypto_box; the sealed
// octets take those that follow.
enum {
    BOX_NONCE = 8,
    BOX_MAC = 16,
    BOX_SEALED = 32,
    BOX_PART = CURVE_OVERHEAD,
};
static const char box_name[BOX_NONCE + 1] = "\7MESSAGE";

enum { SEALED_MORE = 1, SEALED_COMMAND = 2 }; // other bits than a frame's

static uint8_t
to_sealed(uint8_t flags)
{
    return (uint8_t)((flags & FRAME_MORE ? SEALED_MORE : 0) | (flags & FRAME_COMMAND ? SEALED_COMMAND : 0));
}

static uint8_t
from_sealed(uint8_t sealed)
{
    return (uint8_t)((sealed & SEALED_MORE ? FRAME_MORE : 0) | (sealed & SEALED_COMMAND ? FRAME_COMMAND : 0));
}

// libsodium makes four blocks of the key stream at once in the time of one.
enum { BLOCK = 64, RUN = 4 * BLOCK };

typedef struct {
    const uint8_t *nonce, *key;
    uint8_t run[RUN];
} stream_t;

// The run of the key stream that begins with BLOCK.
static void
make_run(stream_t *self, uint64_t block)
{
    memset(self->run, 0, sizeof self->run);
    crypto_stream_salsa20_xor_ic(self->run, self->run, sizeof self->run, self->nonce, block, self->key);
}

static void
mix(uint8_t *out, const uint8_t *in, const uint8_t *stream, size_t size)
{
    uint64_t word, key;
    for (; size >= sizeof word; size -= sizeof word, in += sizeof word, out += sizeof word, stream += sizeof word) {
        memcpy(&word, in, sizeof word);
        memcpy(&key, stream, sizeof key);
        word ^= key;
        memcpy(out, &word, sizeof word);
    }
    for (size_t i = 0; i < size; i++)
        out[i] = in[i] ^ stream[i];
}

// Mix SIZE octets with the key stream. Its first run is made already, and the first USED
// octets of it are spent.
static void
mix_all(stream_t *self, uint8_t *out, const uint8_t *in, size_t size, size_t used)
{
    size_t first = size < RUN - used ? size : RUN - used;
    mix(out, in, self->run + used, first);
    size_t left = size - first, runs = left / RUN * RUN;
    if (runs)
        crypto_stream_salsa20_xor_ic(out + first, in + first, runs, self->nonce, RUN / BLOCK, self->key);
    if (left > runs) {
        make_run(self, (RUN + runs) / BLOCK);
        mix(out + first + runs, in + first + runs, self->run, left - runs);
    }
}

size_t
curve_seal(curve_session_t *self, uint8_t *out, uint8_t flags, const uint8_t *body, size_t size)
{
    if (self->out_nonce > INT64_MAX)
        return 0;
    size_t head = frame_write_head(out, 0, size + CURVE_OVERHEAD);
    uint8_t *box = out + head, mac_key[CURVE_KEY];
    stream_t stream = { .nonce = box + BOX_NONCE, .key = self->out_key };
    memcpy(box, box_name, BOX_NONCE);
    frame_put64(box + BOX_NONCE, self->out_nonce++);
    make_run(&stream, 0);
    memcpy(mac_key, stream.run, CURVE_KEY);
    box[BOX_SEALED] = to_sealed(flags) ^ stream.run[CURVE_KEY];
    mix_all(&stream, box + BOX_PART, body, size, CURVE_KEY + 1);
    crypto_onetimeauth_poly1305(box + BOX_MAC, box + BOX_SEALED, size + 1, mac_key);
    return head + CURVE_OVERHEAD + size;
}

int
curve_open(curve_session_t *self, uint8_t *box, size_t size, uint8_t *flags, uint8_t **body, size_t *body_size)
{
    if (size < CURVE_OVERHEAD || memcmp(box, box_name, BOX_NONCE) != 0 ||
        frame_get64(box + BOX_NONCE) <= self->in_nonce)
        return -1;
    stream_t stream = { .nonce = box + BOX_NONCE, .key = self->in_key };
    make_run(&stream, 0);
    if (crypto_onetimeauth_poly1305_verify(box + BOX_MAC, box + BOX_SEALED, size - BOX_SEALED, stream.run) == -1)
        return -1;
    self->in_nonce = frame_get64(box + BOX_NONCE);
    mix_all(&stream, box + BOX_SEALED, box + BOX_SEALED, size - BOX_SEALED, CURVE_KEY);
    if (box[BOX_SEALED] > SEALED_COMMAND)
        return -1;
    *flags = from_sealed(box[BOX_SEALED]);
    *body = box + BOX_PART;
    *body_size = size - CURVE_OVERHEAD;
    return 0;
}

void
curve_wipe(curve_session_t *self)
{
    sodium_memzero(self, sizeof *self);
}
