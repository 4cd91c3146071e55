// SPDX-License-Identifier: MPL-2.0
// What a forwarder remembers: values and history, and bytetree, by which values are found.
#include "base/mem.h"
#include "base/text.h"
#include "wire/history.h"
#include "wire/keptrecord.h"
#include "wire/values.h"

#include "model.h"
#include "test.h"

enum { STEPS = 40000, MOST = 40, NAME_MAX = 6, PLENTY = 200000 };

// --- a message, and the naive model ----------------------------------------------------

typedef struct {
    uint8_t first[2 * NAME_MAX]; // its first frame: topic, blank, number
    size_t size, topic_size, body;
    int64_t since_ms;
} model_t;

static model_t model[STEPS];
static size_t model_count;

static bytes_t
first_of(const model_t *self)
{
    return bytes_of(self->first, self->size);
}

// Few different bytes, so that names often begin alike, and one is the beginning of another.
static size_t
name(uint8_t *at)
{
    size_t size = dice(NAME_MAX);
    for (size_t i = 0; i < size; i++)
        at[i] = (uint8_t)("\0ab\xff"[dice(4)]);
    return size;
}

static model_t
any_message(int64_t now_ms)
{
    model_t message = { .since_ms = now_ms, .body = dice(20) ? dice(100) : dice(3 * KEPT_SHARE_FROM) };
    message.topic_size = name(message.first);
    message.size = message.topic_size;
    if (dice(3)) {
        message.first[message.size++] = ' ';
        message.size += name(message.first + message.size);
    }
    return message;
}

static void
put(const keeper_t *keeper, void *kept, chunk_pool_t *pool, const model_t *message)
{
    chunk_t *chunk = chunk_new(pool, message->size + message->body + 2 * FRAME_HEAD_MAX);
    size_t size = frame_write_head(chunk->data, FRAME_MORE, message->size);
    memcpy(chunk->data + size, message->first, message->size);
    size += message->size;
    size += frame_write_head(chunk->data + size, 0, message->body);
    memset(chunk->data + size, 'x', message->body);
    size += message->body;
    chunk->size = size;
    keeper->put(kept, &(kept_t){ .chunk = chunk,
                                 .data = chunk->data,
                                 .size = size,
                                 .payload = message->size + message->body,
                                 .since_ms = message->since_ms,
                                 .topic = kept_first(chunk->data, size) });
    chunk_drop(chunk);
}

static void
model_drop(size_t i)
{
    memmove(&model[i], &model[i + 1], (--model_count - i) * sizeof *model);
}

static uint64_t
model_bytes(void)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < model_count; i++)
        bytes += model[i].size + model[i].body;
    return bytes;
}

// --- comparing -----------------------------------------------------------------------------

typedef struct {
    bool seen[1000];
    size_t count, wrong;
    bool ordered; // oldest first
    size_t next;
} comparison_t;

static bool
is_model(const kept_t *kept, const model_t *message)
{
    bytes_t first = kept_first(kept->data, kept->size);
    return first.size == message->size && bytes_begin(first, first_of(message)) &&
           kept->since_ms == message->since_ms && kept->payload == message->size + message->body;
}

static bool
compare(void *arg, const kept_t *kept)
{
    comparison_t *self = arg;
    size_t i = 0;
    while (i < model_count && (self->seen[i] || !is_model(kept, &model[i])))
        i++;
    if (i == model_count || (self->ordered && i < self->next)) {
        self->wrong++;
        return true;
    }
    self->seen[i] = true;
    self->next = i;
    self->count++;
    return true;
}

static size_t
model_matches(bytes_t prefix, bool by_topic)
{
    size_t count = 0;
    for (size_t i = 0; i < model_count; i++)
        count += bytes_begin(by_topic ? bytes_of(model[i].first, model[i].topic_size) : first_of(&model[i]), prefix);
    return count;
}

static size_t
differences(const keeper_t *keeper, const void *kept, bool topics)
{
    uint8_t prefix[2 * NAME_MAX + 1];
    size_t size = name(prefix);
    if (dice(4) == 0) {
        prefix[size++] = ' ';
        size += name(prefix + size);
    }
    bytes_t wanted = bytes_of(prefix, size);
    comparison_t all = { .ordered = !topics }, matching = { .ordered = !topics }, listed = { .ordered = !topics };
    keeper->list(kept, bytes_of(NULL, 0), compare, &all);
    keeper->match(kept, wanted, compare, &matching);
    keeper->list(kept, wanted, compare, &listed);
    kept_total_t total = keeper->total(kept);
    return all.wrong + matching.wrong + listed.wrong + (all.count != model_count) +
           (matching.count != model_matches(wanted, false)) + (listed.count != model_matches(wanted, topics)) +
           (total.messages != model_count) + (total.bytes != model_bytes());
}

// --- values ------------------------------------------------------------------------------

static bool
same_topic(const model_t *a, const model_t *b)
{
    return a->topic_size == b->topic_size && memcmp(a->first, b->first, a->topic_size) == 0;
}

static void
values_do_what_a_simple_model_does(void)
{
    chunk_pool_t pool = { 0 };
    kept_limits_t limits = { .messages = MOST, .topic_end = ' ' };
    void *values = keeper_values.new(&pool, &limits);
    size_t wrong = 0;
    model_count = 0;
    for (int64_t step = 0; step < STEPS / 4; step++) {
        model_t message = any_message(step);
        put(&keeper_values, values, &pool, &message);
        for (size_t i = 0; i < model_count; i++)
            if (same_topic(&model[i], &message))
                model_drop(i);
        model[model_count++] = message;
        if (model_count > MOST)
            model_drop(0);
        if (dice(50) == 0) {
            bytes_t prefix = bytes_of(message.first, dice((uint32_t)message.topic_size + 1));
            keeper_values.clear(values, prefix);
            for (size_t i = model_count; i-- > 0;)
                if (bytes_begin(bytes_of(model[i].first, model[i].topic_size), prefix))
                    model_drop(i);
        }
        wrong += differences(&keeper_values, values, true);
    }
    CHECK(wrong == 0);
    keeper_values.free(values);
    CHECK(pool.bytes == 0);
    chunk_pool_empty(&pool);
}

static void
a_topic_takes_little_beside_its_message(void)
{
    chunk_pool_t pool = { 0 };
    kept_limits_t limits = { .messages = PLENTY, .topic_end = -1 };
    size_t before = in_use();
    void *values = keeper_values.new(&pool, &limits);
    for (int i = 0; i < PLENTY; i++) {
        model_t message = { .body = 50 };
        message.size = (size_t)snprintf((char *)message.first, sizeof message.first, "t%d", i);
        put(&keeper_values, values, &pool, &message);
    }
    size_t taken = in_use() - before, messages = (size_t)keeper_values.total(values).bytes;
    if (in_use() > 0)
        printf("# %.0f bytes beside the message of a topic\n", (double)(taken - messages) / PLENTY);
    CHECK(in_use() == 0 || taken - messages < 150u * PLENTY);
    CHECK(pool.bytes > messages && (in_use() == 0 || pool.bytes < taken)); // and it is counted
    keeper_values.free(values);
    chunk_pool_empty(&pool);
}

// --- history -----------------------------------------------------------------------------

static void
trim_model(const kept_limits_t *limits, int64_t now_ms)
{
    while (model_count > 0 && ((limits->messages && model_count > (size_t)limits->messages) ||
                               (limits->bytes && model_bytes() > (uint64_t)limits->bytes) ||
                               (limits->time_ms && now_ms - model[0].since_ms > limits->time_ms)))
        model_drop(0);
}

static void
history_within(kept_limits_t limits)
{
    chunk_pool_t pool = { 0 };
    void *history = keeper_history.new(&pool, &limits);
    size_t wrong = 0;
    model_count = 0;
    for (int64_t step = 0; step < STEPS / 8; step++) {
        int64_t now_ms = step * 10;
        model_t message = any_message(now_ms);
        put(&keeper_history, history, &pool, &message);
        model[model_count++] = message;
        trim_model(&limits, now_ms);
        if (dice(50) == 0) {
            bytes_t prefix = bytes_of(message.first, dice((uint32_t)message.size + 1));
            keeper_history.clear(history, prefix);
            for (size_t i = model_count; i-- > 0;)
                if (bytes_begin(first_of(&model[i]), prefix))
                    model_drop(i);
        }
        wrong += differences(&keeper_history, history, false);
    }
    keeper_history.expire(history, STEPS * 1000);
    trim_model(&limits, STEPS * 1000);
    wrong += differences(&keeper_history, history, false);
    CHECK(wrong == 0);
    keeper_history.free(history);
    CHECK(pool.bytes == 0);
    chunk_pool_empty(&pool);
}

static void
a_history_is_within_each_of_its_limits(void)
{
    history_within((kept_limits_t){ .messages = MOST });
    history_within((kept_limits_t){ .messages = 2 * MOST, .bytes = 5000 });
    history_within((kept_limits_t){ .bytes = 100 }); // many messages are larger alone
    history_within((kept_limits_t){ .time_ms = 10 * MOST });
    history_within((kept_limits_t){ .messages = MOST, .bytes = 100000, .time_ms = 300 });
}

static void
what_is_forgotten_is_the_oldest(void)
{
    const keeper_t *keepers[] = { &keeper_values, &keeper_history };
    for (size_t i = 0; i < COUNT(keepers); i++) {
        chunk_pool_t pool = { 0 };
        kept_limits_t limits = { .messages = MOST, .topic_end = -1 };
        void *kept = keepers[i]->new (&pool, &limits);
        model_count = 0;
        for (int step = 0; step < 5; step++) {
            model_t message = { .first = { (uint8_t)('a' + step) }, .size = 1, .since_ms = step };
            put(keepers[i], kept, &pool, &message);
            model[model_count++] = message;
        }
        while (model_count > 0) {
            CHECK(keepers[i]->forget(kept));
            model_drop(0);
            comparison_t all = { 0 };
            keepers[i]->list(kept, bytes_of(NULL, 0), compare, &all);
            CHECK(all.count == model_count && all.wrong == 0);
        }
        CHECK(!keepers[i]->forget(kept));
        keepers[i]->free(kept);
        chunk_pool_empty(&pool);
    }
}

// --- written down ----------------------------------------------------------------------

static void
put_text(const keeper_t *keeper, void *kept, chunk_pool_t *pool, const char *first, int64_t since_ms)
{
    model_t message = { .size = strlen(first), .body = 3, .since_ms = since_ms };
    memcpy(message.first, first, message.size);
    put(keeper, kept, pool, &message);
}

static bool
spell(void *arg, const kept_t *kept)
{
    text_bytes(arg, kept->topic.at, kept->topic.size);
    text_add(arg, "@%d ", (int)kept->since_ms);
    return true;
}

static void
put_again(void *history, const kept_t *kept)
{
    keeper_history.put(history, kept);
}

static void
test_what_is_kept_is_made_again_in_its_order(void)
{
    chunk_pool_t pool = { 0 };
    kept_limits_t limits = { .messages = 10, .topic_end = ' ' };
    void *values = keeper_values.new (&pool, &limits), *history = keeper_history.new (&pool, &limits);
    record_t record = { 0 };
    text_t spelled = { 0 };
    put_text(&keeper_values, values, &pool, "a 1", 1);
    put_text(&keeper_values, values, &pool, "b 2", 2);
    put_text(&keeper_values, values, &pool, "a 3", 3);
    keeper_values.each(values, keptrecord_save, &record);
    keptrecord_restore(record_fields(&record), 0, 3, put_again, history);
    keeper_history.each(history, spell, &spelled);
    CHECK_TEXT(spelled.data, "b 2@2 a 3@3 ");
    CHECK(keeper_history.total(history).bytes == keeper_values.total(values).bytes);
    text_free(&spelled);
    record_forget(&record);
    keeper_values.free(values);
    keeper_history.free(history);
    CHECK(pool.bytes == 0);
    chunk_pool_empty(&pool);
}

static void
test_what_is_kept_over_a_clock_has_its_age_and_is_never_of_the_future(void)
{
    static const struct {
        int64_t shift_ms; // when it is read
        const char *spelled;
    } rows[] = { { 1000, "a@5 " }, { 998, "a@7 " }, { 900, "a@9 " }, { 2000, "a@-995 " } };
    chunk_pool_t pool = { 0 };
    kept_limits_t limits = { .messages = 10, .topic_end = -1 };
    for (size_t i = 0; i < COUNT(rows); i++) {
        void *history = keeper_history.new (&pool, &limits);
        record_t record = { 0 };
        text_t spelled = { 0 };
        const kept_t kept = { .data = (const uint8_t *)"\0\1a", .size = 3, .since_ms = 5 };
        keptrecord_write(&record, &kept, 1000);
        keptrecord_restore(record_fields(&record), rows[i].shift_ms, 9, put_again, history);
        keeper_history.each(history, spell, &spelled);
        CHECK_TEXT(spelled.data, rows[i].spelled);
        text_free(&spelled);
        record_forget(&record);
        keeper_history.free(history);
    }
    chunk_pool_empty(&pool);
}

// While some of them are walked over others come, take their places, and go.
static void
test_values_that_change_while_all_are_walked_over_come_at_least_once(void)
{
    chunk_pool_t pool = { 0 };
    kept_limits_t limits = { .messages = 3, .topic_end = ' ' };
    void *values = keeper_values.new (&pool, &limits);
    text_t spelled = { 0 };
    kept_t kept;
    put_text(&keeper_values, values, &pool, "a 1", 1);
    put_text(&keeper_values, values, &pool, "b 1", 1);
    put_text(&keeper_values, values, &pool, "c 1", 1);
    CHECK(!keeper_values.next(values, &kept));
    keeper_values.rewind(values);
    for (int turn = 0; keeper_values.next(values, &kept); turn++) {
        bytes_t first = kept_first(kept.data, kept.size);
        text_bytes(&spelled, first.at, first.size);
        text_add(&spelled, ",");
        if (turn == 0)
            put_text(&keeper_values, values, &pool, "b 2", 2); // which is next
        if (turn == 1)
            put_text(&keeper_values, values, &pool, "d 1", 3); // a goes
    }
    CHECK_TEXT(spelled.data, "a 1,c 1,b 2,d 1,");
    text_free(&spelled);
    keeper_values.free(values);
    chunk_pool_empty(&pool);
}

static void
test_what_is_no_message_is_not_made_again(void)
{
    static const struct {
        const char *bytes;
        size_t size;
    } wrong[] = { { "", 0 },
                  { "\0", 1 },
                  { "\0\3ab", 4 },
                  { "\1\1a", 3 },
                  { "\0\1a\0\1b", 6 },
                  { "\4\1a", 3 },
                  { "\2\xff\xff\xff\xff\xff\xff\xff\xff", 9 } };
    chunk_pool_t pool = { 0 };
    kept_limits_t limits = { .messages = 10, .topic_end = -1 };
    void *history = keeper_history.new (&pool, &limits);
    for (size_t i = 0; i < COUNT(wrong); i++) {
        record_t record = { 0 };
        uint8_t *at = record_place(&record, TAG_KEPT, sizeof(int64_t) + wrong[i].size);
        memset(at, 0, sizeof(int64_t));
        memcpy(at + sizeof(int64_t), wrong[i].bytes, wrong[i].size);
        keptrecord_restore(record_fields(&record), 0, 1, put_again, history);
        record_forget(&record);
        record_bytes(&record, TAG_KEPT, "short", 5);
        keptrecord_restore(record_fields(&record), 0, 1, put_again, history);
        record_forget(&record);
    }
    CHECK(keeper_history.total(history).messages == 0);
    keeper_history.free(history);
    chunk_pool_empty(&pool);
}

int
main(void)
{
    RUN(values_do_what_a_simple_model_does);
    RUN(a_topic_takes_little_beside_its_message);
    RUN(a_history_is_within_each_of_its_limits);
    RUN(what_is_forgotten_is_the_oldest);
    RUN(test_what_is_kept_is_made_again_in_its_order);
    RUN(test_what_is_kept_over_a_clock_has_its_age_and_is_never_of_the_future);
    RUN(test_values_that_change_while_all_are_walked_over_come_at_least_once);
    RUN(test_what_is_no_message_is_not_made_again);
    return test_done();
}
