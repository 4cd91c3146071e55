// SPDX-License-Identifier: MPL-2.0
// ackwords.h - what producers and workers of an acknowledged route say, and what they
// are told: messages as frames of ZMTP 2.0, read and written. No state, no memory.
//
// Each message begins with an envelope, as those of REQ do: its frames up to the first
// empty one. The answer gets it back. zbroker-protocols(7) is the manual.

#ifndef ZB_WIRE_ACKWORDS_H
#define ZB_WIRE_ACKWORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    ACK_ENVELOPE_MOST = 512, // bytes, with the heads of its frames
    ACK_ID_MOST = 64,
    ACK_ANSWER_MOST = ACK_ENVELOPE_MOST + 2 + ACK_ID_MOST + 2 + 16, // bytes of an answer to a producer
    ACK_USUAL_MOST = 2 + 2 + ACK_ID_MOST + 4,
    ACK_PARTS_LEAST = 3, // frames of a request
    JOB_BYTES = 16,
    JOB_TEXT = 2 * JOB_BYTES,
    JOB_HEAD_MOST = ACK_ENVELOPE_MOST + 2 + JOB_TEXT + 2 + 16, // bytes that go before the body
    CREDIT_MOST = 1000,
};

bool ack_is_envelope(const uint8_t *frames, size_t size); // nothing else, and of no more than ACK_ENVELOPE_MOST

// --- producers -----------------------------------------------------------------------

typedef enum { ANSWER_OK, ANSWER_FULL, ANSWER_REFUSED } ack_answer_t;

typedef struct {
    size_t envelope;         // bytes
    size_t envelope_payload; // without the heads of its frames
    const uint8_t *id;
    size_t id_size;
    size_t body;    // where its first frame begins
    size_t payload; // bytes of all frames before that, without their heads
    bool is_right;  // else it can only be refused: no body, or an ID that is too long, and is not there then
} ack_request_t;

// False: it has no envelope, so nobody can be answered.
bool ack_request_read(const uint8_t *frames, size_t size, ack_request_t *request);

// The answer to the request that FRAMES are, to AT: its bytes, at most ACK_ANSWER_MOST.
size_t ack_answer_write(uint8_t *at, const uint8_t *frames, const ack_request_t *request, ack_answer_t answer);
size_t ack_answer_payload(const ack_request_t *request, ack_answer_t answer); // its bytes without the frames' heads
const char *ack_answer_name(ack_answer_t answer);

// The same for requests that are as most are: their envelope is the empty frame alone. Their ID has one of those sizes that it
// may have. Returns where the body begins, behind the ID; 0: it is another request, or begins later.
size_t ack_usual_request(const uint8_t *frames, size_t size, size_t *id_size);
size_t ack_usual_answer(uint8_t *at, const uint8_t *id, size_t id_size); // "ok": its bytes, at most ACK_USUAL_MOST
size_t ack_usual_answer_payload(size_t id_size);

// --- workers -------------------------------------------------------------------------

typedef enum { WORKER_READY, WORKER_DONE, WORKER_RETRY, WORKER_REJECT, WORKER_WORDS } worker_word_t;

typedef struct {
    size_t envelope;        // bytes
    worker_word_t word;     // WORKER_WORDS: it said something else
    uint32_t credit;        // of READY
    uint8_t job[JOB_BYTES]; // of the others
} worker_says_t;

// False: it has no envelope.
bool worker_says_read(const uint8_t *frames, size_t size, worker_says_t *says);
const char *worker_word_name(worker_word_t word);

// What goes before the body of a job: ENVELOPE, JOB and TRIES. Returns its bytes, at most JOB_HEAD_MOST.
size_t job_head_write(uint8_t *at, const uint8_t *envelope, size_t size, const uint8_t job[JOB_BYTES], uint32_t tries);

#endif
