// SPDX-License-Identifier: MPL-2.0
// handshake.h - the beginning of one connection: ZMTP's greeting, any version from 1.0
// to 3.1, and one of the mechanisms NULL, PLAIN and CURVE, as server or client.
//
// Bytes go in and come out; nothing here knows a socket or a clock. The owner
// feeds what arrives and writes handshake_output, until the state says otherwise:
//
//   GOES_ON   feed more
//   ASKS      judge handshake_claim, call handshake_verdict, feed what was not taken
//   READY     take handshake_peer and handshake_take_session; what was not taken of
//             the input is traffic; the rest of the output goes out before any other
//   FAILED    handshake_fault and handshake_words say why; write the output, close
//
// A peer can't make it hold more than HANDSHAKE_MEMORY_MAX octets, and what it holds
// grows by what has come, never by a length that was announced. Once ready or failed
// it holds no input. The process has called sodium_init.

#ifndef ZB_ZMTP_HANDSHAKE_H
#define ZB_ZMTP_HANDSHAKE_H

#include "zmtp/curve.h"
#include "zmtp/metadata.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    HANDSHAKE_COMMAND_MAX = 4096,  // octets of a command
    HANDSHAKE_METADATA_MAX = 6144, // of INITIATE and READY, which carry metadata: what the memory leaves
    HANDSHAKE_MEMORY_MAX = 8192,   // of a handshake with all its buffers
    HANDSHAKE_WORDS_MAX = 160,
    HANDSHAKE_CREDENTIAL_MAX = 255, // octets of a user's name or a password
};

typedef enum { HANDSHAKE_NULL, HANDSHAKE_PLAIN, HANDSHAKE_CURVE, HANDSHAKE_MECHANISMS } handshake_mechanism_t;
const char *handshake_mechanism_name(handshake_mechanism_t mechanism); // "NULL"

// What all connections of a side have in common. It outlives its handshakes; what it
// points to is its owner's.
typedef struct handshake_conf {
    int type; // of our socket (peertype.h)
    handshake_mechanism_t mechanism;
    bool as_server;
    bool old_peers; // ZMTP 1.0 and 2.0 are spoken too; with NULL only
    bool asks;      // a verdict is wanted with NULL too; a server of PLAIN or CURVE always wants one
    const uint8_t *identity;
    size_t identity_size;           // at most METADATA_IDENTITY_MAX
    const char *user, *password;    // client of PLAIN
    const curve_keys_t *curve_keys; // CURVE: ours
    const uint8_t *curve_server;    // client of CURVE: the server's public key
} handshake_conf_t;

typedef struct handshake handshake_t;

handshake_t *handshake_new(const handshake_conf_t *conf);
void handshake_destroy(handshake_t **self_p); // wipes; *SELF_P may be NULL

typedef enum { HANDSHAKE_GOES_ON, HANDSHAKE_ASKS, HANDSHAKE_READY, HANDSHAKE_FAILED } handshake_state_t;
handshake_state_t handshake_state(const handshake_t *self);

// Take up to SIZE octets of what the peer sent. Returns how many were taken: fewer than
// SIZE only if the state is no longer GOES_ON.
size_t handshake_feed(handshake_t *self, const uint8_t *in, size_t size);

// The peer has been silent for a while: say what can be said without it.
void handshake_prompt(handshake_t *self);

// The peer has closed, while the state was GOES_ON: it is FAILED now. libzmq leaves without a word, its own mechanism unsaid, as
// soon as it hears of another one.
void handshake_left(handshake_t *self);

// What is to be written, *SIZE octets, valid until the next call; then say how many
// of them were.
const uint8_t *handshake_output(const handshake_t *self, size_t *size);
void handshake_sent(handshake_t *self, size_t size);

// ASKS: what the peer claims, valid until the verdict. Not set is what the mechanism
// does not have.
typedef struct {
    handshake_mechanism_t mechanism;
    metadata_value_t user, password; // PLAIN
    const uint8_t *public_key;       // CURVE: CURVE_KEY octets, the peer has proved that it owns the secret one
} handshake_claim_t;
handshake_claim_t handshake_claim(const handshake_t *self);

// The status codes of RFC 27.
typedef enum {
    HANDSHAKE_WELCOME = 200,
    HANDSHAKE_LATER = 300,   // closes without an ERROR: the peer tries again
    HANDSHAKE_REFUSED = 400, // sends an ERROR: libzmq's clients do not come back
    HANDSHAKE_BROKEN = 500,
} handshake_verdict_t;
void handshake_verdict(handshake_t *self, handshake_verdict_t verdict);

// READY: what the peer is. All of it is the peer's own word.
typedef struct {
    uint8_t major, minor; // of the version that is spoken: 1.0 (with frame_read_old), 2.0, 3.0, 3.1
    bool unversioned;     // of 1.0: it tells no type and sends no subscriptions, so a subscriber wants everything
    int type;             // peertype.h; -1: it did not say
    uint8_t identity_size, durable_size;
    uint8_t identity[METADATA_IDENTITY_MAX];
    uint8_t durable[METADATA_DURABLE_MAX]; // the property X-Durable
} handshake_peer_t;
const handshake_peer_t *handshake_peer(const handshake_t *self);

// READY with CURVE: move the session out, once. False: there is none.
bool handshake_take_session(handshake_t *self, curve_session_t *session);

// FAILED: why.
typedef enum {
    FAULT_NONE,
    FAULT_GREETING,   // no ZMTP: HTTP, TLS, SSH, noise
    FAULT_VERSION,    // ZMTP 1.0 or 2.0, which may not come in here
    FAULT_MECHANISM,  // another one than ours
    FAULT_TYPE,       // of the socket: unknown, missing, or does not talk to ours
    FAULT_AUTH,       // the verdict
    FAULT_PROTOCOL,   // ZMTP, but wrong
    FAULT_PEER_ERROR, // the peer sent ERROR: it refuses us
    FAULTS
} handshake_fault_t;
handshake_fault_t handshake_fault(const handshake_t *self);
const char *handshake_fault_name(handshake_fault_t fault); // as metrics know it: "greeting"; a PEER_ERROR is "auth"
// One line of printable ASCII; bytes of the peer are quoted and escaped.
const char *handshake_words(const handshake_t *self);

// Handing over: a handshake as bytes for another process, at any moment.
size_t handshake_saved_size(const handshake_t *self);      // at most HANDSHAKE_MEMORY_MAX
void handshake_save(const handshake_t *self, uint8_t *at); // holds secrets: wipe it
// NULL: SIZE octets at AT are no handshake of CONF's mechanism, or of another layout.
handshake_t *handshake_restore(const handshake_conf_t *conf, const uint8_t *at, size_t size);

#endif
