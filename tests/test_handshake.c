// SPDX-License-Identifier: MPL-2.0
//
// A client and a server talk to each other through memory, in pieces of any size, and
// a scripted peer to either. What a test changes on the way is in spoil().
#include "base/mem.h"
#include "zmtp/handshake.h"
#include "zmtp/handshake_internal.h"
#include "zmtp/peertype.h"

#include "test.h"

#include <ctype.h>
#include <sodium.h>

enum { CLIENT, SERVER, SIDES };

static curve_keys_t keys[SIDES];
static handshake_conf_t confs[SIDES];
static handshake_t *sides[SIDES];
static handshake_verdict_t verdict;
static unsigned asked;

typedef struct {
    uint8_t bytes[16384];
    size_t size;
} record_t;
static record_t said[SIDES]; // what the other one took

static void
set(handshake_mechanism_t mechanism, int client_type, int server_type)
{
    for (int i = 0; i < SIDES; i++)
        confs[i] = (handshake_conf_t){ .type = i == SERVER ? server_type : client_type,
                                       .mechanism = mechanism,
                                       .as_server = i == SERVER,
                                       .curve_keys = &keys[i] };
    confs[CLIENT].user = "alice";
    confs[CLIENT].password = "secret";
    confs[CLIENT].curve_server = keys[SERVER].public_key;
    verdict = HANDSHAKE_WELCOME;
}

static void
start(void)
{
    asked = 0;
    for (int i = 0; i < SIDES; i++) {
        handshake_destroy(&sides[i]);
        sides[i] = handshake_new(&confs[i]);
        said[i].size = 0;
    }
}

static handshake_state_t
state(int side)
{
    return handshake_state(sides[side]);
}

static bool
is_text(metadata_value_t value, const char *text)
{
    return value.at && value.size == strlen(text) && memcmp(value.at, text, value.size) == 0;
}

static void
judge(int side)
{
    handshake_claim_t claim = handshake_claim(sides[side]);
    asked++;
    CHECK(claim.mechanism == confs[side].mechanism);
    CHECK((claim.mechanism == HANDSHAKE_PLAIN) == (claim.user.at != NULL));
    CHECK((claim.mechanism == HANDSHAKE_CURVE) == (claim.public_key != NULL));
    if (claim.mechanism == HANDSHAKE_PLAIN)
        CHECK(is_text(claim.user, "alice") && is_text(claim.password, "secret"));
    if (claim.mechanism == HANDSHAKE_CURVE)
        CHECK(memcmp(claim.public_key, keys[CLIENT].public_key, CURVE_KEY) == 0);
    handshake_verdict(sides[side], verdict);
}

// Up to PIECE octets from one side to the other. False: nothing more comes.
static bool
pass(int from, size_t piece)
{
    size_t size;
    const uint8_t *out = handshake_output(sides[from], &size);
    size_t taken = handshake_feed(sides[!from], out, size < piece ? size : piece);
    if (taken)
        memcpy(said[from].bytes + said[from].size, out, taken);
    said[from].size += taken;
    handshake_sent(sides[from], taken);
    if (state(!from) == HANDSHAKE_ASKS)
        judge(!from);
    return taken > 0;
}

static void
talk(size_t piece)
{
    while (pass(CLIENT, piece) | pass(SERVER, piece))
        ;
}

static void
start_and_talk(size_t piece)
{
    start();
    talk(piece);
}

static void
check_ready(int side)
{
    CHECK(state(side) == HANDSHAKE_READY);
    CHECK_TEXT(handshake_words(sides[side]), "");
}

static void
check_failed(int side, handshake_fault_t fault, const char *words)
{
    CHECK(state(side) == HANDSHAKE_FAILED);
    CHECK(handshake_fault(sides[side]) == fault);
    CHECK_TEXT(handshake_words(sides[side]), words);
}

// SIZE octets to a new server, in pieces. Returns how many it took.
static size_t
feed_server(const void *bytes, size_t size, size_t piece)
{
    size_t taken = 0, took = 1;
    start();
    while (took && taken < size) {
        took =
            handshake_feed(sides[SERVER], (const uint8_t *)bytes + taken, size - taken < piece ? size - taken : piece);
        taken += took;
    }
    return taken;
}

// --- it works ------------------------------------------------------------------------

static const size_t pieces[] = { 1, 2, 3, 7, 10, 11, 12, 63, 64, 65, 100, 200, 4096 };

static void
test_every_mechanism_gets_ready_in_any_pieces(void)
{
    for (handshake_mechanism_t mechanism = 0; mechanism < HANDSHAKE_MECHANISMS; mechanism++)
        for (size_t i = 0; i < COUNT(pieces); i++) {
            set(mechanism, PEERTYPE_DEALER, PEERTYPE_ROUTER);
            confs[CLIENT].identity = (const uint8_t *)"client-7";
            confs[CLIENT].identity_size = 8;
            start_and_talk(pieces[i]);
            check_ready(CLIENT);
            check_ready(SERVER);
            CHECK(asked == (mechanism != HANDSHAKE_NULL));
            const handshake_peer_t *peer = handshake_peer(sides[SERVER]);
            CHECK(peer->major == 3 && peer->minor == 1 && !peer->unversioned);
            CHECK(peer->type == PEERTYPE_DEALER);
            CHECK(peer->identity_size == 8 && memcmp(peer->identity, "client-7", 8) == 0);
            CHECK(peer->durable_size == 0);
            CHECK(handshake_peer(sides[CLIENT])->type == PEERTYPE_ROUTER);
        }
}

static void
test_both_sessions_of_curve_fit(void)
{
    curve_session_t session[SIDES], again;
    uint8_t frame[64], flags, *body;
    size_t size;
    set(HANDSHAKE_CURVE, PEERTYPE_PUSH, PEERTYPE_PULL);
    start_and_talk(50);
    for (int i = 0; i < SIDES; i++) {
        CHECK(handshake_take_session(sides[i], &session[i]));
        CHECK(!handshake_take_session(sides[i], &again));
    }
    for (int i = 0; i < SIDES; i++) {
        size_t sealed = curve_seal(&session[i], frame, FRAME_MORE, (const uint8_t *)"hello", 5);
        CHECK(curve_open(&session[!i], frame + 2, sealed - 2, &flags, &body, &size) == 0);
        CHECK(flags == FRAME_MORE && size == 5 && memcmp(body, "hello", 5) == 0);
    }
    set(HANDSHAKE_NULL, PEERTYPE_PUSH, PEERTYPE_PULL);
    start_and_talk(50);
    CHECK(!handshake_take_session(sides[SERVER], &again));
}

static void
test_greeting_comes_in_stages(void)
{
    size_t size;
    set(HANDSHAKE_NULL, PEERTYPE_PUSH, PEERTYPE_PULL);
    static const uint8_t greeting[64] = { 0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 0, 'N', 'U', 'L', 'L' };
    static const size_t said_after[] = { [0] = 10, [9] = 10, [10] = 11, [11] = 64, [63] = 64 };
    for (size_t i = 0; i < COUNT(said_after); i++)
        if (said_after[i]) {
            CHECK(feed_server(greeting, i, 1) == i);
            handshake_output(sides[SERVER], &size);
            CHECK(size == said_after[i]);
        }
    feed_server(greeting, 64, 1);
    handshake_output(sides[SERVER], &size);
    CHECK(size == 64); // READY waits for the client's, but not for ever
    handshake_prompt(sides[SERVER]);
    const uint8_t *out = handshake_output(sides[SERVER], &size);
    CHECK(size > 64 && memcmp(out + 64, "\4\x1a\5READY", 8) == 0);
    CHECK(memcmp(out, "\377\0\0\0\0\0\0\0\1\177\3\1NULL\0", 17) == 0);
}

static void
test_traffic_after_the_handshake_is_left(void)
{
    static const char ready[] = "\4\x1a\5READY\x0bSocket-Type\0\0\0\4PUSH";
    uint8_t bytes[200] = { 0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 0, 'N', 'U', 'L', 'L' };
    size_t size = 64 + sizeof ready - 1;
    memcpy(bytes + 64, ready, sizeof ready - 1);
    memcpy(bytes + size, "\0\5hello", 7);
    set(HANDSHAKE_NULL, PEERTYPE_PUSH, PEERTYPE_PULL);
    for (size_t piece = 1; piece < sizeof bytes; piece++) {
        CHECK(feed_server(bytes, size + 7, piece) == size);
        check_ready(SERVER);
        CHECK(handshake_peer(sides[SERVER])->minor == 0);
    }
}

static void
test_side_that_asks_with_null_says_ready_after_the_verdict(void)
{
    set(HANDSHAKE_NULL, PEERTYPE_PUSH, PEERTYPE_PULL);
    confs[SERVER].asks = true;
    start_and_talk(10);
    check_ready(SERVER);
    check_ready(CLIENT);
    CHECK(asked == 1);
    verdict = HANDSHAKE_REFUSED;
    start_and_talk(10);
    check_failed(SERVER, FAULT_AUTH, "refused");
    check_failed(CLIENT, FAULT_PEER_ERROR, "the peer refuses: \"400\"");
    CHECK(memcmp(said[SERVER].bytes + 64, "\4\x0a\5ERROR\003400", 12) == 0);
}

static void
test_padding_and_as_server_are_not_looked_at(void)
{
    uint8_t greeting[64];
    set(HANDSHAKE_NULL, PEERTYPE_PUSH, PEERTYPE_PULL);
    memset(greeting, 0xa5, sizeof greeting);
    memcpy(greeting + 10, "\3\0NULL\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 22);
    greeting[0] = 0xff;
    feed_server(greeting, sizeof greeting, 64);
    CHECK(state(SERVER) == HANDSHAKE_GOES_ON);
}

static void
test_minor_is_that_of_both(void)
{
    static const struct {
        uint8_t major, minor, expected;
    } versions[] = { { 3, 0, 0 }, { 3, 1, 1 }, { 3, 9, 1 }, { 4, 0, 1 }, { 255, 0, 1 } };
    uint8_t greeting[64] = { 0xff, [9] = 0x7f, [12] = 'N', 'U', 'L', 'L' };
    set(HANDSHAKE_NULL, PEERTYPE_PUSH, PEERTYPE_PULL);
    for (size_t i = 0; i < COUNT(versions); i++) {
        greeting[10] = versions[i].major;
        greeting[11] = versions[i].minor;
        feed_server(greeting, sizeof greeting, 64);
        CHECK(state(SERVER) == HANDSHAKE_GOES_ON);
        CHECK(handshake_peer(sides[SERVER])->minor == versions[i].expected);
    }
}

// --- ZMTP 1.0 and 2.0 -----------------------------------------------------------------

static uint8_t name_254[266] = "\377\0\0\0\0\0\0\0\377"; // its length counts the flags, which are 0

static const struct {
    const char *bytes;
    size_t size, traffic; // octets in all, and of them after the handshake
    uint8_t major;
    bool unversioned;
    const char *identity;
    const char *answer;
    size_t answer_size;
} old_peers[] = {
    // libzmq 2: the identity's frame
    { "\1\0"
      "\6\0hello",
      9, 7, 1, true, "", "\377\0\0\0\0\0\0\0\3\177us", 12 },
    { "\6\0alice", 7, 0, 1, true, "alice", "\377\0\0\0\0\0\0\0\3\177us", 12 },
    // libzmq 3 before 3.2: a version, and frames of 1.0
    { "\377\0\0\0\0\0\0\0\1\177\0\3"
      "\1\0",
      14, 0, 1, false, "",
      "\377\0\0\0\0\0\0\0\3\177\3\6"
      "\3\0us",
      16 },
    // libzmq 3.2
    { "\377\0\0\0\0\0\0\0\1\177\1\3"
      "\0\0"
      "\0\5hello",
      21, 7, 2, false, "",
      "\377\0\0\0\0\0\0\0\3\177\3\6"
      "\0\2us",
      16 },
    { "\377\0\0\0\0\0\0\0\6\177\1\3"
      "\0\5alice",
      19, 0, 2, false, "alice",
      "\377\0\0\0\0\0\0\0\3\177\3\6"
      "\0\2us",
      16 },
};

static void
set_old(void)
{
    set(HANDSHAKE_NULL, PEERTYPE_REQ, PEERTYPE_ROUTER);
    confs[SERVER].old_peers = true;
    confs[SERVER].identity = (const uint8_t *)"us";
    confs[SERVER].identity_size = 2;
}

static void
test_old_versions_get_ready_in_any_pieces(void)
{
    set_old();
    for (size_t i = 0; i < COUNT(old_peers); i++)
        for (size_t piece = 1; piece <= old_peers[i].size; piece++) {
            size_t size;
            CHECK(feed_server(old_peers[i].bytes, old_peers[i].size, piece) ==
                  old_peers[i].size - old_peers[i].traffic);
            check_ready(SERVER);
            const handshake_peer_t *peer = handshake_peer(sides[SERVER]);
            CHECK(peer->major == old_peers[i].major && peer->minor == 0);
            CHECK(peer->unversioned == old_peers[i].unversioned);
            CHECK(peer->type == (old_peers[i].unversioned ? -1 : PEERTYPE_REQ));
            CHECK(peer->identity_size == strlen(old_peers[i].identity));
            CHECK(memcmp(peer->identity, old_peers[i].identity, peer->identity_size) == 0);
            const uint8_t *out = handshake_output(sides[SERVER], &size);
            CHECK(size == old_peers[i].answer_size && memcmp(out, old_peers[i].answer, size) == 0);
        }
}

static void
test_old_identity_may_be_large(void)
{
    set_old();
    memset(name_254 + 10, 'x', 254);
    for (size_t piece = 1; piece < 300; piece += 9) {
        CHECK(feed_server(name_254, 264, piece) == 264);
        check_ready(SERVER);
        CHECK(handshake_peer(sides[SERVER])->identity_size == 254);
    }
    name_254[7] = 1, name_254[8] = 1; // 256 of identity
    feed_server(name_254, 264, 300);
    check_failed(SERVER, FAULT_GREETING,
                 "not ZMTP: begins with \"\\xff\\x00\\x00\\x00\\x00\\x00\\x00\\x01\\x01\\x00\"");
    name_254[7] = 0, name_254[8] = 255;
}

static void
test_old_versions_are_refused_by_default(void)
{
    for (handshake_mechanism_t mechanism = 0; mechanism < HANDSHAKE_MECHANISMS; mechanism++)
        for (size_t i = 0; i < COUNT(old_peers); i++) {
            set(mechanism, PEERTYPE_REQ, PEERTYPE_ROUTER);
            confs[SERVER].old_peers = mechanism != HANDSHAKE_NULL; // means nothing there
            feed_server(old_peers[i].bytes, old_peers[i].size, 100);
            check_failed(SERVER, FAULT_VERSION,
                         old_peers[i].major == 1 ? "the peer speaks ZMTP 1.0, which is not accepted here"
                                                 : "the peer speaks ZMTP 2.0, which is not accepted here");
        }
}

static void
test_old_peer_waits_for_the_verdict_too(void)
{
    set_old();
    confs[SERVER].asks = true;
    for (size_t i = 0; i < COUNT(old_peers); i++) {
        feed_server(old_peers[i].bytes, old_peers[i].size, 100);
        CHECK(state(SERVER) == HANDSHAKE_ASKS);
        handshake_verdict(sides[SERVER], HANDSHAKE_WELCOME);
        check_ready(SERVER);
        feed_server(old_peers[i].bytes, old_peers[i].size, 100);
        handshake_verdict(sides[SERVER], HANDSHAKE_REFUSED);
        check_failed(SERVER, FAULT_AUTH, "refused");
    }
}

static void
test_old_type_must_fit(void)
{
    uint8_t greeting[12] = { 0xff, [9] = 0x7f, 1 };
    set_old();
    for (int type = 0; type < 256; type++) {
        greeting[11] = (uint8_t)type;
        feed_server(greeting, sizeof greeting, 100);
        bool fits = type == PEERTYPE_REQ || type == PEERTYPE_DEALER || type == PEERTYPE_ROUTER;
        CHECK(state(SERVER) == (fits ? HANDSHAKE_GOES_ON : HANDSHAKE_FAILED));
        CHECK(handshake_fault(sides[SERVER]) == (fits ? FAULT_NONE : FAULT_TYPE));
    }
}

// --- what is no ZMTP, or not ours --------------------------------------------------------

static void
test_strangers_are_known_whatever_the_mechanism(void)
{
    static const struct {
        const char *bytes;
        size_t size;
        const char *words;
    } strangers[] = {
        { "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 27, "not ZMTP: looks like HTTP" },
        { "POST / HTTP/1.1\r\n\r\n", 19, "not ZMTP: looks like HTTP" },
        { "\x16\x03\x01\x02\x00\x01\x00\x01\xfc", 9, "not ZMTP: looks like TLS" },
        { "SSH-2.0-OpenSSH_9.2\r\n", 21, "not ZMTP: looks like SSH" },
        { "EHLO example.org\r\n", 18, "not ZMTP: begins with \"EH\"" },
        { "\0\0\0\x54\xff\x53\x4d\x42", 8, "not ZMTP: begins with \"\\x00\\x00\"" },
        { "\3\0\0\x13\x0e\xe0\0\0", 8, "not ZMTP: begins with \"\\x03\\x00\\x00\\x13\"" },
        { "\"\\", 2, "not ZMTP: begins with \"\\x22\\x5c\"" },
    };
    for (handshake_mechanism_t mechanism = 0; mechanism < HANDSHAKE_MECHANISMS; mechanism++)
        for (size_t i = 0; i < COUNT(strangers); i++)
            for (size_t piece = 1; piece <= strangers[i].size; piece++)
                for (int old = 0; old < 2; old++) {
                    set(mechanism, PEERTYPE_PUSH, PEERTYPE_PULL);
                    confs[SERVER].old_peers = old;
                    feed_server(strangers[i].bytes, strangers[i].size, piece);
                    check_failed(SERVER, FAULT_GREETING, strangers[i].words);
                }
}

static void
test_mechanisms_must_be_the_same(void)
{
    static const char *const words[HANDSHAKE_MECHANISMS][HANDSHAKE_MECHANISMS] = {
        { NULL, "the peer speaks PLAIN, this side NULL", "the peer speaks CURVE, this side NULL" },
        { "the peer speaks NULL, this side PLAIN", NULL, "the peer speaks CURVE, this side PLAIN" },
        { "the peer speaks NULL, this side CURVE", "the peer speaks PLAIN, this side CURVE", NULL },
    };
    for (handshake_mechanism_t ours = 0; ours < HANDSHAKE_MECHANISMS; ours++)
        for (handshake_mechanism_t theirs = 0; theirs < HANDSHAKE_MECHANISMS; theirs++) {
            if (ours == theirs)
                continue;
            set(ours, PEERTYPE_PUSH, PEERTYPE_PULL);
            confs[CLIENT].mechanism = theirs;
            start_and_talk(30);
            check_failed(SERVER, FAULT_MECHANISM, words[ours][theirs]);
            check_failed(CLIENT, FAULT_MECHANISM, words[theirs][ours]);
            CHECK(said[SERVER].size == 64);
        }
}

// As libzmq does when it hears of another mechanism than its own, which it then keeps to itself.
static void
test_who_leaves_when_it_hears_our_mechanism_speaks_another(void)
{
    static const uint8_t greeting[64] = { 0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 0, 'N', 'U', 'L', 'L' };
    for (size_t size = 0; size < sizeof greeting; size++) {
        set(HANDSHAKE_CURVE, PEERTYPE_PUSH, PEERTYPE_PULL);
        feed_server(greeting, size, size);
        handshake_left(sides[SERVER]);
        if (size < 11)
            check_failed(SERVER, FAULT_PROTOCOL, "it left before its handshake was done");
        else
            check_failed(SERVER, FAULT_MECHANISM,
                         "the peer left when it heard that this side speaks CURVE: it speaks another mechanism");
    }
}

static void
test_all_octets_of_the_mechanism_count(void)
{
    uint8_t greeting[64] = { 0xff, [9] = 0x7f, 3, 1, 'N', 'U', 'L', 'L' };
    set(HANDSHAKE_NULL, PEERTYPE_PUSH, PEERTYPE_PULL);
    for (size_t at = 12; at < 32; at++) {
        greeting[at] ^= 1;
        feed_server(greeting, sizeof greeting, 64);
        CHECK(state(SERVER) == HANDSHAKE_FAILED);
        CHECK(handshake_fault(sides[SERVER]) == (at < 16 ? FAULT_MECHANISM : FAULT_GREETING));
        greeting[at] ^= 1;
    }
    memset(greeting + 12, 0, 20);
    feed_server(greeting, sizeof greeting, 64);
    check_failed(SERVER, FAULT_GREETING, "not ZMTP: no mechanism in the greeting");
    memset(greeting + 12, 'A', 20);
    feed_server(greeting, sizeof greeting, 64);
    check_failed(SERVER, FAULT_MECHANISM, "the peer speaks AAAAAAAAAAAAAAAAAAAA, this side NULL");
}

static void
test_types_must_fit(void)
{
    for (handshake_mechanism_t mechanism = 0; mechanism < HANDSHAKE_MECHANISMS; mechanism++)
        for (int type = 0; type < PEERTYPES; type++)
            for (int other = 0; other < PEERTYPES; other++) {
                if (mechanism == HANDSHAKE_CURVE && type % 5)
                    continue; // takes its time
                set(mechanism, type, other);
                start_and_talk(1000);
                bool fits = peertype_talks(type, other);
                CHECK(state(SERVER) == (fits ? HANDSHAKE_READY : HANDSHAKE_FAILED));
                CHECK(handshake_fault(sides[SERVER]) == (fits ? FAULT_NONE : FAULT_TYPE));
            }
    set(HANDSHAKE_NULL, PEERTYPE_PUSH, PEERTYPE_PUSH);
    start_and_talk(1000);
    check_failed(SERVER, FAULT_TYPE, "socket types do not match: the peer's PUSH, this side's PUSH");
}

// --- faults in commands -------------------------------------------------------------------

// A server of PLAIN, or NULL, after the greeting.
static void
start_after_greeting(handshake_mechanism_t mechanism)
{
    uint8_t greeting[64] = { 0xff, [9] = 0x7f, 3, 1 };
    set(mechanism, PEERTYPE_DEALER, PEERTYPE_ROUTER);
    memcpy(greeting + 12, handshake_mechanism_name(mechanism), strlen(handshake_mechanism_name(mechanism)));
    feed_server(greeting, sizeof greeting, 64);
}

static size_t
feed(const void *bytes, size_t size)
{
    return handshake_feed(sides[SERVER], bytes, size);
}
#define FEED(text) feed(text, sizeof(text) - 1)

static void
test_frames_that_have_no_place_are_refused(void)
{
    static const struct {
        const char *bytes;
        size_t size;
        const char *words;
    } frames[] = {
        { "\0", 2, "a message before the end of the handshake" },
        { "\1\5hello", 7, "a message before the end of the handshake" },
        { "\5\5", 1, "what comes is no frame" },
        { "\x10", 1, "what comes is no frame" },
        { "\6\0\0\0\0\0\0\0\0", 9, "a command without a name in place of READY" },
        { "\4\1\0", 3, "a command without a name in place of READY" },
        { "\4\2\2a", 4, "a command without a name in place of READY" },
        { "\4\6\5HELLO", 8, "\"HELLO\" in place of READY" },
        { "\4\3\2\n\"", 5, "\"\\x0a\\x22\" in place of READY" },
        { "\4\7\4PING\0\0", 9, "\"PING\" in place of READY" },
        { "\4\6\5READY", 8, "the peer does not tell its socket type" },
        { "\4\7\5READY\1", 9, "malformed metadata: the properties are cut short" },
        { "\4\x1a\5READY\x0bSocket-Type\0\0\0\4PU\x01H", 28, "unknown socket type \"PU\\x01H\"" },
        { "\6\0\0\0\0\0\0\x18\1", 9, "6145 octets are too many here" },
        { "\6\100\0\0\0\0\0\0\0", 9, "4611686018427387904 octets are too many here" },
        { "\6\200\0\0\0\0\0\0\0", 9, "what comes is no frame" },
        { "\6\377\377\377\377\377\377\377\377", 9, "what comes is no frame" },
        { "\4\0\0\0\0\0\0\0\7", 9, "what comes is no frame" },
        { "\4\6\5ERROR", 8, "ERROR is malformed" },
        { "\4\x0a\5ERROR\004400", 12, "ERROR is malformed" },
    };
    for (size_t i = 0; i < COUNT(frames); i++)
        for (size_t piece = 1; piece <= frames[i].size; piece++) {
            start_after_greeting(HANDSHAKE_NULL);
            for (size_t at = 0; at < frames[i].size; at += piece)
                feed(frames[i].bytes + at, frames[i].size - at < piece ? frames[i].size - at : piece);
            CHECK(state(SERVER) == HANDSHAKE_FAILED);
            CHECK_TEXT(handshake_words(sides[SERVER]), frames[i].words);
        }
}

// READY with a property that makes it SIZE octets long.
static size_t
make_ready(uint8_t *at, size_t size)
{
    static const char start_of[] = "\5READY\x0bSocket-Type\0\0\0\4PUSH\1X\0\0";
    size_t head = frame_write_head(at, FRAME_COMMAND, size), fixed = sizeof start_of - 1 + 2;
    memcpy(at + head, start_of, sizeof start_of - 1);
    at[head + fixed - 2] = (uint8_t)((size - fixed) >> 8);
    at[head + fixed - 1] = (uint8_t)(size - fixed);
    memset(at + head + fixed, 'x', size - fixed);
    return head + size;
}

static void
test_memory_is_bounded_and_grows_by_what_has_come(void)
{
    uint8_t bytes[HANDSHAKE_METADATA_MAX + 16];
    size_t size = make_ready(bytes, HANDSHAKE_METADATA_MAX);
    start_after_greeting(HANDSHAKE_NULL);
    confs[SERVER].type = PEERTYPE_PULL;
    for (size_t i = 0; i < size; i++) {
        CHECK(state(SERVER) == HANDSHAKE_GOES_ON);
        CHECK(sides[SERVER]->in.room <= 2 * (i + 64));
        CHECK(sizeof *sides[SERVER] + sides[SERVER]->in.room + sides[SERVER]->out.room <= HANDSHAKE_MEMORY_MAX);
        CHECK(handshake_saved_size(sides[SERVER]) <= HANDSHAKE_MEMORY_MAX);
        CHECK(feed(bytes + i, 1) == 1);
    }
    check_ready(SERVER);
    CHECK(!sides[SERVER]->in.at);

    make_ready(bytes, HANDSHAKE_METADATA_MAX + 1);
    start_after_greeting(HANDSHAKE_NULL);
    CHECK(feed(bytes, 100) == 9);
    check_failed(SERVER, FAULT_PROTOCOL, "6145 octets are too many here");
    CHECK(!sides[SERVER]->in.at);

    start_after_greeting(HANDSHAKE_PLAIN);
    CHECK(FEED("\6\0\0\0\0\0\0\x10\0") == 9); // 4096 might still be a HELLO
    CHECK(state(SERVER) == HANDSHAKE_GOES_ON);
    start_after_greeting(HANDSHAKE_PLAIN);
    CHECK(FEED("\6\0\0\0\0\0\0\x10\1") == 9);
    check_failed(SERVER, FAULT_PROTOCOL, "4097 octets are too many here");
}

static void
test_identity_that_begins_with_0_is_refused_by_a_router(void)
{
    static const char ready[] = "\4\x2a\5READY\x0bSocket-Type\0\0\0\6"
                                "DEALER\x08Identity\0\0\0\1";
    uint8_t bytes[sizeof ready];
    memcpy(bytes, ready, sizeof ready); // its NUL is the identity
    start_after_greeting(HANDSHAKE_NULL);
    feed(bytes, sizeof bytes);
    check_failed(SERVER, FAULT_PROTOCOL, "the peer's identity begins with a 0 octet");
    start_after_greeting(HANDSHAKE_NULL);
    confs[SERVER].type = PEERTYPE_DEALER;
    feed(bytes, sizeof bytes);
    check_ready(SERVER);
}

static void
test_durable_name_is_kept(void)
{
    start_after_greeting(HANDSHAKE_NULL);
    confs[SERVER].type = PEERTYPE_XPUB;
    FEED("\4\x2a\5READY\x0bSocket-Type\0\0\0\3SUB\x09X-Durable\0\0\0\3bob");
    check_ready(SERVER);
    const handshake_peer_t *peer = handshake_peer(sides[SERVER]);
    CHECK(peer->durable_size == 3 && memcmp(peer->durable, "bob", 3) == 0);
}

// --- PLAIN ------------------------------------------------------------------------------

static void
test_verdicts_end_in_what_the_client_hears(void)
{
    static const struct {
        handshake_verdict_t verdict;
        const char *words, *client;
    } verdicts[] = {
        { HANDSHAKE_LATER, "refused for now", "" },
        { HANDSHAKE_REFUSED, "refused", "the peer refuses: \"400\"" },
        { HANDSHAKE_BROKEN, "refused", "the peer refuses: \"500\"" },
    };
    for (handshake_mechanism_t mechanism = HANDSHAKE_PLAIN; mechanism < HANDSHAKE_MECHANISMS; mechanism++)
        for (size_t i = 0; i < COUNT(verdicts); i++) {
            set(mechanism, PEERTYPE_PUSH, PEERTYPE_PULL);
            verdict = verdicts[i].verdict;
            start_and_talk(17);
            CHECK(asked == 1);
            check_failed(SERVER, FAULT_AUTH, verdicts[i].words);
            CHECK_TEXT(handshake_words(sides[CLIENT]), verdicts[i].client);
            CHECK(state(CLIENT) == (*verdicts[i].client ? HANDSHAKE_FAILED : HANDSHAKE_GOES_ON));
        }
}

static void
test_plain_hello_is_read_to_its_last_octet(void)
{
    static const struct {
        const char *bytes;
        size_t size;
        const char *words;
    } hellos[] = {
        { "\4\x13\5HELLO\5alice\6secret", 21, "" },
        { "\4\x08\5HELLO\0", 10, "" }, // both are empty: for the verdict
        { "\4\x07\5HELLO\0", 9, "HELLO of PLAIN is malformed" },
        { "\4\x12\5HELLO\5alice\6secre", 20, "HELLO of PLAIN is malformed" },
        { "\4\x14\5HELLO\5alice\6secretx", 22, "HELLO of PLAIN is malformed" },
        { "\4\x06\5HELLO", 8, "HELLO of PLAIN is malformed" },
        { "\4\x08\5HELLO\377\0", 10, "HELLO of PLAIN is malformed" },
        { "\4\x09\x08INITIATE", 11, "\"INITIATE\" in place of HELLO" },
    };
    for (size_t i = 0; i < COUNT(hellos); i++) {
        start_after_greeting(HANDSHAKE_PLAIN);
        CHECK(feed(hellos[i].bytes, hellos[i].size) == hellos[i].size);
        CHECK_TEXT(handshake_words(sides[SERVER]), hellos[i].words);
        CHECK(state(SERVER) == (*hellos[i].words ? HANDSHAKE_FAILED : HANDSHAKE_ASKS));
    }
}

static void
test_nothing_is_taken_while_a_verdict_is_awaited(void)
{
    start_after_greeting(HANDSHAKE_PLAIN);
    CHECK(FEED("\4\x13\5HELLO\5alice\6secret\4\6\5HELLO") == 21);
    CHECK(state(SERVER) == HANDSHAKE_ASKS);
    CHECK(FEED("\4\6\5HELLO") == 0);
    CHECK(is_text(handshake_claim(sides[SERVER]).password, "secret"));
    handshake_verdict(sides[SERVER], HANDSHAKE_WELCOME);
    CHECK(!handshake_claim(sides[SERVER]).user.at);
    FEED("\4\6\5HELLO");
    check_failed(SERVER, FAULT_PROTOCOL, "\"HELLO\" in place of INITIATE");
    handshake_verdict(sides[SERVER], HANDSHAKE_WELCOME); // too late
    CHECK(state(SERVER) == HANDSHAKE_FAILED);
}

static void
test_longest_credentials_fit(void)
{
    static char user[HANDSHAKE_CREDENTIAL_MAX + 1], password[HANDSHAKE_CREDENTIAL_MAX + 1];
    static uint8_t identity[METADATA_IDENTITY_MAX];
    memset(user, 'u', HANDSHAKE_CREDENTIAL_MAX);
    memset(password, 'p', HANDSHAKE_CREDENTIAL_MAX);
    memset(identity, 'i', sizeof identity);
    set(HANDSHAKE_PLAIN, PEERTYPE_DEALER, PEERTYPE_ROUTER);
    confs[CLIENT].user = user;
    confs[CLIENT].password = password;
    for (int i = 0; i < SIDES; i++) {
        confs[i].identity = identity;
        confs[i].identity_size = sizeof identity;
    }
    start();
    while (pass(SERVER, 1000)) // the client says HELLO before any of its own is taken
        ;
    while (state(SERVER) == HANDSHAKE_GOES_ON) {
        size_t size;
        const uint8_t *out = handshake_output(sides[CLIENT], &size);
        handshake_sent(sides[CLIENT], handshake_feed(sides[SERVER], out, size));
        while (pass(SERVER, 1000))
            ;
    }
    CHECK(state(SERVER) == HANDSHAKE_ASKS);
    CHECK(is_text(handshake_claim(sides[SERVER]).user, user));
    CHECK(is_text(handshake_claim(sides[SERVER]).password, password));
    handshake_verdict(sides[SERVER], HANDSHAKE_WELCOME);
    talk(1000);
    check_ready(SERVER);
    check_ready(CLIENT);
    CHECK(handshake_peer(sides[CLIENT])->identity_size == sizeof identity);
}

// --- ERROR, and what comes twice, at each step -------------------------------------------------

// Where frames begin in what SIDE said, up to its end.
static size_t
commands_of(int side, size_t *starts)
{
    size_t count = 0;
    frame_head_t head;
    for (size_t at = 64; at < said[side].size; at += head.head + head.body) {
        starts[count++] = at;
        if (frame_read(said[side].bytes + at, said[side].size - at, &head) != 1)
            abort();
    }
    starts[count] = said[side].size;
    return count;
}

// Talk until FROM has said OCTETS.
static void
talk_until(int from, size_t octets)
{
    start();
    while (said[from].size < octets && (pass(from, octets - said[from].size) | pass(!from, 1000)))
        ;
}

static void
test_error_ends_it_at_each_step(void)
{
    static const char error[] = "\4\x0f\5ERROR\x08no\nway\\\"";
    size_t starts[8];
    for (handshake_mechanism_t mechanism = 0; mechanism < HANDSHAKE_MECHANISMS; mechanism++)
        for (int from = 0; from < SIDES; from++) {
            set(mechanism, PEERTYPE_DEALER, PEERTYPE_ROUTER);
            start_and_talk(1000);
            size_t count = commands_of(from, starts);
            CHECK(count == (mechanism == HANDSHAKE_NULL ? 1 : 2));
            for (size_t i = 0; i < count; i++) {
                talk_until(from, starts[i]);
                handshake_feed(sides[!from], (const uint8_t *)error, sizeof error - 1);
                check_failed(!from, FAULT_PEER_ERROR, "the peer refuses: \"no\\x0away\\x5c\\x22\"");
            }
        }
}

// libzmq's PLAIN cannot spell, in either direction.
static void
test_plain_refuses_as_libzmq_spells_it(void)
{
    set(HANDSHAKE_PLAIN, PEERTYPE_DEALER, PEERTYPE_ROUTER);
    verdict = HANDSHAKE_REFUSED;
    start_and_talk(1000);
    CHECK(said[SERVER].size == 64 + 11);
    CHECK(memcmp(said[SERVER].bytes + 64, "\4\x09^RROR\003400", 11) == 0);
    check_failed(CLIENT, FAULT_PEER_ERROR, "the peer refuses: \"400\"");
    verdict = HANDSHAKE_WELCOME;
    talk_until(SERVER, 64);
    handshake_feed(sides[CLIENT], (const uint8_t *)"\4\x0a\5ERROR\003500", 12);
    check_failed(CLIENT, FAULT_PEER_ERROR, "the peer refuses: \"500\"");
}

static void
test_command_that_comes_twice_is_refused(void)
{
    size_t starts[8];
    record_t before;
    for (handshake_mechanism_t mechanism = HANDSHAKE_PLAIN; mechanism < HANDSHAKE_MECHANISMS; mechanism++)
        for (int from = 0; from < SIDES; from++) {
            set(mechanism, PEERTYPE_DEALER, PEERTYPE_ROUTER);
            start_and_talk(1000);
            commands_of(from, starts);
            talk_until(from, starts[1]);
            before = said[from];
            CHECK(state(!from) == HANDSHAKE_GOES_ON);
            handshake_feed(sides[!from], before.bytes + starts[0], starts[1] - starts[0]);
            CHECK(state(!from) == HANDSHAKE_FAILED && handshake_fault(sides[!from]) == FAULT_PROTOCOL);
        }
}

// --- CURVE -------------------------------------------------------------------------------

static void
test_flipped_bit_of_each_command_ends_it(void)
{
    size_t starts[8];
    for (int from = 0; from < SIDES; from++) {
        set(HANDSHAKE_CURVE, PEERTYPE_DEALER, PEERTYPE_ROUTER);
        start_and_talk(1000);
        commands_of(from, starts);
        for (size_t at = starts[0]; at < starts[2]; at++) {
            if (from == CLIENT && at >= starts[0] + 10 && at < starts[0] + 10 + 72)
                continue; // the padding of HELLO
            talk_until(from, at);
            size_t size;
            uint8_t rest[1024];
            const uint8_t *out = handshake_output(sides[from], &size);
            memcpy(rest, out, size);
            rest[0] ^= (uint8_t)(1 << at % 8);
            handshake_feed(sides[!from], rest, size);
            CHECK(state(!from) != HANDSHAKE_READY && state(!from) != HANDSHAKE_ASKS);
            if (at >= starts[0] + 2 && (at < starts[1] || at >= starts[1] + 9)) // not in a head: it may wait for more
                CHECK(handshake_fault(sides[!from]) == FAULT_PROTOCOL);
        }
    }
}

static void
test_keys_that_do_not_fit_end_alike(void)
{
    curve_keys_t other;
    crypto_box_keypair(other.public_key, other.secret_key);

    set(HANDSHAKE_CURVE, PEERTYPE_PUSH, PEERTYPE_PULL); // the client knows another server
    confs[CLIENT].curve_server = other.public_key;
    start_and_talk(1000);
    check_failed(SERVER, FAULT_PROTOCOL, "HELLO does not open with our keys");
    CHECK(said[SERVER].size == 64);

    set(HANDSHAKE_CURVE, PEERTYPE_PUSH, PEERTYPE_PULL); // another client's public key
    curve_keys_t stolen = keys[CLIENT];
    memcpy(stolen.public_key, other.public_key, CURVE_KEY);
    confs[CLIENT].curve_keys = &stolen;
    start_and_talk(1000);
    check_failed(SERVER, FAULT_PROTOCOL, "INITIATE does not open with our keys");
    CHECK(asked == 0);

    set(HANDSHAKE_CURVE, PEERTYPE_PUSH, PEERTYPE_PULL); // a vouch for another server
    start();
    while (said[CLIENT].size < 64 + 202 &&
           (pass(CLIENT, 64 + 202 - said[CLIENT].size) | pass(SERVER, 64 - said[SERVER].size)))
        ;
    confs[CLIENT].curve_server = other.public_key;
    talk(1000);
    check_failed(SERVER, FAULT_PROTOCOL, "INITIATE does not open with our keys");
    CHECK(asked == 0);
}

static void
test_replayed_session_ends(void)
{
    set(HANDSHAKE_CURVE, PEERTYPE_PUSH, PEERTYPE_PULL);
    start_and_talk(1000);
    record_t before = said[CLIENT];
    feed_server(before.bytes, before.size, 1000);
    check_failed(SERVER, FAULT_PROTOCOL, "INITIATE does not open with our keys"); // the cookie is another
}

static void
test_points_of_small_order_are_refused(void)
{
    uint8_t hello[202] = "\4\310\5HELLO\1";
    for (uint8_t point = 0; point < 2; point++) {
        memset(hello + 82, 0, 32);
        hello[82] = point;
        start_after_greeting(HANDSHAKE_CURVE);
        feed(hello, sizeof hello);
        check_failed(SERVER, FAULT_PROTOCOL, "HELLO does not open with our keys");
    }
    static const uint8_t no_key[CURVE_KEY];
    set(HANDSHAKE_CURVE, PEERTYPE_PUSH, PEERTYPE_PULL);
    confs[CLIENT].curve_server = no_key;
    start_and_talk(1000);
    check_failed(CLIENT, FAULT_PROTOCOL, "the server's key is no key");
}

static void
test_sizes_of_curve_commands_are_exact(void)
{
    static const struct {
        const char *bytes;
        size_t size;
        const char *words;
    } hellos[] = {
        { "\4\xc7\5HELLO\1", 201, "HELLO of CURVE is malformed" },
        { "\4\xc9\5HELLO\1", 203, "HELLO of CURVE is malformed" },
        { "\4\xc8\5HELLO\2", 202, "HELLO of CURVE is malformed" },
        { "\4\xc8\5HELLO\1\1", 202, "HELLO of CURVE is malformed" },
        { "\4\x09\x08INITIATE", 11, "\"INITIATE\" in place of HELLO" },
    };
    for (size_t i = 0; i < COUNT(hellos); i++) {
        uint8_t bytes[256] = { 0 };
        strcpy((char *)bytes, hellos[i].bytes);
        start_after_greeting(HANDSHAKE_CURVE);
        feed(bytes, hellos[i].size);
        check_failed(SERVER, FAULT_PROTOCOL, hellos[i].words);
    }
}

static void
test_nothing_secret_is_kept_when_ready(void)
{
    curve_session_t session;
    set(HANDSHAKE_CURVE, PEERTYPE_PUSH, PEERTYPE_PULL);
    start_and_talk(1000);
    for (int i = 0; i < SIDES; i++) {
        handshake_curve_t *curve = &sides[i]->is.curve;
        CHECK(sodium_is_zero((const uint8_t *)curve, offsetof(handshake_curve_t, session)));
        CHECK(handshake_take_session(sides[i], &session));
        CHECK(sodium_is_zero((const uint8_t *)curve, sizeof *curve));
        CHECK(!sides[i]->in.at && !sides[i]->out.at);
    }
}

// --- handing over -----------------------------------------------------------------------

// SIDE goes on in another process.
static void
hand_over(int side)
{
    uint8_t saved[HANDSHAKE_MEMORY_MAX];
    size_t size = handshake_saved_size(sides[side]);
    CHECK(size <= sizeof saved);
    handshake_save(sides[side], saved);
    handshake_destroy(&sides[side]);
    sides[side] = handshake_restore(&confs[side], saved, size);
    if (!sides[side]) {
        CHECK(!"restored");
        sides[side] = handshake_new(&confs[side]);
    }
}

static void
test_handed_over_at_every_octet_it_gets_ready(void)
{
    for (handshake_mechanism_t mechanism = 0; mechanism < HANDSHAKE_MECHANISMS; mechanism++) {
        set(mechanism, PEERTYPE_DEALER, PEERTYPE_ROUTER);
        confs[CLIENT].identity = (const uint8_t *)"client-7";
        confs[CLIENT].identity_size = 8;
        start();
        while (pass(CLIENT, 1) | pass(SERVER, 1))
            for (int i = 0; i < SIDES; i++)
                hand_over(i);
        check_ready(CLIENT);
        check_ready(SERVER);
        CHECK(handshake_peer(sides[SERVER])->identity_size == 8);
        curve_session_t session;
        CHECK(handshake_take_session(sides[SERVER], &session) == (mechanism == HANDSHAKE_CURVE));
    }
    set_old();
    for (size_t i = 0; i < COUNT(old_peers); i++) {
        start();
        for (size_t at = 0; at < old_peers[i].size - old_peers[i].traffic; at++) {
            CHECK(handshake_feed(sides[SERVER], (const uint8_t *)old_peers[i].bytes + at, 1) == 1);
            hand_over(SERVER);
        }
        check_ready(SERVER);
    }
}

static void
test_handed_over_while_it_asks_it_still_asks(void)
{
    start_after_greeting(HANDSHAKE_PLAIN);
    FEED("\4\x13\5HELLO\5alice\6secret");
    hand_over(SERVER);
    CHECK(state(SERVER) == HANDSHAKE_ASKS);
    CHECK(is_text(handshake_claim(sides[SERVER]).user, "alice"));
}

static void
test_saved_bytes_are_not_believed(void)
{
    uint8_t saved[HANDSHAKE_MEMORY_MAX + 1] = { 0 };
    start_after_greeting(HANDSHAKE_PLAIN);
    size_t size = handshake_saved_size(sides[SERVER]);
    handshake_save(sides[SERVER], saved);
    for (size_t less = 0; less < size; less++)
        CHECK(!handshake_restore(&confs[SERVER], saved, less));
    CHECK(!handshake_restore(&confs[SERVER], saved, size + 1));
    handshake_conf_t other = confs[SERVER];
    other.mechanism = HANDSHAKE_NULL;
    CHECK(!handshake_restore(&other, saved, size));
    other = confs[SERVER];
    other.type = PEERTYPE_PULL;
    CHECK(!handshake_restore(&other, saved, size));
    for (size_t at = 0; at < size; at++) { // whatever it is, it fails or goes on
        saved[at] ^= 0xff;
        handshake_t *restored = handshake_restore(&confs[SERVER], saved, size);
        if (restored) {
            if (handshake_state(restored) == HANDSHAKE_ASKS)
                handshake_verdict(restored, HANDSHAKE_WELCOME);
            handshake_feed(restored, (const uint8_t *)"\4\6\5HELLO", 8);
        }
        handshake_destroy(&restored);
        saved[at] ^= 0xff;
    }
}

// --- what is asserted -----------------------------------------------------------------------

static void
test_words_are_printable(void)
{
    uint8_t every[256];
    char quoted[QUOTED_MAX];
    for (size_t i = 0; i < sizeof every; i++)
        every[i] = (uint8_t)i;
    for (size_t from = 0; from < sizeof every; from++)
        for (size_t size = 0; size <= sizeof every - from; size++) {
            const char *text = handshake_quoted(quoted, every + from, size);
            size_t length = strlen(text);
            CHECK(length >= 2 && length < QUOTED_MAX);
            CHECK(text[0] == '"' && text[length - 1] == '"');
            for (size_t i = 1; i < length - 1; i++)
                CHECK(isprint((unsigned char)text[i]) && text[i] != '"');
        }
    CHECK_TEXT(handshake_quoted(quoted, (const uint8_t *)"a\0b", 3), "\"a\\x00b\"");
}

static void
test_sizes_are_what_is_promised(void)
{
    printf("# handshake_t %zu, curve_session_t %zu octets\n", sizeof(handshake_t), sizeof(curve_session_t));
    CHECK(sizeof(handshake_t) <= 1024);
    CHECK(sizeof(curve_session_t) == 80);
}

int
main(void)
{
    if (sodium_init() == -1)
        return 1;
    for (int i = 0; i < SIDES; i++)
        crypto_box_keypair(keys[i].public_key, keys[i].secret_key);
    RUN(test_every_mechanism_gets_ready_in_any_pieces);
    RUN(test_both_sessions_of_curve_fit);
    RUN(test_greeting_comes_in_stages);
    RUN(test_traffic_after_the_handshake_is_left);
    RUN(test_side_that_asks_with_null_says_ready_after_the_verdict);
    RUN(test_padding_and_as_server_are_not_looked_at);
    RUN(test_minor_is_that_of_both);
    RUN(test_old_versions_get_ready_in_any_pieces);
    RUN(test_old_identity_may_be_large);
    RUN(test_old_versions_are_refused_by_default);
    RUN(test_old_peer_waits_for_the_verdict_too);
    RUN(test_old_type_must_fit);
    RUN(test_strangers_are_known_whatever_the_mechanism);
    RUN(test_mechanisms_must_be_the_same);
    RUN(test_who_leaves_when_it_hears_our_mechanism_speaks_another);
    RUN(test_all_octets_of_the_mechanism_count);
    RUN(test_types_must_fit);
    RUN(test_frames_that_have_no_place_are_refused);
    RUN(test_memory_is_bounded_and_grows_by_what_has_come);
    RUN(test_identity_that_begins_with_0_is_refused_by_a_router);
    RUN(test_durable_name_is_kept);
    RUN(test_verdicts_end_in_what_the_client_hears);
    RUN(test_plain_hello_is_read_to_its_last_octet);
    RUN(test_nothing_is_taken_while_a_verdict_is_awaited);
    RUN(test_longest_credentials_fit);
    RUN(test_error_ends_it_at_each_step);
    RUN(test_plain_refuses_as_libzmq_spells_it);
    RUN(test_command_that_comes_twice_is_refused);
    RUN(test_flipped_bit_of_each_command_ends_it);
    RUN(test_keys_that_do_not_fit_end_alike);
    RUN(test_replayed_session_ends);
    RUN(test_points_of_small_order_are_refused);
    RUN(test_sizes_of_curve_commands_are_exact);
    RUN(test_nothing_secret_is_kept_when_ready);
    RUN(test_handed_over_at_every_octet_it_gets_ready);
    RUN(test_handed_over_while_it_asks_it_still_asks);
    RUN(test_saved_bytes_are_not_believed);
    RUN(test_words_are_printable);
    RUN(test_sizes_are_what_is_promised);
    for (int i = 0; i < SIDES; i++)
        handshake_destroy(&sides[i]);
    return test_done();
}
