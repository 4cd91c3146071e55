// SPDX-License-Identifier: MPL-2.0
#include "base/mem.h"
#include "model.h"
#include "test.h"
#include "wire/ackwords.h"
#include "wire/jobs.h"
#include "wire/owed.h"
#include "zmtp/frame.h"

#include <sodium.h>

enum { WORKERS = 5, STEPS = 20000 };

// --- what is said ------------------------------------------------------------------------

typedef struct {
    uint8_t bytes[4096];
    size_t size;
} message_t;

// FRAMES texts; NULL is a frame of 65 bytes.
static message_t
message(size_t frames, const char *const texts[])
{
    message_t self = { .size = 0 };
    static const char too_long[] = "01234567890123456789012345678901234567890123456789012345678901234";
    for (size_t i = 0; i < frames; i++) {
        const char *text = texts[i] ? texts[i] : too_long;
        size_t size = strlen(text);
        self.size += frame_write_head(self.bytes + self.size, i + 1 < frames ? FRAME_MORE : 0, size);
        memcpy(self.bytes + self.size, text, size);
        self.size += size;
    }
    return self;
}

#define MESSAGE(...) message(COUNT(((const char *const[]){ __VA_ARGS__ })), (const char *const[]){ __VA_ARGS__ })

static bool
is_message(const uint8_t *bytes, size_t size, message_t expected)
{
    return size == expected.size && memcmp(bytes, expected.bytes, size) == 0;
}

static void
test_request_of_req_is_id_and_body(void)
{
    message_t sent = MESSAGE("", "id-1", "body", "more");
    ack_request_t request;
    CHECK(ack_request_read(sent.bytes, sent.size, &request) && request.is_right);
    CHECK(request.envelope == 2 && request.id_size == 4 && memcmp(request.id, "id-1", 4) == 0);
    CHECK(is_message(sent.bytes + request.body, sent.size - request.body, MESSAGE("body", "more")));
    sent = MESSAGE("", "", "");
    CHECK(ack_request_read(sent.bytes, sent.size, &request) && request.is_right && request.id_size == 0);
}

static void
test_request_that_is_incomplete_can_only_be_refused(void)
{
    message_t rows[] = { MESSAGE("", "id-1"), MESSAGE("", NULL, "body"), MESSAGE("", "") };
    ack_request_t request;
    for (size_t i = 0; i < COUNT(rows); i++)
        CHECK(ack_request_read(rows[i].bytes, rows[i].size, &request) && !request.is_right);
}

static void
test_request_without_an_envelope_is_none(void)
{
    message_t rows[] = { MESSAGE("id-1", "body"), MESSAGE(""), MESSAGE("id-1"), MESSAGE("id-1", "") };
    ack_request_t request;
    for (size_t i = 0; i < COUNT(rows); i++)
        CHECK(!ack_request_read(rows[i].bytes, rows[i].size, &request));
}

static void
test_request_with_an_envelope_over_the_limit_is_none(void)
{
    const char *texts[12] = { 0 };
    ack_request_t request;
    texts[9] = "";
    texts[10] = "id";
    texts[11] = "body";
    message_t large = message(12, texts), small = message(6, texts + 6);
    CHECK(!ack_request_read(large.bytes, large.size, &request));
    CHECK(ack_request_read(small.bytes, small.size, &request) && request.envelope == 3 * 67 + 2);
}

static void
test_answer_begins_with_the_envelope(void)
{
    message_t sent = MESSAGE("hop", "", "id-1", "body");
    uint8_t answer[ACK_ANSWER_MOST];
    ack_request_t request;
    CHECK(ack_request_read(sent.bytes, sent.size, &request));
    size_t size = ack_answer_write(answer, sent.bytes, &request, ANSWER_OK);
    CHECK(is_message(answer, size, MESSAGE("hop", "", "id-1", "ok")));
    sent = MESSAGE("", NULL, "body");
    CHECK(ack_request_read(sent.bytes, sent.size, &request));
    size = ack_answer_write(answer, sent.bytes, &request, ANSWER_REFUSED);
    CHECK(is_message(answer, size, MESSAGE("", "", "refused")));
}

static void
test_usual_request_is_read_and_answered_as_any_other(void)
{
    message_t rows[] = { MESSAGE("", "id-1", "body", "more"), MESSAGE("", "", ""), MESSAGE("", "", "body") };
    for (size_t i = 0; i < COUNT(rows); i++) {
        uint8_t usual[ACK_USUAL_MOST], general[ACK_ANSWER_MOST];
        ack_request_t request;
        size_t id_size = 0;
        CHECK(ack_request_read(rows[i].bytes, rows[i].size, &request));
        CHECK(ack_usual_request(rows[i].bytes, rows[i].size, &id_size) == request.body && id_size == request.id_size);
        size_t size = ack_usual_answer(usual, request.id, id_size);
        CHECK(size == ack_answer_write(general, rows[i].bytes, &request, ANSWER_OK) && memcmp(usual, general, size) == 0);
        CHECK(ack_usual_answer_payload(id_size) == ack_answer_payload(&request, ANSWER_OK));
        for (size_t less = 0; less <= request.body; less++)
            CHECK(ack_usual_request(rows[i].bytes, less, &id_size) == 0);
    }
    message_t others[] = { MESSAGE("hop", "", "id-1", "body"), MESSAGE("", NULL, "body"), MESSAGE("", "id-1"), MESSAGE("id", "", "body") };
    for (size_t i = 0; i < COUNT(others); i++)
        CHECK(ack_usual_request(others[i].bytes, others[i].size, &(size_t){ 0 }) == 0);
}

// --- answers that wait ----------------------------------------------------------------------

typedef struct {
    void *to;
    uint64_t sequence;
    size_t size;
    uint8_t byte; // of which it consists
} answer_t;

static void
owe_at_random(owed_t *owed, answer_t *answer, uint64_t sequence)
{
    static char producers[3];
    *answer = (answer_t){ &producers[dice(8) ? 0 : dice(3)], sequence, 1 + dice(8) / 7, (uint8_t)dice(256) };
    memset(owed_place(owed, answer->size), answer->byte, answer->size);
    owed_add(owed, answer->to, sequence, 1, answer->size, answer->size);
}

// Those below SAFE come in their order; returns how many of ANSWERS from FIRST on were said.
static unsigned
say_until(owed_t *owed, uint64_t safe, const answer_t *answers, unsigned first)
{
    owed_run_t run;
    const uint8_t *at;
    unsigned said = 0;
    while (owed_take(owed, safe, 20, &run, &at)) {
        CHECK(run.answers > 0 && run.answers * run.size <= 22);
        for (uint32_t i = 0; i < run.answers; i++, said++) {
            const answer_t *answer = &answers[first + said];
            CHECK(answer->sequence < safe && run.to == answer->to && run.size == answer->size && *at == answer->byte);
            at += run.size;
        }
    }
    return said;
}

static void
test_answers_wait_for_their_messages_and_are_said_in_their_order(void)
{
    static answer_t answers[STEPS];
    owed_t owed = { 0 };
    unsigned said = 0;
    uint64_t sequence = 1, safe = 0;
    for (unsigned i = 0; i < STEPS; i++) {
        bool is_known = dice(10) == 0 && i > said;
        owe_at_random(&owed, &answers[i], is_known ? answers[said + dice(i - said)].sequence : sequence++);
        if (dice(20) == 0) {
            safe += dice((uint32_t)(sequence - safe) + 1);
            said += say_until(&owed, safe, answers, said);
            CHECK(said == i + 1 || answers[said].sequence >= safe);
        }
    }
    said += say_until(&owed, sequence, answers, said);
    CHECK(said == STEPS && !owed_any(&owed));
    owed_free(&owed);
}

static void
test_answers_to_a_producer_that_has_gone_are_for_nobody(void)
{
    owed_t owed = { 0 };
    char producers[2];
    owed_run_t run;
    const uint8_t *at;
    memset(owed_place(&owed, 6), 'x', 6);
    owed_add(&owed, &producers[0], 1, 2, 2, 2);
    owed_add(&owed, &producers[1], 3, 1, 2, 2);
    CHECK(owed_forget(&owed, &producers[0]) == 2 && owed_forget(&owed, &producers[0]) == 0);
    CHECK(owed_take(&owed, 9, 100, &run, &at) && !run.to && run.answers == 2);
    CHECK(owed_take(&owed, 9, 100, &run, &at) && run.to == &producers[1] && run.sequence == 3);
    CHECK(!owed_take(&owed, 9, 100, &run, &at));
    owed_free(&owed);
}

#define HANDLE "00112233445566778899aabbccddeeff"

static void
test_worker_says_one_of_four_words(void)
{
    const struct {
        message_t message;
        worker_word_t word;
        uint32_t credit;
    } rows[] = {
        { MESSAGE("", "ready"), WORKER_READY, 1 },
        { MESSAGE("", "ready", "20"), WORKER_READY, 20 },
        { MESSAGE("", "ready", "99999999999999999999"), WORKER_READY, CREDIT_MOST },
        { MESSAGE("", "ready", "0"), WORKER_WORDS, 0 },
        { MESSAGE("", "ready", "-1"), WORKER_WORDS, 0 },
        { MESSAGE("", "ready", "1", "1"), WORKER_WORDS, 0 },
        { MESSAGE("", "done", HANDLE), WORKER_DONE, 0 },
        { MESSAGE("", "retry", HANDLE), WORKER_RETRY, 0 },
        { MESSAGE("", "reject", HANDLE), WORKER_REJECT, 0 },
        { MESSAGE("", "done"), WORKER_WORDS, 0 },
        { MESSAGE("", "done", "00112233"), WORKER_WORDS, 0 },
        { MESSAGE("", "done", "00112233445566778899AABBCCDDEEFF"), WORKER_WORDS, 0 },
        { MESSAGE("", "done", HANDLE, ""), WORKER_WORDS, 0 },
        { MESSAGE("", "finished", HANDLE), WORKER_WORDS, 0 },
    };
    worker_says_t says;
    for (size_t i = 0; i < COUNT(rows); i++) {
        CHECK(worker_says_read(rows[i].message.bytes, rows[i].message.size, &says) && says.word == rows[i].word);
        CHECK(says.word != WORKER_READY || says.credit == rows[i].credit);
    }
    message_t none = MESSAGE("ready");
    CHECK(!worker_says_read(none.bytes, none.size, &says));
}

static void
test_job_is_sent_and_named_by_the_same_text(void)
{
    uint8_t head[JOB_HEAD_MOST];
    worker_says_t says;
    message_t done = MESSAGE("", "done", HANDLE), all = MESSAGE("", HANDLE, "3", "x");
    CHECK(worker_says_read(done.bytes, done.size, &says));
    size_t size = job_head_write(head, done.bytes, says.envelope, says.job, 3);
    CHECK(size == all.size - 3 && memcmp(head, all.bytes, size) == 0);
    all = MESSAGE("", HANDLE, "4294967295", "x");
    size = job_head_write(head, done.bytes, says.envelope, says.job, UINT32_MAX);
    CHECK(size == all.size - 3 && memcmp(head, all.bytes, size) == 0);
}

// --- the table ---------------------------------------------------------------------------

typedef struct {
    chunk_pool_t pool;
    jobs_t jobs;
    job_list_t workers[WORKERS], waiting;
    chunk_t *chunk;
    uint64_t number;
    int64_t now_ms;
} broker_t;

static broker_t *
make(void)
{
    broker_t *self = calloc(1, sizeof *self);
    self->jobs.pool = &self->pool;
    self->chunk = chunk_new(&self->pool, 100);
    return self;
}

static void
unmake(broker_t *self)
{
    for (unsigned i = 0; i < WORKERS; i++)
        while (self->workers[i].first)
            jobs_forget(&self->jobs, self->workers[i].first);
    while (self->waiting.first)
        jobs_forget(&self->jobs, self->waiting.first);
    CHECK(self->jobs.count == 0 && self->jobs.given == 0 && !self->jobs.oldest && !self->jobs.newest);
    jobs_free(&self->jobs);
    chunk_drop(self->chunk);
    CHECK(self->pool.bytes == 0);
    chunk_pool_empty(&self->pool);
    free(self);
}

static job_t *
give(broker_t *self, unsigned worker)
{
    job_t *job = jobs_add(&self->jobs, ++self->number, 1, self->chunk, 0, 10, (load_t){ 1, 8 });
    jobs_give(&self->jobs, job, &self->workers[worker], ++self->now_ms);
    return job;
}

static void
test_a_job_is_known_to_its_worker_only(void)
{
    broker_t *self = make();
    job_t *first = give(self, 0), *second = give(self, 1);
    CHECK(memcmp(first->handle, second->handle, JOB_BYTES) != 0);
    CHECK(jobs_find(&self->jobs, first->handle, &self->workers[0]) == first);
    CHECK(!jobs_find(&self->jobs, first->handle, &self->workers[1]));
    jobs_take(&self->jobs, first, false);
    CHECK(!jobs_find(&self->jobs, first->handle, &self->workers[0]));
    jobs_forget(&self->jobs, first);
    unmake(self);
}

static void
test_a_job_that_is_given_again_has_another_handle(void)
{
    broker_t *self = make();
    job_t *job = give(self, 0);
    uint8_t handle[JOB_BYTES];
    memcpy(handle, job->handle, JOB_BYTES);
    jobs_take(&self->jobs, job, false);
    jobs_append(&self->waiting, job);
    CHECK(self->waiting.count == 1);
    jobs_remove(job);
    jobs_give(&self->jobs, job, &self->workers[0], ++self->now_ms);
    CHECK(memcmp(handle, job->handle, JOB_BYTES) != 0 && !jobs_find(&self->jobs, handle, &self->workers[0]));
    unmake(self);
}

static void
test_a_job_that_is_late_leaves_a_mark(void)
{
    broker_t *self = make();
    job_t *job = give(self, 0);
    uint8_t handle[JOB_BYTES];
    memcpy(handle, job->handle, JOB_BYTES);
    jobs_take(&self->jobs, job, true);
    jobs_give(&self->jobs, job, &self->workers[1], ++self->now_ms);
    job_t *mark = jobs_find(&self->jobs, handle, &self->workers[0]);
    CHECK(mark && mark->late && mark != job && self->workers[0].count == 1);
    CHECK(!jobs_find(&self->jobs, handle, &self->workers[1]));
    CHECK(self->jobs.oldest == job && self->jobs.newest == job); // a mark has no time
    jobs_forget(&self->jobs, mark);
    CHECK(self->workers[0].count == 0);
    unmake(self);
}

static void
test_a_job_is_made_again_under_its_handle_once(void)
{
    broker_t *self = make();
    uint8_t handle[JOB_BYTES] = { 1, 2, 3 };
    CHECK(!jobs_again(&self->jobs, give(self, 0)->handle, false, &self->workers[1], 5));
    job_t *job = jobs_again(&self->jobs, handle, false, &self->workers[1], 5);
    CHECK(job && jobs_find(&self->jobs, handle, &self->workers[1]) == job && job->since_ms == 5 && !job->chunk);
    jobs_keep(&self->jobs, job, self->chunk, 0, 10, (load_t){ 1, 8 });
    CHECK(job->chunk && job->size == 10);
    CHECK(!jobs_again(&self->jobs, handle, true, &self->workers[1], 5));
    unmake(self);
}

static bool
is_in_order(const jobs_t *jobs)
{
    int64_t since_ms = 0;
    for (const job_t *job = jobs->oldest; job; job = job->newer) {
        if (job->since_ms < since_ms || job->late || !job->given)
            return false;
        since_ms = job->since_ms;
    }
    return true;
}

static void
step(broker_t *self)
{
    job_t *job = self->workers[dice(WORKERS)].first;
    unsigned what = dice(4);
    if (!job || what == 0)
        give(self, dice(WORKERS));
    else if (what == 1 || job->late)
        jobs_forget(&self->jobs, job);
    else {
        jobs_take(&self->jobs, job, what == 2);
        jobs_append(&self->waiting, job);
    }
    job = self->waiting.first;
    if (!job || dice(2))
        return;
    jobs_remove(job);
    jobs_give(&self->jobs, job, &self->workers[dice(WORKERS)], ++self->now_ms);
}

static void
test_whatever_happens_the_oldest_comes_first(void)
{
    broker_t *self = make();
    for (unsigned i = 0; i < STEPS; i++) {
        step(self);
        if (i % 100 == 0)
            CHECK(is_in_order(&self->jobs));
        const job_t *job = self->workers[dice(WORKERS)].last;
        CHECK(!job || jobs_find(&self->jobs, job->handle, job->in) == job);
    }
    unmake(self);
}

int
main(void)
{
    if (sodium_init() == -1)
        return EXIT_FAILURE;
    RUN(test_request_of_req_is_id_and_body);
    RUN(test_request_that_is_incomplete_can_only_be_refused);
    RUN(test_request_without_an_envelope_is_none);
    RUN(test_request_with_an_envelope_over_the_limit_is_none);
    RUN(test_answer_begins_with_the_envelope);
    RUN(test_usual_request_is_read_and_answered_as_any_other);
    RUN(test_answers_wait_for_their_messages_and_are_said_in_their_order);
    RUN(test_answers_to_a_producer_that_has_gone_are_for_nobody);
    RUN(test_worker_says_one_of_four_words);
    RUN(test_job_is_sent_and_named_by_the_same_text);
    RUN(test_a_job_is_known_to_its_worker_only);
    RUN(test_a_job_that_is_given_again_has_another_handle);
    RUN(test_a_job_that_is_late_leaves_a_mark);
    RUN(test_a_job_is_made_again_under_its_handle_once);
    RUN(test_whatever_happens_the_oldest_comes_first);
    return test_done();
}
