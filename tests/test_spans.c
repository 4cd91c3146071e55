// SPDX-License-Identifier: MPL-2.0
#include "model.h"
#include "test.h"
#include "wire/spans.h"
#include "wire/written.h"
#include "zmtp/frame.h"

enum { MESSAGES = 4000, STEPS = 20000 };

// Messages of one to three parts, small and large, one behind the other in a chunk.
typedef struct {
    chunk_pool_t pool;
    chunk_t *chunk;
    size_t at[MESSAGES + 1];
    uint64_t payload[MESSAGES];
    uint8_t *bytes; // all that was queued, in order
    size_t size;
} traffic_t;

static size_t
write_message(uint8_t *at, uint64_t *payload)
{
    size_t size = 0;
    unsigned parts = 1 + dice(3);
    *payload = 0;
    for (unsigned i = 0; i < parts; i++) {
        size_t body = dice(10) ? dice(300) : dice(9000);
        size += frame_write_head(at + size, i + 1 < parts ? FRAME_MORE : 0, body);
        for (size_t j = 0; j < body; j++)
            at[size++] = (uint8_t)dice(256);
        *payload += body;
    }
    return size;
}

static void
make(traffic_t *self)
{
    *self = (traffic_t){ 0 };
    self->chunk = chunk_new(&self->pool, MESSAGES * 28000ul);
    for (int i = 0; i < MESSAGES; i++)
        self->at[i + 1] = self->at[i] + write_message(self->chunk->data + self->at[i], &self->payload[i]);
    self->bytes = malloc(2 * self->at[MESSAGES]);
}

static void
unmake(traffic_t *self)
{
    chunk_drop(self->chunk);
    CHECK(self->pool.bytes == 0);
    chunk_pool_empty(&self->pool);
    free(self->bytes);
}

// Message I, sometimes behind a routing id, as a queue's.
static void
queue_one(traffic_t *self, spans_t *spans, int i)
{
    static const uint8_t id[] = { FRAME_MORE, 3, 'a', 'b', 'c' };
    size_t size = self->at[i + 1] - self->at[i];
    if (dice(4) == 0) {
        spans_copy(spans, &self->pool, id, sizeof id, (load_t){ 0 });
        memcpy(self->bytes + self->size, id, sizeof id);
        self->size += sizeof id;
    }
    spans_add(spans, &self->pool, self->chunk, self->at[i], size, (load_t){ 1, self->payload[i] });
    memcpy(self->bytes + self->size, self->chunk->data + self->at[i], size);
    self->size += size;
}

// What a connection would write, up to MOST bytes, compared with what was queued.
static size_t
send_some(traffic_t *self, spans_t *spans, size_t sent, size_t most, bool first_only, load_t *gone)
{
    struct iovec pieces[64];
    unsigned count = spans_gather(spans, pieces, 64, first_only);
    size_t done = 0;
    for (unsigned i = 0; i < count && done < most; i++) {
        size_t some = pieces[i].iov_len < most - done ? pieces[i].iov_len : most - done;
        CHECK(memcmp(pieces[i].iov_base, self->bytes + sent + done, some) == 0);
        done += some;
    }
    load_t part = spans_advance(spans, done);
    gone->messages += part.messages;
    gone->payload += part.payload;
    return done;
}

static void
test_what_goes_in_comes_out_in_order_and_counted(void)
{
    traffic_t traffic;
    spans_t spans = { 0 };
    load_t gone = { 0 };
    uint64_t payload = 0;
    size_t sent = 0;
    make(&traffic);
    for (int i = 0; i < MESSAGES || sent < traffic.size;) {
        if (i < MESSAGES && dice(2)) {
            payload += traffic.payload[i];
            queue_one(&traffic, &spans, i++);
        } else
            sent += send_some(&traffic, &spans, sent, 1 + dice(70000), dice(8) == 0, &gone);
        CHECK(spans.load.messages == (uint64_t)i - gone.messages);
        CHECK(spans.bytes - spans.sent == traffic.size - sent);
    }
    CHECK(gone.messages == MESSAGES);
    CHECK(gone.payload == payload);
    CHECK(spans.load.payload == 0);
    CHECK(!spans_inside(&spans));
    spans_clear(&spans);
    unmake(&traffic);
}

static void
queue_ours(traffic_t *self, spans_t *spans)
{
    static const uint8_t frame[] = { FRAME_COMMAND, 3, 'x', 'y', 'z' };
    memcpy(spans_place_ours(spans, &self->pool, sizeof frame), frame, sizeof frame);
    memcpy(self->bytes + self->size, frame, sizeof frame);
    self->size += sizeof frame;
}

// As a side that subscribes has them: whatever is written of them, a PING may go behind.
static void
test_frames_of_ours_go_in_turn_and_count_as_nothing(void)
{
    traffic_t traffic;
    spans_t spans = { 0 };
    load_t gone = { 0 };
    size_t sent = 0, queued = 0;
    make(&traffic);
    for (int i = 0; i < 500; i++) {
        for (unsigned j = dice(4); j > 0; j--)
            queue_ours(&traffic, &spans);
        if (dice(2))
            queue_one(&traffic, &spans, (int)queued++);
        while (spans.count > 0 && dice(3))
            sent += send_some(&traffic, &spans, sent, 1 + dice(100), dice(2) == 0, &gone);
        CHECK(spans.load.messages == queued - gone.messages);
        CHECK(spans.count > 0 || !spans_inside(&spans));
    }
    while (spans.count > 0)
        sent += send_some(&traffic, &spans, sent, 1 + dice(100), true, &gone);
    CHECK(sent == traffic.size && gone.messages == queued);
    CHECK(spans.load.payload == 0 && !spans_inside(&spans));
    spans_clear(&spans);
    unmake(&traffic);
}

// Where the message in which byte AT lies begins, and whether AT is that place.
static bool
is_a_boundary(const traffic_t *self, size_t at)
{
    size_t place = 0;
    frame_head_t head = { 0 };
    bool begins = true;
    while (place < at) {
        CHECK(frame_read(self->bytes + place, self->size - place, &head) == 1);
        place += head.head + head.body;
        begins = !(head.flags & FRAME_MORE);
    }
    return place == at && begins;
}

static void
test_backlog_starts_at_a_message_after_every_short_write(void)
{
    traffic_t traffic;
    make(&traffic);
    for (int round = 0; round < 100; round++) {
        spans_t spans = { 0 };
        load_t gone = { 0 };
        traffic.size = 0;
        for (int i = 0; i < 50; i++)
            queue_one(&traffic, &spans, i);
        size_t sent = send_some(&traffic, &spans, 0, dice((unsigned)traffic.size), false, &gone);
        CHECK(spans_inside(&spans) != is_a_boundary(&traffic, sent));
        CHECK(spans.load.messages == 50 - gone.messages);
        spans_clear(&spans);
    }
    unmake(&traffic);
}

static void
test_what_has_not_begun_moves_to_another_queue_whole(void)
{
    traffic_t traffic;
    make(&traffic);
    for (int round = 0; round < 100; round++) {
        spans_t spans = { 0 }, other = { 0 };
        load_t gone = { 0 };
        traffic.size = 0;
        for (int i = 0; i < 50; i++)
            queue_one(&traffic, &spans, i);
        size_t sent = send_some(&traffic, &spans, 0, dice((unsigned)traffic.size), false, &gone);
        bool inside = spans_inside(&spans);
        load_t lost = spans_move(&spans, &other);
        CHECK(lost.messages == (inside ? 1u : 0u));
        CHECK(gone.messages + lost.messages + other.load.messages == 50);
        size_t from = traffic.size - other.bytes;
        CHECK(from >= sent && is_a_boundary(&traffic, from));
        while (other.count > 0)
            from += send_some(&traffic, &other, from, 1 + dice(30000), false, &gone);
        CHECK(from == traffic.size);
        spans_clear(&other);
    }
    unmake(&traffic);
}

static void
test_messages_are_taken_back_one_by_one(void)
{
    traffic_t traffic;
    spans_t spans = { 0 };
    make(&traffic);
    size_t place = 0;
    uint64_t messages = 0;
    for (int i = 0; i < 500; i++)
        queue_one(&traffic, &spans, i);
    chunk_t *chunk;
    size_t at, size;
    load_t load;
    while (spans_take(&spans, &traffic.pool, &chunk, &at, &size, &load)) {
        CHECK(load.messages == 1);
        CHECK(memcmp(chunk->data + at, traffic.bytes + place, size) == 0);
        place += size;
        messages++;
        chunk_drop(chunk);
    }
    CHECK(messages == 500 && place == traffic.size);
    spans_clear(&spans);
    unmake(&traffic);
}

// --- what was written ----------------------------------------------------------------

static void
test_the_last_bytes_are_of_so_many_messages(void)
{
    written_t written = { 0 };
    CHECK(written_last(&written, 100) == 0);
    written_add(&written, 30, 3);
    CHECK(written_more(&written, 20, 2) && !written_more(&written, 21, 2));
    written_add(&written, 100, 1);
    CHECK(written_last(&written, 0) == 0 && written_last(&written, 1) == 1 && written_last(&written, 100) == 1);
    CHECK(written_last(&written, 101) == 2 && written_last(&written, 111) == 3 && written_last(&written, 1000) == 6);
}

// A peer that vanishes has acknowledged its messages, but not the PINGs behind them.
static void
test_bytes_of_no_message_are_no_message(void)
{
    written_t written = { 0 };
    written_add(&written, 10, 1);
    written_ours(&written, 9);
    written_ours(&written, 9);
    CHECK(written_last(&written, 1) == 0 && written_last(&written, 18) == 0 && written_last(&written, 19) == 1);
    CHECK(!written_more(&written, 10, 1));
    written_add(&written, 10, 1);
    CHECK(written_last(&written, 10) == 1 && written_last(&written, 28) == 1 && written_last(&written, 29) == 2);
    for (int i = 0; i < 3 * WRITTEN_MARKS; i++) {
        written_add(&written, 10, 1);
        written_ours(&written, 9);
    }
    CHECK(written_last(&written, 9) == 0 && written_last(&written, 19) == 1 && written_last(&written, 9 * 19) == 9);
}

int
main(void)
{
    RUN(test_what_goes_in_comes_out_in_order_and_counted);
    RUN(test_frames_of_ours_go_in_turn_and_count_as_nothing);
    RUN(test_backlog_starts_at_a_message_after_every_short_write);
    RUN(test_what_has_not_begun_moves_to_another_queue_whole);
    RUN(test_messages_are_taken_back_one_by_one);
    RUN(test_the_last_bytes_are_of_so_many_messages);
    RUN(test_bytes_of_no_message_are_no_message);
    return test_done();
}
