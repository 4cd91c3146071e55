// SPDX-License-Identifier: MPL-2.0
// handshake_internal.h - what a handshake is made of. Only for the files that are it:
// handshake, greeting and the mechanisms null, plain and curve. Everybody else has handshake.h.

#ifndef ZB_ZMTP_HANDSHAKE_PARTS_H
#define ZB_ZMTP_HANDSHAKE_PARTS_H

#include "zmtp/handshake.h"
#include "zmtp/wipebuf.h"

enum {
    HANDSHAKE_IN_MAX = HANDSHAKE_METADATA_MAX + FRAME_HEAD_MAX,
    HANDSHAKE_OUT_MAX = 1000, // the longest that a side says before it hears an answer
};

// What a handshake waits for. Each is a number of octets, or a frame.
typedef enum {
    STAGE_FIRST,     // one octet: all versions but the oldest begin with ff
    STAGE_SIGNATURE, // 10
    STAGE_REVISION,  // 11
    STAGE_OLD_TYPE,  // 12: ZMTP 2.0 ends here
    STAGE_GREETING,  // 64
    STAGE_IDENTITY,  // a frame of ZMTP 1.0 or 2.0
    STAGE_COMMAND,   // a frame of ZMTP 3
    STAGES
} handshake_stage_t;

// The secrets of CURVE until the session is made.
typedef struct {
    uint8_t our_public[CURVE_KEY], our_secret[CURVE_KEY]; // of this connection only
    uint8_t their_public[CURVE_KEY];                      // of this connection only
    uint8_t client_key[CURVE_KEY];                        // the client's own public key
    uint8_t cookie_key[CURVE_KEY];
    uint8_t shared[CURVE_KEY]; // made of the keys in use at the time
    uint64_t our_nonce, their_nonce;
    curve_session_t session;
} handshake_curve_t;

// All but the buffers; no pointers, so that it can be saved as it is.
typedef struct {
    uint8_t state, stage;
    uint8_t step;     // of the script, counted from 0
    uint8_t old_head; // frames have the heads of ZMTP 1.0
    uint8_t fault;
    uint8_t has_session;
    uint8_t said_ready; // NULL
    char words[HANDSHAKE_WORDS_MAX];
    handshake_peer_t peer;
    handshake_curve_t curve;
} handshake_flat_t;

struct handshake {
    const handshake_conf_t *conf;
    const struct script *script;
    wipebuf_t in;  // what was taken of the stage that it is in
    wipebuf_t out; // what is to be written
    handshake_flat_t is;
};
_Static_assert(sizeof(handshake_t) + HANDSHAKE_IN_MAX + HANDSHAKE_OUT_MAX <= HANDSHAKE_MEMORY_MAX,
               "a handshake fits into its memory");

// One command that a mechanism waits for. TAKE gets what follows the name, may change
// it in place, and says what the answer is, asks, or fails.
typedef struct {
    const char *command;
    bool metadata; // it may be as long as HANDSHAKE_METADATA_MAX
    void (*take)(handshake_t *self, uint8_t *body, size_t size);
} handshake_step_t;

// A mechanism as one of its sides plays it.
enum { SCRIPT_STEPS = 2 };
typedef struct script {
    void (*begin)(handshake_t *self);     // the greeting is over
    handshake_step_t steps[SCRIPT_STEPS]; // in their order; after the last one we are ready
    void (*welcome)(handshake_t *self);   // the verdict is good; NULL: never asks
    void (*prompt)(handshake_t *self);    // do not wait for the peer any longer; NULL: it has to say something
    void (*claim)(const handshake_t *self, handshake_claim_t *claim);
} script_t;

typedef struct {
    script_t client, server;
} mechanism_scripts_t;

extern const mechanism_scripts_t handshake_null, handshake_plain, handshake_curve;

// greeting.c: what happens when STAGE has all its octets, and how many those are; 0: it
// is a frame.
size_t greeting_octets(handshake_stage_t stage);
void greeting_take(handshake_t *self);
void greeting_open(handshake_t *self); // says the first octets
void greeting_take_identity(handshake_t *self, const uint8_t *identity, size_t size);
void greeting_refuse(handshake_t *self); // what came is no ZMTP

// For all of them.
void handshake_say(handshake_t *self, const void *bytes, size_t size);       // as they are
void handshake_command(handshake_t *self, const uint8_t *body, size_t size); // in a frame
void handshake_ask(handshake_t *self);
void handshake_done(handshake_t *self); // ready
void handshake_fail(handshake_t *self, handshake_fault_t fault, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// Write a command's name to AT. Returns the octets written.
size_t handshake_name(uint8_t *at, const char *name);
// Write our metadata to AT. Returns the octets written, at most METADATA_WRITE_MAX.
size_t handshake_metadata(const handshake_t *self, uint8_t *at);
// Read the peer's, and fail if its socket does not talk to ours. False: failed.
bool handshake_take_metadata(handshake_t *self, const uint8_t *at, size_t size);
bool handshake_take_type(handshake_t *self, int type);
bool handshake_keep_identity(handshake_t *self, const uint8_t *identity, size_t size);

// handshake.c: no greeting yet.
handshake_t *handshake_make(const handshake_conf_t *conf);

// ERROR with the length of its name, as ZMTP has it and as one mechanism has it.
extern const char handshake_error[];
const char *handshake_error_name(handshake_mechanism_t mechanism);

// handshake_feed.c: how many octets the stage needs from its first to its last, as far as is known by now; the
// command that is waited for, NULL: none; ready, if that was the last one.
size_t handshake_wanted(const handshake_t *self);
const handshake_step_t *handshake_step(const handshake_t *self);
void handshake_go_on(handshake_t *self);

// The head of the frame that comes, as frame_read says it in RC; and whether that is no frame, or one that has no
// place in the stage. The length is judged before anything of the body is there.
int handshake_read_head(const handshake_t *self, frame_head_t *head);
bool handshake_is_wrong(const handshake_t *self, int rc, const frame_head_t *head);

// SIZE octets of a peer as one printable word in quotes, cut if it is long.
enum { QUOTED_MAX = 72 };
const char *handshake_quoted(char to[QUOTED_MAX], const uint8_t *bytes, size_t size);

#endif
