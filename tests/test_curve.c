// SPDX-License-Identifier: MPL-2.0
#include "base/mem.h"
#include "zmtp/curve.h"

#include "test.h"

#include <sodium.h>

enum { PART_MAX = 70000 };

static uint8_t shared[CURVE_KEY], part[PART_MAX], frame[PART_MAX + 64], copy[PART_MAX + 64];
static curve_session_t ours, theirs;

static void
make_subkey(uint8_t *subkey, const char *purpose)
{
    crypto_core_hsalsa20(subkey, (const uint8_t *)purpose, shared, NULL);
}

// Two sides right after READY.
static void
start(void)
{
    randombytes_buf(shared, sizeof shared);
    randombytes_buf(part, sizeof part);
    ours = (curve_session_t){ .out_nonce = 2, .in_nonce = 2 };
    make_subkey(ours.out_key, "CurveZMQMESSAGES");
    make_subkey(ours.in_key, "CurveZMQMESSAGEC");
    theirs = (curve_session_t){ .out_nonce = 3, .in_nonce = 1 };
    make_subkey(theirs.out_key, "CurveZMQMESSAGEC");
    make_subkey(theirs.in_key, "CurveZMQMESSAGES");
}

// Open the whole FRAME; the part's size, or -1.
static long
open_frame(curve_session_t *session, size_t size, uint8_t *flags, uint8_t **body)
{
    frame_head_t head = { 0 };
    size_t body_size;
    CHECK(frame_read(frame, size, &head) == 1);
    CHECK(head.head + head.body == size);
    if (curve_open(session, frame + head.head, head.body, flags, body, &body_size) == -1)
        return -1;
    return (long)body_size;
}

static const size_t sizes[] = { 0, 1,  30,  31,  32,  33,  63,  64,   65,   95,   96,    97,
                                98, 99, 221, 222, 223, 254, 255, 1000, 1024, 4096, 65536, PART_MAX };

static void
test_what_is_sealed_is_opened(void)
{
    static const uint8_t all_flags[] = { 0, FRAME_MORE, FRAME_COMMAND };
    start();
    for (size_t i = 0; i < COUNT(sizes); i++)
        for (size_t j = 0; j < COUNT(all_flags); j++) {
            uint8_t flags, *body;
            size_t size = curve_seal(&ours, frame, all_flags[j], part, sizes[i]);
            CHECK(size == CURVE_SEALED_SIZE(sizes[i]));
            CHECK(open_frame(&theirs, size, &flags, &body) == (long)sizes[i]);
            CHECK(flags == all_flags[j]);
            CHECK(memcmp(body, part, sizes[i]) == 0);
        }
}

// What CurveZMQ writes: crypto_box with the whole nonce.
static void
make_nonce(uint8_t nonce[24], const char *purpose, uint64_t number)
{
    memcpy(nonce, purpose, 16);
    frame_put64(nonce + 16, number);
}

static void
test_box_is_that_of_crypto_box(void)
{
    uint8_t nonce[24], flags, *body;
    uint8_t *plain = copy, *box = frame + FRAME_LARGE_HEAD;
    size_t body_size;
    start();
    for (size_t i = 0; i < COUNT(sizes); i++) {
        uint64_t number = ours.out_nonce;
        size_t size = curve_seal(&ours, frame, FRAME_MORE, part, sizes[i]);
        size_t head = size - sizes[i] - CURVE_OVERHEAD;
        CHECK(memcmp(frame + head, "\7MESSAGE", 8) == 0);
        CHECK(frame_get64(frame + head + 8) == number);
        make_nonce(nonce, "CurveZMQMESSAGES", number);
        CHECK(crypto_box_open_easy_afternm(plain, frame + head + 16, sizes[i] + 17, nonce, shared) == 0);
        CHECK(plain[0] == 1);
        CHECK(memcmp(plain + 1, part, sizes[i]) == 0);

        make_nonce(nonce, "CurveZMQMESSAGEC", 100 + i);
        plain[0] = 2;
        memcpy(box, "\7MESSAGE", 8);
        memcpy(box + 8, nonce + 16, 8);
        CHECK(crypto_box_easy_afternm(box + 16, plain, sizes[i] + 1, nonce, shared) == 0);
        CHECK(curve_open(&ours, box, sizes[i] + CURVE_OVERHEAD, &flags, &body, &body_size) == 0);
        CHECK(flags == FRAME_COMMAND);
        CHECK(body_size == sizes[i] && memcmp(body, part, sizes[i]) == 0);
    }
}

static void
test_flipped_bit_is_not_opened_and_changes_nothing(void)
{
    uint8_t flags, *body;
    size_t body_size;
    start();
    size_t size = curve_seal(&ours, copy, 0, part, 40);
    curve_session_t before = theirs;
    for (size_t bit = 0; bit < (size - 2) * 8; bit++) {
        memcpy(frame, copy, size);
        frame[2 + bit / 8] ^= (uint8_t)(1 << bit % 8);
        CHECK(curve_open(&theirs, frame + 2, size - 2, &flags, &body, &body_size) == -1);
        CHECK(memcmp(&theirs, &before, sizeof before) == 0);
    }
    CHECK(curve_open(&theirs, copy + 2, size - 2, &flags, &body, &body_size) == 0);
}

static void
test_every_shorter_piece_is_not_opened(void)
{
    uint8_t flags, *body;
    size_t body_size;
    start();
    size_t size = curve_seal(&ours, copy, 0, part, 40);
    for (size_t less = 0; less < size - 2; less++) {
        memcpy(frame, copy, size);
        CHECK(curve_open(&theirs, frame + 2, less, &flags, &body, &body_size) == -1);
    }
}

static void
test_replay_is_refused_and_a_gap_is_not(void)
{
    uint8_t flags, *body;
    start();
    size_t size = curve_seal(&ours, frame, 0, part, 10);
    memcpy(copy, frame, size);
    CHECK(open_frame(&theirs, size, &flags, &body) == 10);
    memcpy(frame, copy, size);
    CHECK(open_frame(&theirs, size, &flags, &body) == -1);

    size_t skipped = curve_seal(&ours, copy, 0, part, 20);
    size = curve_seal(&ours, frame, 0, part, 30);
    CHECK(open_frame(&theirs, size, &flags, &body) == 30);
    memcpy(frame, copy, skipped);
    CHECK(open_frame(&theirs, skipped, &flags, &body) == -1);
}

static void
test_own_box_does_not_come_back(void)
{
    uint8_t flags, *body;
    start();
    size_t size = curve_seal(&ours, frame, 0, part, 10);
    CHECK(open_frame(&ours, size, &flags, &body) == -1);
}

static void
test_nonces_end(void)
{
    start();
    ours.out_nonce = INT64_MAX;
    CHECK(curve_seal(&ours, frame, 0, part, 1) > 0);
    CHECK(curve_seal(&ours, frame, 0, part, 1) == 0);
    CHECK(curve_seal(&ours, frame, 0, part, 1) == 0);
}

static void
test_sealed_flags_of_no_meaning_are_refused(void)
{
    uint8_t nonce[24], plain[2] = { 0 }, flags, *body;
    size_t body_size;
    start();
    for (int sealed = 0; sealed < 256; sealed++) {
        make_nonce(nonce, "CurveZMQMESSAGEC", 100 + (uint64_t)sealed);
        plain[0] = (uint8_t)sealed;
        memcpy(frame, "\7MESSAGE", 8);
        memcpy(frame + 8, nonce + 16, 8);
        crypto_box_easy_afternm(frame + 16, plain, sizeof plain, nonce, shared);
        CHECK(curve_open(&ours, frame, 34, &flags, &body, &body_size) == (sealed <= 2 ? 0 : -1));
    }
}

static void
test_wiped_session_is_empty(void)
{
    start();
    curve_wipe(&ours);
    CHECK(sodium_is_zero((const uint8_t *)&ours, sizeof ours));
}

int
main(void)
{
    if (sodium_init() == -1)
        return 1;
    RUN(test_what_is_sealed_is_opened);
    RUN(test_box_is_that_of_crypto_box);
    RUN(test_flipped_bit_is_not_opened_and_changes_nothing);
    RUN(test_every_shorter_piece_is_not_opened);
    RUN(test_replay_is_refused_and_a_gap_is_not);
    RUN(test_own_box_does_not_come_back);
    RUN(test_nonces_end);
    RUN(test_sealed_flags_of_no_meaning_are_refused);
    RUN(test_wiped_session_is_empty);
    return test_done();
}
