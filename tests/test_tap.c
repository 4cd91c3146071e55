// SPDX-License-Identifier: MPL-2.0
//
// The ring between a route and those who look on, without a route: what is seen and
// what is missed add up, and the bytes are those that were put in.
#include "zmq/message.h"

#include "test.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

enum { MANY = 100000 };

static void
offer(tap_ring_t *ring, const char *text, size_t size)
{
    tap_frame_t frame = { text, size };
    tap_ring_offer(ring, SIDE_FRONTEND, 1, &frame, 1, NULL);
}

static void
offer_number(tap_ring_t *ring, char topic, uint64_t number)
{
    char text[64];
    offer(ring, text, (size_t)snprintf(text, sizeof text, "%c%llu", topic, (unsigned long long)number));
}

static uint64_t
number_in(const tap_message_t *message)
{
    char text[64] = "";
    memcpy(text, (const char *)message->frame[0].data + 1, message->frame[0].size - 1);
    return strtoull(text, NULL, 10);
}

static void
forget(tap_t **tap)
{
    tap_leave(*tap);
    tap_release(tap);
}

static void
check_frames(const tap_sharing_t *sharing)
{
    static const size_t sizes[][6] = { { 0 }, { 1 }, { 220 }, { 221 }, { 100000 }, { 33, 0, 44 }, { 100, 130 }, { 100, 200, 300, 0, 500, 6 } };
    static const size_t counts[] = { 1, 1, 1, 1, 1, 3, 2, 6 };
    tap_ring_t *ring = tap_ring_new(sharing);
    tap_t *tap = tap_ring_add(ring, "", 0);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        zmq_msg_t frames[6];
        tap_frame_t shown[6];
        for (size_t j = 0; j < counts[i]; j++) {
            zmq_msg_init_size(&frames[j], sizes[i][j]);
            memset(zmq_msg_data(&frames[j]), (int)('a' + i + j), sizes[i][j]);
            shown[j] = (tap_frame_t){ zmq_msg_data(&frames[j]), sizes[i][j] };
        }
        tap_ring_offer(ring, SIDE_BACKEND, 77, shown, counts[i], sharing ? frames : NULL);
        for (size_t j = 0; j < counts[i]; j++)
            zmq_msg_close(&frames[j]);
    }
    CHECK(tap_ring_take(ring) == NULL);
    tap_ring_end(ring);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        const tap_message_t *message = tap_ring_take(ring);
        CHECK(message && tap_see(tap) == i + 1 && message->side == SIDE_BACKEND && message->wall_ns == 77 && message->frames == counts[i]);
        for (size_t j = 0; j < counts[i]; j++) {
            const char *data = message->frame[j].data;
            CHECK(message->frame[j].size == sizes[i][j]);
            for (size_t k = 0; k < sizes[i][j] && test_ok; k++)
                CHECK(data[k] == (char)('a' + i + j));
        }
    }
    CHECK(tap_ring_take(ring) == NULL);
    forget(&tap);
    CHECK(!tap_ring_sweep(ring));
    tap_ring_close(&ring);
}

static void
frames_of_every_size_come_out_as_they_went_in(void)
{
    check_frames(&message_sharing);
    check_frames(NULL);
}

static void
a_full_ring_counts_what_it_has_no_room_for(void)
{
    tap_ring_t *ring = tap_ring_new(NULL);
    tap_t *tap = tap_ring_add(ring, "", 0);
    uint64_t offered = 0, seen = 0;
    for (int round = 0; round < 4; round++) {
        tap_ring_begin(ring);
        for (int i = 0; i < 10000; i++)
            offer_number(ring, 'a', ++offered);
        CHECK(tap_ring_is_full(ring));
        tap_ring_pass(ring, 100);
        offered += 100;
        tap_ring_end(ring);
        const tap_message_t *message;
        while ((message = tap_ring_take(ring))) {
            uint64_t seq = tap_see(tap);
            CHECK(seq == number_in(message));
            seen++;
        }
        CHECK(tap_seq(tap) == offered);
    }
    CHECK(seen < offered && seen > 4 * 4096);
    forget(&tap);
    tap_ring_sweep(ring);
    tap_ring_close(&ring);
}

static void
a_tap_with_a_topic_has_room_beside_one_without(void)
{
    tap_ring_t *ring = tap_ring_new(NULL);
    tap_t *all = tap_ring_add(ring, "", 0), *some = tap_ring_add(ring, "b", 1), *later = NULL;
    uint64_t of_all = 0, of_some = 0, seen[3] = { 0 };
    const tap_message_t *message;
    for (int i = 0; i < 20000; i++) {
        offer_number(ring, 'a', ++of_all);
        if (i % 100 == 0) {
            of_all++;
            offer_number(ring, 'b', ++of_some);
        }
    }
    later = tap_ring_add(ring, "b", 1);
    offer_number(ring, 'b', ++of_some);
    of_all++;
    tap_ring_end(ring);
    CHECK(!tap_ring_is_full(ring)); // not for everybody
    while ((message = tap_ring_take(ring))) {
        uint64_t seq = tap_see(all);
        const char *data = message->frame[0].data;
        seen[0] += seq > 0;
        if (*data == 'a')
            CHECK(seq == number_in(message) && tap_see(some) == 0 && tap_see(later) == 0);
        else
            CHECK(tap_see(some) == number_in(message) && ++seen[1]);
        if (*data == 'b' && number_in(message) == of_some)
            CHECK(tap_see(later) == 1 && ++seen[2]);
    }
    CHECK(seen[1] == of_some && seen[2] == 1 && seen[0] < of_all);
    CHECK(tap_seq(all) == of_all && tap_seq(some) == of_some && tap_seq(later) == 1);
    forget(&all);
    forget(&some);
    forget(&later);
    tap_ring_sweep(ring);
    tap_ring_close(&ring);
}

static void
what_is_shared_is_bounded_by_its_size(void)
{
    static char big[1000000];
    tap_ring_t *ring = tap_ring_new(NULL);
    tap_t *tap = tap_ring_add(ring, "", 0);
    size_t seen = 0;
    for (int round = 0; round < 2; round++) {
        tap_ring_begin(ring);
        for (int i = 0; i < 40; i++)
            offer(ring, big, sizeof big);
        tap_ring_end(ring);
        CHECK(tap_ring_is_full(ring));
        while (tap_ring_take(ring)) {
            tap_see(tap);
            seen++;
        }
        CHECK(tap_seq(tap) == 40u * (unsigned)(round + 1));
    }
    CHECK(seen > 30 && seen < 40);
    // What is left when both go is freed.
    tap_ring_begin(ring);
    offer(ring, big, sizeof big);
    tap_ring_end(ring);
    tap_ring_take(ring);
    tap_ring_close(&ring);
    forget(&tap);
}

static void
there_is_room_for_so_many(void)
{
    tap_ring_t *ring = tap_ring_new(NULL);
    tap_t *taps[TAPS_MAX];
    for (int i = 0; i < TAPS_MAX; i++)
        CHECK((taps[i] = tap_ring_add(ring, "", 0)));
    CHECK(!tap_ring_add(ring, "", 0));
    forget(&taps[3]);
    CHECK(tap_ring_sweep(ring));
    CHECK((taps[3] = tap_ring_add(ring, "", 0)));
    for (int i = 0; i < TAPS_MAX; i++)
        forget(&taps[i]);
    CHECK(!tap_ring_sweep(ring));
    tap_ring_close(&ring);
}

// --- two threads ---------------------------------------------------------------

typedef struct {
    tap_ring_t *ring;
    tap_t *taps[3];
    uint64_t seen[3], seq[3];
    bool wrong;
} reader_t;

static void
read_some(reader_t *self)
{
    const tap_message_t *message;
    while ((message = tap_ring_take(self->ring)))
        for (int i = 0; i < 3; i++) {
            uint64_t seq = tap_see(self->taps[i]);
            if (!seq)
                continue;
            self->wrong |= seq <= self->seq[i] || (i < 2 && seq != number_in(message));
            self->seq[i] = seq;
            self->seen[i]++;
        }
}

static void *
read_all(void *arg)
{
    reader_t *self = arg;
    bool closed = false;
    while (!closed) {
        if (tap_ring_sleep(self->ring)) {
            struct pollfd item = { .fd = tap_ring_fd(self->ring), .events = POLLIN };
            poll(&item, 1, -1);
        }
        closed = tap_ring_is_closed(self->ring);
        read_some(self);
    }
    return NULL;
}

static void
whoever_reads_beside_the_writer_can_tell_what_it_missed(void)
{
    reader_t reader = { .ring = tap_ring_new(NULL) };
    tap_ring_t *ring = reader.ring;
    reader.taps[0] = tap_ring_add(ring, "", 0);
    reader.taps[1] = tap_ring_add(ring, "", 0);
    reader.taps[2] = tap_ring_add(ring, "a7", 2);
    pthread_t thread;
    pthread_create(&thread, NULL, read_all, &reader);
    uint64_t of_topic = 0;
    for (uint64_t i = 1; i <= MANY; i++) {
        if (i % 1000 == 1)
            tap_ring_begin(ring);
        char text[64];
        size_t size = (size_t)snprintf(text, sizeof text, "a%llu", (unsigned long long)i);
        of_topic += text[1] == '7';
        offer(ring, text, size);
        if (i % 1000 == 0)
            tap_ring_end(ring);
    }
    tap_ring_close(&ring);
    pthread_join(thread, NULL);
    CHECK(!reader.wrong);
    uint64_t all[] = { MANY, MANY, of_topic };
    for (int i = 0; i < 3; i++) {
        CHECK(reader.seen[i] > 0 && reader.seen[i] <= all[i]);
        CHECK(tap_seq(reader.taps[i]) == all[i]);
        tap_release(&reader.taps[i]);
    }
}

int
main(void)
{
    RUN(frames_of_every_size_come_out_as_they_went_in);
    RUN(a_full_ring_counts_what_it_has_no_room_for);
    RUN(a_tap_with_a_topic_has_room_beside_one_without);
    RUN(what_is_shared_is_bounded_by_its_size);
    RUN(there_is_room_for_so_many);
    RUN(whoever_reads_beside_the_writer_can_tell_what_it_missed);
    return test_done();
}
