// SPDX-License-Identifier: MPL-2.0
#include "wire/ackwords.h"

#include "base/mem.h"
#include "zmtp/frame.h"

#include <string.h>

static const char *const answers[] = { [ANSWER_OK] = "ok", [ANSWER_FULL] = "full", [ANSWER_REFUSED] = "refused" };
static const char *const words[WORKER_WORDS] = {
    [WORKER_READY] = "ready", [WORKER_DONE] = "done", [WORKER_RETRY] = "retry", [WORKER_REJECT] = "reject"
};

// --- frames --------------------------------------------------------------------------

// What is still to be read of a message, which is whole.
typedef struct {
    const uint8_t *at;
    size_t left;
    bool more;      // another frame follows
    size_t payload; // of those that were read
} frames_t;

typedef struct {
    const uint8_t *at;
    size_t size;
} body_t;

static bool
next_frame(frames_t *self, body_t *body)
{
    frame_head_t head;
    if (!self->more || frame_read(self->at, self->left, &head) != 1 || head.body > self->left - head.head)
        return false;
    *body = (body_t){ self->at + head.head, head.body };
    self->more = head.flags & FRAME_MORE;
    self->payload += head.body;
    self->at += head.head + head.body;
    self->left -= head.head + head.body;
    return true;
}

// Its size in bytes; 0: there is none that could be sent back.
static size_t
read_envelope(frames_t *self)
{
    const uint8_t *start = self->at;
    body_t body;
    while (next_frame(self, &body))
        if (body.size == 0) {
            size_t size = (size_t)(self->at - start);
            return self->more && size <= ACK_ENVELOPE_MOST ? size : 0;
        }
    return 0;
}

bool
ack_is_envelope(const uint8_t *frames, size_t size)
{
    return size > 0 && read_envelope(&(frames_t){ frames, size, true, 0 }) == size;
}

static size_t
write_frame(uint8_t *at, uint8_t flags, const void *body, size_t size)
{
    size_t head = frame_write_head(at, flags, size);
    if (size > 0)
        memcpy(at + head, body, size);
    return head + size;
}

// --- producers -----------------------------------------------------------------------

bool
ack_request_read(const uint8_t *frames, size_t size, ack_request_t *request)
{
    frames_t from = { frames, size, true, 0 };
    body_t id;
    *request = (ack_request_t){ .envelope = read_envelope(&from) };
    request->envelope_payload = from.payload;
    if (request->envelope == 0 || !next_frame(&from, &id))
        return false;
    request->body = (size_t)(from.at - frames);
    request->payload = from.payload;
    request->is_right = from.more && from.left > 0 && id.size <= ACK_ID_MOST;
    if (id.size > ACK_ID_MOST)
        return true;
    request->id = id.at;
    request->id_size = id.size;
    return true;
}

const char *
ack_answer_name(ack_answer_t answer)
{
    return answers[answer];
}

size_t
ack_answer_payload(const ack_request_t *request, ack_answer_t answer)
{
    return request->envelope_payload + request->id_size + strlen(answers[answer]);
}

size_t
ack_answer_write(uint8_t *at, const uint8_t *frames, const ack_request_t *request, ack_answer_t answer)
{
    size_t size = request->envelope;
    memcpy(at, frames, size);
    size += write_frame(at + size, FRAME_MORE, request->id, request->id_size);
    return size + write_frame(at + size, 0, answers[answer], strlen(answers[answer]));
}

static const uint8_t usual_ok[] = { 0, 2, 'o', 'k' };
enum { USUAL_ENVELOPE = FRAME_SHORT_HEAD, USUAL_ID = USUAL_ENVELOPE + FRAME_SHORT_HEAD }; // where they end and begin

size_t
ack_usual_request(const uint8_t *frames, size_t size, size_t *id_size)
{
    bool is_usual = size > USUAL_ID && frames[0] == FRAME_MORE && frames[1] == 0 && frames[2] == FRAME_MORE && frames[3] <= ACK_ID_MOST;
    if (!is_usual || size <= USUAL_ID + (size_t)frames[3])
        return 0;
    *id_size = frames[3];
    return USUAL_ID + *id_size;
}

size_t
ack_usual_answer(uint8_t *at, const uint8_t *id, size_t id_size)
{
    at[0] = FRAME_MORE;
    at[1] = 0;
    at[2] = FRAME_MORE;
    at[3] = (uint8_t)id_size;
    memcpy(at + USUAL_ID, id, id_size);
    memcpy(at + USUAL_ID + id_size, usual_ok, sizeof usual_ok);
    return USUAL_ID + id_size + sizeof usual_ok;
}

size_t
ack_usual_answer_payload(size_t id_size)
{
    return id_size + strlen(answers[ANSWER_OK]);
}

// --- workers -------------------------------------------------------------------------

const char *
worker_word_name(worker_word_t word)
{
    return words[word];
}

static worker_word_t
find_word(body_t said)
{
    worker_word_t word = 0;
    while (word < WORKER_WORDS && (strlen(words[word]) != said.size || memcmp(words[word], said.at, said.size) != 0))
        word++;
    return word;
}

// Decimal text from 1 on; what is above the limit is the limit. 0: it is none.
static uint32_t
read_credit(body_t said)
{
    uint32_t credit = 0;
    for (size_t i = 0; i < said.size; i++) {
        if (said.at[i] < '0' || said.at[i] > '9')
            return 0;
        credit = credit * 10 + (said.at[i] - '0');
        if (credit > CREDIT_MOST)
            credit = CREDIT_MOST;
    }
    return credit;
}

// Of the hexadecimal digits, and 1 more; 0: it is none.
static const uint8_t worth[256] = { ['0'] = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, ['a'] = 11, 12, 13, 14, 15, 16 };

static bool
read_job(body_t said, uint8_t job[JOB_BYTES])
{
    if (said.size != JOB_TEXT)
        return false;
    for (size_t i = 0; i < JOB_BYTES; i++) {
        uint8_t high = worth[said.at[2 * i]], low = worth[said.at[2 * i + 1]];
        if (high == 0 || low == 0)
            return false;
        job[i] = (uint8_t)((high - 1) << 4 | (low - 1));
    }
    return true;
}

bool
worker_says_read(const uint8_t *frames, size_t size, worker_says_t *says)
{
    frames_t from = { frames, size, true, 0 };
    body_t word, about;
    *says = (worker_says_t){ .envelope = read_envelope(&from), .word = WORKER_WORDS, .credit = 1 };
    if (says->envelope == 0 || !next_frame(&from, &word))
        return false;
    worker_word_t found = find_word(word);
    bool has_more = next_frame(&from, &about);
    if (from.more || found == WORKER_WORDS)
        return true;
    if (found == WORKER_READY)
        says->credit = has_more ? read_credit(about) : 1;
    bool is_right = found == WORKER_READY ? says->credit > 0 : has_more && read_job(about, says->job);
    if (is_right)
        says->word = found;
    return true;
}

// A frame of decimal text. printf(3) would take longer than all the rest of giving a job.
static size_t
write_number(uint8_t *at, uint8_t flags, uint32_t number)
{
    char text[10];
    size_t first = sizeof text;
    do
        text[--first] = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    return write_frame(at, flags, text + first, sizeof text - first);
}

size_t
job_head_write(uint8_t *at, const uint8_t *envelope, size_t size, const uint8_t job[JOB_BYTES], uint32_t tries)
{
    static const char digits[] = "0123456789abcdef";
    char text[JOB_TEXT];
    for (size_t i = 0; i < JOB_BYTES; i++) {
        text[2 * i] = digits[job[i] >> 4];
        text[2 * i + 1] = digits[job[i] & 15];
    }
    memcpy(at, envelope, size);
    size += write_frame(at + size, FRAME_MORE, text, sizeof text);
    return size + write_number(at + size, FRAME_MORE, tries);
}
