// SPDX-License-Identifier: MPL-2.0
// jsrecord.c - messages of a stream that go from one route to the next; see jetstream.h.

#include "store/jetstream_internal.h"

#include "base/mem.h"

#include <ctype.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

// Never used for anything else again.
enum {
    TAG_REPLY = 1, // where it is answered
    TAG_SUBJECT,
    TAG_ID,
    TAG_AGAIN,
    TAG_FRAMES,
    TAG_DATA,
    TAG_SEQUENCE,
    TAG_TRIES,
    TAG_STORED,
    TAG_MADE,
};

enum { TEXT_MOST = 4000 }; // bytes

static const struct {
    unsigned tag;
    const char *header;
} headers[] = { { TAG_ID, HEADER_ID }, { TAG_AGAIN, HEADER_AGAIN }, { TAG_FRAMES, HEADER_FRAMES } };

void
jetstream_save(const jetstream_t *self, const jetstream_message_t *message, bool whole, record_t *to)
{
    const libnats_t *nats = self->nats;
    const char *value;
    record_text(to, TAG_REPLY, nats->natsMsg_GetReply(message->msg));
    record_text(to, TAG_SUBJECT, nats->natsMsg_GetSubject(message->msg));
    for (size_t i = 0; i < COUNT(headers); i++)
        if (nats->natsMsgHeader_Get(message->msg, headers[i].header, &value) == NATS_OK)
            record_text(to, headers[i].tag, value);
    record_number(to, TAG_SEQUENCE, message->sequence);
    record_number(to, TAG_TRIES, message->tries);
    record_number(to, TAG_STORED, (uint64_t)message->stored_ns);
    record_number(to, TAG_MADE, (uint64_t)message->made);
    if (whole)
        record_bytes(to, TAG_DATA, nats->natsMsg_GetData(message->msg),
                     (size_t)nats->natsMsg_GetDataLength(message->msg));
}

// It goes as it is into the protocol of the servers. To be freed; NULL: it is not there, or would be something else there.
static char *
word_of(record_fields_t from, unsigned tag, const char *begin)
{
    record_field_t field;
    char *text = record_find(from, tag, &field) ? record_to_text(&field, TEXT_MOST) : NULL;
    size_t size = 0;
    while (text && isgraph((unsigned char)text[size]))
        size++;
    if (text && size > 0 && text[size] == '\0' && strncmp(text, begin, strlen(begin)) == 0)
        return text;
    free(text);
    return NULL;
}

static natsStatus
make_message(const jetstream_t *self, record_fields_t from, natsMsg **msg)
{
    record_field_t data = { 0 };
    const libnats_t *nats = self->nats;
    char *reply = word_of(from, TAG_REPLY, "$JS.ACK."), *subject = word_of(from, TAG_SUBJECT, "");
    record_find(from, TAG_DATA, &data);
    natsStatus status = NATS_INVALID_ARG;
    if (reply && subject && data.size <= INT_MAX)
        status = nats->natsMsg_Create(msg, subject, reply, (const char *)data.at, (int)data.size);
    for (size_t i = 0; i < COUNT(headers) && status == NATS_OK; i++) {
        char *value = word_of(from, headers[i].tag, "");
        if (value)
            status = nats->natsMsgHeader_Set(*msg, headers[i].header, value);
        free(value);
    }
    free(reply);
    free(subject);
    return status;
}

jetstream_message_t *
jetstream_restore(jetstream_t *self, record_fields_t from, bool held)
{
    natsMsg *msg = NULL;
    if (make_message(self, from, &msg) != NATS_OK) {
        self->nats->natsMsg_Destroy(msg);
        return NULL;
    }
    jetstream_message_t *message = xcalloc(1, sizeof *message);
    *message = (jetstream_message_t){ .msg = msg,
                                      .held = held,
                                      .sequence = record_number_of(from, TAG_SEQUENCE, INT64_MAX),
                                      .tries = record_number_of(from, TAG_TRIES, INT64_MAX),
                                      .stored_ns = (int64_t)record_number_of(from, TAG_STORED, INT64_MAX),
                                      .made = (int64_t)record_number_of(from, TAG_MADE, INT64_MAX) };
    if (!held) {
        jetstream_lock(self);
        messages_put(&self->arrived, message);
        self->in_hand++;
        jetstream_unlock(self);
    }
    return message;
}
