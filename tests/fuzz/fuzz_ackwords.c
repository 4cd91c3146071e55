// SPDX-License-Identifier: MPL-2.0
//
// What a producer or a worker says: nothing outside of it is read, every answer has
// room, and begins as the message did.
#include "wire/ackwords.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(bool claim)
{
    if (!claim)
        abort();
}

static void
check_producer(const uint8_t *data, size_t size)
{
    uint8_t answer[ACK_ANSWER_MOST];
    ack_request_t request, again;
    if (!ack_request_read(data, size, &request))
        return;
    check(request.envelope > 0 && request.envelope <= ACK_ENVELOPE_MOST && request.body <= size);
    check(request.id_size <= ACK_ID_MOST &&
          (!request.id || (request.id > data && request.id + request.id_size <= data + size)));
    check(!request.is_right || request.body < size);
    size_t written = ack_answer_write(answer, data, &request, ANSWER_REFUSED);
    check(written <= sizeof answer && memcmp(answer, data, request.envelope) == 0);
    check(ack_request_read(answer, written, &again) && again.envelope == request.envelope && again.is_right);
    check(again.id_size == request.id_size && (!request.id_size || memcmp(again.id, request.id, request.id_size) == 0));
}

static void
check_worker(const uint8_t *data, size_t size)
{
    uint8_t head[JOB_HEAD_MOST];
    worker_says_t says;
    if (!worker_says_read(data, size, &says))
        return;
    check(says.envelope > 0 && says.envelope <= ACK_ENVELOPE_MOST);
    check(says.word != WORKER_READY || (says.credit > 0 && says.credit <= CREDIT_MOST));
    check(job_head_write(head, data, says.envelope, says.job, UINT32_MAX) <= sizeof head);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_producer(data, size);
    check_worker(data, size);
    return 0;
}
