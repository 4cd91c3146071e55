// SPDX-License-Identifier: MPL-2.0
//
// A handshake with whatever comes. The first octet has the mechanism, the role and
// what is allowed, the second the pieces that the rest is fed in; in pieces or at
// once, it ends in the same. The random numbers are the same each time, and the keys
// known, so that real sessions can be seeds.
#include "zmtp/handshake.h"
#include "zmtp/peertype.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { AS_SERVER = 4, OLD_PEERS = 8, ASKS = 16, REFUSES = 32, RESTORES = 64 };

static curve_keys_t keys[2];

// --- random numbers that come again ---------------------------------------------------

static uint32_t drawn;

static const char *
name_of_source(void)
{
    return "fuzz";
}

static uint32_t
draw(void)
{
    return ++drawn * 2654435761u;
}

static void
draw_bytes(void *const at, const size_t size)
{
    for (size_t i = 0; i < size; i++)
        ((uint8_t *)at)[i] = (uint8_t)(draw() >> 24);
}

static randombytes_implementation source = { .implementation_name = name_of_source, .random = draw, .buf = draw_bytes };

static void
check(bool claim)
{
    if (!claim)
        abort();
}

static void
start(void)
{
    static bool started;
    drawn = 0;
    if (started)
        return;
    started = true;
    randombytes_set_implementation(&source);
    check(sodium_init() != -1);
    for (uint8_t i = 0; i < 2; i++) {
        memset(keys[i].secret_key, 0x41 + i, CURVE_KEY);
        crypto_scalarmult_base(keys[i].public_key, keys[i].secret_key);
    }
}

// --- one handshake ----------------------------------------------------------------------

static handshake_conf_t
conf_of(uint8_t octet)
{
    bool server = octet & AS_SERVER;
    return (handshake_conf_t){ .type = server ? PEERTYPE_ROUTER : PEERTYPE_DEALER,
                               .mechanism = (octet & 3) % HANDSHAKE_MECHANISMS,
                               .as_server = server,
                               .old_peers = octet & OLD_PEERS,
                               .asks = octet & ASKS,
                               .identity = (const uint8_t *)"me",
                               .identity_size = 2,
                               .user = "alice",
                               .password = "secret",
                               .curve_keys = &keys[server],
                               .curve_server = keys[1].public_key };
}

static void
check_output(handshake_t *self)
{
    size_t size;
    const uint8_t *out = handshake_output(self, &size);
    check(!size == !out && size <= 1024);
}

static void
check_end(handshake_t *self)
{
    handshake_state_t state = handshake_state(self);
    const char *words = handshake_words(self);
    check((state == HANDSHAKE_FAILED) == (handshake_fault(self) != FAULT_NONE));
    check((state == HANDSHAKE_FAILED) == (*words != '\0'));
    for (; *words; words++)
        check(*words >= 0x20 && *words < 0x7f);
    const handshake_peer_t *peer = handshake_peer(self);
    check(peer->durable_size <= METADATA_DURABLE_MAX && peer->type < PEERTYPES);
    check(handshake_saved_size(self) <= HANDSHAKE_MEMORY_MAX);
}

// Another process goes on with it.
static handshake_t *
hand_over(handshake_t *self, const handshake_conf_t *conf)
{
    uint8_t saved[HANDSHAKE_MEMORY_MAX];
    size_t size = handshake_saved_size(self);
    handshake_save(self, saved);
    handshake_destroy(&self);
    self = handshake_restore(conf, saved, size);
    check(self);
    return self;
}

typedef struct {
    handshake_state_t state;
    handshake_fault_t fault;
    size_t taken;
    char words[HANDSHAKE_WORDS_MAX];
} result_t;

static result_t
run(const handshake_conf_t *conf, bool refuses, bool hands_over, const uint8_t *data, size_t size, size_t piece)
{
    result_t result = { 0 };
    size_t took = 1;
    drawn = 0;
    handshake_t *self = handshake_new(conf);
    while (took && result.taken < size) {
        size_t left = size - result.taken;
        took = handshake_feed(self, data + result.taken, left < piece ? left : piece);
        result.taken += took;
        check_output(self);
        check_end(self);
        if (hands_over)
            self = hand_over(self, conf);
        if (handshake_state(self) == HANDSHAKE_ASKS) {
            handshake_claim_t claim = handshake_claim(self);
            check(claim.mechanism == conf->mechanism);
            check(!claim.user.at == (conf->mechanism != HANDSHAKE_PLAIN));
            check(!claim.public_key == (conf->mechanism != HANDSHAKE_CURVE));
            handshake_verdict(self, refuses ? HANDSHAKE_REFUSED : HANDSHAKE_WELCOME);
            check(handshake_state(self) != HANDSHAKE_ASKS);
        }
    }
    curve_session_t session;
    result.state = handshake_state(self);
    result.fault = handshake_fault(self);
    snprintf(result.words, sizeof result.words, "%s", handshake_words(self));
    check(handshake_take_session(self, &session) ==
          (result.state == HANDSHAKE_READY && conf->mechanism == HANDSHAKE_CURVE));
    handshake_destroy(&self);
    return result;
}

// What is restored is whatever comes.
static void
restore(const handshake_conf_t *conf, const uint8_t *data, size_t size)
{
    handshake_t *self = handshake_restore(conf, data, size);
    if (self) {
        check_output(self);
        if (handshake_state(self) == HANDSHAKE_ASKS) {
            handshake_claim(self);
            handshake_verdict(self, HANDSHAKE_WELCOME);
        }
        handshake_feed(self, data, size);
    }
    handshake_destroy(&self);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    start();
    handshake_conf_t conf = conf_of(data[0]);
    bool refuses = data[0] & REFUSES, hands_over = data[0] & RESTORES;
    size_t piece = 1 + (size_t)data[1];
    data += 2;
    size -= 2;
    if (hands_over && piece == 256) {
        restore(&conf, data, size);
        return 0;
    }
    result_t whole = run(&conf, refuses, false, data, size, SIZE_MAX);
    result_t pieces = run(&conf, refuses, hands_over, data, size, piece);
    check(whole.state == pieces.state && whole.fault == pieces.fault && whole.taken == pieces.taken);
    check(strcmp(whole.words, pieces.words) == 0);
    return 0;
}
