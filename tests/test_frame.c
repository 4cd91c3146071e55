// SPDX-License-Identifier: MPL-2.0
#include "base/mem.h"
#include "zmtp/frame.h"
#include "zmtp/traffic.h"

#include "test.h"

#include <stdint.h>

static frame_head_t head;

// Read BYTES, and see that nothing but "more" is said of each shorter piece.
static int
read_whole(const void *bytes, size_t size)
{
    for (size_t have = 0; have < size; have++)
        CHECK(frame_read(bytes, have, &head) == 0);
    return frame_read(bytes, size, &head);
}

static void
check_head(uint64_t body, uint8_t flags, uint8_t size)
{
    CHECK(head.body == body);
    CHECK(head.flags == flags);
    CHECK(head.head == size);
}

static void
test_short_frame_has_two_octets(void)
{
    CHECK(read_whole("\0\0", 2) == 1);
    check_head(0, 0, 2);
    CHECK(read_whole("\1\377", 2) == 1);
    check_head(255, FRAME_MORE, 2);
    CHECK(read_whole("\4\1", 2) == 1);
    check_head(1, FRAME_COMMAND, 2);
}

static void
test_large_frame_has_nine_octets(void)
{
    CHECK(read_whole("\2\0\0\0\0\0\0\1\0", 9) == 1);
    check_head(256, FRAME_LARGE, 9);
    CHECK(read_whole("\3\0\0\0\0\0\0\0\1", 9) == 1); // longer than need be, but legal
    check_head(1, FRAME_LARGE | FRAME_MORE, 9);
    CHECK(read_whole("\6\177\377\377\377\377\377\377\377", 9) == 1);
    check_head(INT64_MAX, FRAME_LARGE | FRAME_COMMAND, 9);
}

static void
test_absurd_length_is_no_frame(void)
{
    CHECK(read_whole("\2\200\0\0\0\0\0\0\0", 9) == -1);
    CHECK(read_whole("\2\377\377\377\377\377\377\377\377", 9) == -1);
}

static void
test_flags_are_wrong_at_the_first_octet(void)
{
    for (int flags = 0; flags < 256; flags++) {
        uint8_t octet = (uint8_t)flags;
        bool right = flags < 8 && !((flags & FRAME_MORE) && (flags & FRAME_COMMAND));
        CHECK(frame_read(&octet, 1, &head) == (right ? 0 : -1));
    }
}

// What libzmq 4.3.4 writes.
static void
test_subscription_without_its_large_bit_is_large(void)
{
    uint8_t bytes[FRAME_LARGE_HEAD] = { FRAME_COMMAND };
    for (uint64_t size = 256; size <= 265; size++) {
        frame_put64(bytes + 1, size);
        CHECK(read_whole(bytes, sizeof bytes) == 1);
        check_head(size, FRAME_LARGE | FRAME_COMMAND, FRAME_LARGE_HEAD);
    }
    for (uint64_t size = 0; size <= 300; size++) {
        frame_put64(bytes + 1, size);
        CHECK(frame_read(bytes, sizeof bytes, &head) == (size >= 256 && size <= 265 ? 1 : -1));
    }
}

static void
test_empty_messages_in_a_row_stay_messages(void)
{
    CHECK(frame_read((const uint8_t *)"\0\0\0\0\0\0\0\1\0", 9, &head) == 1);
    check_head(0, 0, 2);
}

static const uint64_t sizes[] = { 0, 1, 252, 253, 254, 255, 256, 65535, 65536, UINT64_C(1) << 32, INT64_MAX - 1 };

static void
test_written_head_is_the_shortest_and_is_read_again(void)
{
    static const uint8_t flags[] = { 0, FRAME_MORE, FRAME_COMMAND, FRAME_MORE | FRAME_LARGE };
    for (size_t i = 0; i < COUNT(sizes); i++)
        for (size_t j = 0; j < COUNT(flags); j++) {
            if (sizes[i] == 0 && flags[j] == FRAME_COMMAND)
                continue; // there is none
            uint8_t bytes[FRAME_HEAD_MAX];
            size_t size = frame_write_head(bytes, flags[j], sizes[i]);
            CHECK(size == (sizes[i] > 255 ? 9 : 2));
            CHECK(size == frame_head_size(sizes[i]));
            CHECK(read_whole(bytes, size) == 1);
            check_head(sizes[i], (uint8_t)((flags[j] & ~FRAME_LARGE) | (size == 9 ? FRAME_LARGE : 0)), (uint8_t)size);
        }
}

// --- ZMTP 1.0 -------------------------------------------------------------------

static void
test_old_head_is_written_and_read_again(void)
{
    for (size_t i = 0; i < COUNT(sizes); i++)
        for (uint8_t flags = 0; flags <= FRAME_MORE; flags++) {
            uint8_t bytes[FRAME_HEAD_MAX];
            size_t size = frame_write_old_head(bytes, flags, sizes[i]);
            CHECK(size == (sizes[i] > 253 ? 10 : 2));
            for (size_t have = 0; have < size; have++)
                CHECK(frame_read_old(bytes, have, &head) == 0);
            CHECK(frame_read_old(bytes, size, &head) == 1);
            check_head(sizes[i], flags, (uint8_t)size);
        }
}

static void
test_old_head_counts_its_flags(void)
{
    CHECK(frame_read_old((const uint8_t *)"\1\0", 2, &head) == 1);
    check_head(0, 0, 2);
    CHECK(frame_read_old((const uint8_t *)"\376\1", 2, &head) == 1);
    check_head(253, FRAME_MORE, 2);
    CHECK(frame_read_old((const uint8_t *)"\0\0", 2, &head) == -1);
    CHECK(frame_read_old((const uint8_t *)"\377\0\0\0\0\0\0\0\0\0", 10, &head) == -1);
    CHECK(frame_read_old((const uint8_t *)"\377\377\0\0\0\0\0\0\0\0", 10, &head) == -1);
}

static void
test_old_flags_but_more_are_wrong(void)
{
    for (int flags = 2; flags < 256; flags++) {
        uint8_t bytes[] = { 1, (uint8_t)flags };
        CHECK(frame_read_old(bytes, sizeof bytes, &head) == -1);
    }
}

// --- commands among the messages ----------------------------------------------------

static void
check_command(const char *body, size_t size, traffic_kind_t kind, const char *data)
{
    traffic_t command;
    CHECK(traffic_read(&command, (const uint8_t *)body, size) == 0);
    CHECK(command.kind == kind);
    CHECK(command.size == strlen(data) && memcmp(command.data, data, command.size) == 0);
}
#define CHECK_COMMAND(body, kind, data) check_command(body, sizeof(body) - 1, kind, data)

static void
test_commands_are_read(void)
{
    CHECK_COMMAND("\4PING\0\5abc", TRAFFIC_PING, "abc");
    CHECK_COMMAND("\4PING\0\5", TRAFFIC_PING, "");
    CHECK_COMMAND("\4PONGabc", TRAFFIC_PONG, "abc");
    CHECK_COMMAND("\x09SUBSCRIBE", TRAFFIC_SUBSCRIBE, "");
    CHECK_COMMAND("\x09SUBSCRIBEtopic", TRAFFIC_SUBSCRIBE, "topic");
    CHECK_COMMAND("\6CANCELtopic", TRAFFIC_CANCEL, "topic");
    CHECK_COMMAND("\5ERROR\003400", TRAFFIC_ERROR, "400");
    CHECK_COMMAND("\4JOINx", TRAFFIC_UNKNOWN, "x");
    CHECK_COMMAND("\4ping12", TRAFFIC_UNKNOWN, "12");
}

static void
test_malformed_commands_are_refused(void)
{
    static const struct {
        const char *body;
        size_t size;
    } wrong[] = {
        { "", 0 },       { "\0", 1 },       { "\0x", 2 },     { "\5PING", 5 },          { "\377PING", 5 },
        { "\4PING", 5 }, { "\4PING\0", 6 }, { "\5ERROR", 6 }, { "\5ERROR\004400", 10 }, { "\5ERROR\002400", 10 },
    };
    traffic_t command;
    for (size_t i = 0; i < COUNT(wrong); i++)
        CHECK(traffic_read(&command, (const uint8_t *)wrong[i].body, wrong[i].size) == -1);
}

static void
test_commands_are_written_as_they_are_read(void)
{
    uint8_t body[TRAFFIC_PING_MAX];
    traffic_t command;
    size_t size = traffic_ping(body, 300, (const uint8_t *)"0123456789abcdefXYZ", 19);
    CHECK(size == TRAFFIC_PING_MAX);
    CHECK(traffic_read(&command, body, size) == 0 && command.kind == TRAFFIC_PING);
    CHECK(command.ttl == 300);
    CHECK(command.size == TRAFFIC_CONTEXT_MAX && memcmp(command.data, "0123456789abcdef", command.size) == 0);
    size = traffic_pong(body, NULL, 0);
    CHECK(traffic_read(&command, body, size) == 0 && command.kind == TRAFFIC_PONG && command.size == 0);
    size = traffic_topic_head(body, TRAFFIC_SUBSCRIBE);
    CHECK(size == TRAFFIC_TOPIC_HEAD_MAX && memcmp(body, "\x09SUBSCRIBE", size) == 0);
    size = traffic_topic_head(body, TRAFFIC_CANCEL);
    CHECK(size == 7 && memcmp(body, "\6CANCEL", size) == 0);
}

int
main(void)
{
    RUN(test_short_frame_has_two_octets);
    RUN(test_large_frame_has_nine_octets);
    RUN(test_absurd_length_is_no_frame);
    RUN(test_flags_are_wrong_at_the_first_octet);
    RUN(test_subscription_without_its_large_bit_is_large);
    RUN(test_empty_messages_in_a_row_stay_messages);
    RUN(test_written_head_is_the_shortest_and_is_read_again);
    RUN(test_old_head_is_written_and_read_again);
    RUN(test_old_head_counts_its_flags);
    RUN(test_old_flags_but_more_are_wrong);
    RUN(test_commands_are_read);
    RUN(test_malformed_commands_are_refused);
    RUN(test_commands_are_written_as_they_are_read);
    return test_done();
}
