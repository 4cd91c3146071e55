// SPDX-License-Identifier: MPL-2.0
#include "base/mem.h"
#include "zmtp/metadata.h"
#include "zmtp/peertype.h"

#include "test.h"

#include <zmq.h>

// --- socket types -------------------------------------------------------------------

static void
test_numbers_are_those_of_libzmq(void)
{
    static const struct {
        int ours, libzmq;
    } numbers[] = {
        { PEERTYPE_PAIR, ZMQ_PAIR },     { PEERTYPE_PUB, ZMQ_PUB },         { PEERTYPE_SUB, ZMQ_SUB },
        { PEERTYPE_REQ, ZMQ_REQ },       { PEERTYPE_REP, ZMQ_REP },         { PEERTYPE_DEALER, ZMQ_DEALER },
        { PEERTYPE_ROUTER, ZMQ_ROUTER }, { PEERTYPE_PULL, ZMQ_PULL },       { PEERTYPE_PUSH, ZMQ_PUSH },
        { PEERTYPE_XPUB, ZMQ_XPUB },     { PEERTYPE_XSUB, ZMQ_XSUB },       { PEERTYPE_STREAM, ZMQ_STREAM },
#ifdef ZMQ_CHANNEL
        { PEERTYPE_GATHER, ZMQ_GATHER }, { PEERTYPE_SCATTER, ZMQ_SCATTER }, { PEERTYPE_CHANNEL, ZMQ_CHANNEL },
#endif
    };
    for (size_t i = 0; i < COUNT(numbers); i++)
        CHECK(numbers[i].ours == numbers[i].libzmq);
}

static void
test_each_type_is_found_by_its_name(void)
{
    for (int type = 0; type < PEERTYPES; type++) {
        const char *name = peertype_at(type)->name;
        CHECK(peertype_find(name, strlen(name)) == type);
        CHECK(peertype_find(name, strlen(name) - 1) != type);
    }
    CHECK(!peertype_at(-1) && !peertype_at(PEERTYPES));
    CHECK(peertype_find("push", 4) == -1);
    CHECK(peertype_find("", 0) == -1);
}

static void
test_talking_is_mutual(void)
{
    for (int type = 0; type < PEERTYPES; type++)
        for (int other = 0; other < PEERTYPES; other++)
            CHECK(peertype_talks(type, other) == peertype_talks(other, type));
    CHECK(!peertype_talks(-1, PEERTYPE_PAIR) && !peertype_talks(PEERTYPE_PAIR, PEERTYPES));
}

static void
test_who_talks_to_whom_is_what_libzmq_says(void)
{
    static const char *const pairs[] = {
        "PAIR-PAIR",     "PUB-SUB",    "PUB-XSUB",       "XPUB-SUB",      "XPUB-XSUB",     "REQ-REP",
        "REQ-ROUTER",    "DEALER-REP", "DEALER-DEALER",  "ROUTER-DEALER", "ROUTER-ROUTER", "PUSH-PULL",
        "SERVER-CLIENT", "RADIO-DISH", "GATHER-SCATTER", "DGRAM-DGRAM",   "PEER-PEER",     "CHANNEL-CHANNEL",
    };
    size_t talking = 0;
    for (int type = 0; type < PEERTYPES; type++)
        for (int other = type; other < PEERTYPES; other++)
            talking += peertype_talks(type, other);
    CHECK(talking == COUNT(pairs));
    for (size_t i = 0; i < COUNT(pairs); i++) {
        size_t first = strcspn(pairs[i], "-");
        const char *second = pairs[i] + first + 1;
        CHECK(peertype_talks(peertype_find(pairs[i], first), peertype_find(second, strlen(second))));
    }
}

// --- properties ---------------------------------------------------------------------

static uint8_t bytes[16384];
static size_t size;
static metadata_t metadata;

static void
add(const char *name, const void *value, size_t value_size)
{
    size_t name_size = strlen(name);
    bytes[size++] = (uint8_t)name_size;
    memcpy(bytes + size, name, name_size);
    size += name_size;
    for (int shift = 24; shift >= 0; shift -= 8)
        bytes[size++] = (uint8_t)(value_size >> shift);
    memcpy(bytes + size, value, value_size);
    size += value_size;
}

static void
add_text(const char *name, const char *value)
{
    add(name, value, strlen(value));
}

static bool
is(const metadata_value_t *value, const char *text)
{
    return value->at && value->size == strlen(text) && memcmp(value->at, text, value->size) == 0;
}

static void
test_known_properties_are_kept_and_others_skipped(void)
{
    size = 0;
    add_text("X-Colour", "red");
    add_text("Socket-Type", "PUSH");
    add_text("Identity", "");
    add_text("X-Durable", "alice");
    add_text("Resource", "");
    CHECK(!metadata_read(&metadata, bytes, size));
    CHECK(is(&metadata.socket_type, "PUSH"));
    CHECK(is(&metadata.identity, ""));
    CHECK(is(&metadata.durable, "alice"));
    CHECK(!metadata_read(&metadata, bytes, 0));
    CHECK(!metadata.socket_type.at && !metadata.identity.at && !metadata.durable.at);
}

static void
test_names_have_no_case(void)
{
    size = 0;
    add_text("socket-type", "PUSH");
    add_text("IDENTITY", "me");
    CHECK(!metadata_read(&metadata, bytes, size));
    CHECK(is(&metadata.socket_type, "PUSH"));
    CHECK(is(&metadata.identity, "me"));
}

static void
test_second_of_a_name_is_refused(void)
{
    size = 0;
    add_text("X-Colour", "red");
    add_text("x-colour", "blue");
    CHECK_TEXT(metadata_read(&metadata, bytes, size), "a property comes twice");
}

static void
test_properties_are_bounded(void)
{
    char name[16];
    size = 0;
    for (int i = 0; i < METADATA_PROPERTIES_MAX; i++) {
        snprintf(name, sizeof name, "X-%d", i);
        add_text(name, "");
    }
    CHECK(!metadata_read(&metadata, bytes, size));
    add_text("X-last", "");
    CHECK_TEXT(metadata_read(&metadata, bytes, size), "too many properties");
}

static void
test_kept_values_are_bounded(void)
{
    static const struct {
        const char *name;
        size_t max;
    } bounds[] = { { "Identity", 255 }, { "X-Durable", 128 }, { "Socket-Type", 255 } };
    static const uint8_t value[1000] = { 1 };
    for (size_t i = 0; i < COUNT(bounds); i++)
        for (size_t more = 0; more < 2; more++) {
            size = 0;
            add(bounds[i].name, value, bounds[i].max + more);
            const char *fault = metadata_read(&metadata, bytes, size);
            CHECK(!fault == !more);
        }
    size = 0;
    add("X-Other", value, sizeof value);
    CHECK(!metadata_read(&metadata, bytes, size));
}

static void
test_pieces_are_cut_short(void)
{
    size = 0;
    add_text("Socket-Type", "PUSH");
    size_t first = size;
    add_text("Identity", "me");
    for (size_t less = 1; less < size; less++)
        if (less != first)
            CHECK_TEXT(metadata_read(&metadata, bytes, less), "the properties are cut short");
    CHECK_TEXT(metadata_read(&metadata, (const uint8_t *)"\0\0\0\0\0", 5), "the properties are cut short");
    CHECK_TEXT(metadata_read(&metadata, (const uint8_t *)"\1a\377\377\377\377bc", 8), "the properties are cut short");
}

static void
test_what_is_written_is_read(void)
{
    uint8_t identity[METADATA_IDENTITY_MAX] = { 'x' };
    for (int type = 0; type < PEERTYPES; type++) {
        size = metadata_write(bytes, type, identity, sizeof identity);
        CHECK(size <= METADATA_WRITE_MAX);
        CHECK(!metadata_read(&metadata, bytes, size));
        CHECK(is(&metadata.socket_type, peertype_at(type)->name));
        bool sends = type == PEERTYPE_REQ || type == PEERTYPE_DEALER || type == PEERTYPE_ROUTER;
        CHECK(sends == (metadata.identity.at != NULL));
        CHECK(!sends || metadata.identity.size == sizeof identity);
    }
    size = metadata_write(bytes, PEERTYPE_REQ, NULL, 0);
    CHECK(!metadata_read(&metadata, bytes, size));
    CHECK(is(&metadata.identity, ""));
}

int
main(void)
{
    RUN(test_numbers_are_those_of_libzmq);
    RUN(test_each_type_is_found_by_its_name);
    RUN(test_talking_is_mutual);
    RUN(test_who_talks_to_whom_is_what_libzmq_says);
    RUN(test_known_properties_are_kept_and_others_skipped);
    RUN(test_names_have_no_case);
    RUN(test_second_of_a_name_is_refused);
    RUN(test_properties_are_bounded);
    RUN(test_kept_values_are_bounded);
    RUN(test_pieces_are_cut_short);
    RUN(test_what_is_written_is_read);
    return test_done();
}
