// SPDX-License-Identifier: MPL-2.0
#include "store/jetstream_parts.h"

#include "base/bell.h"
#include "base/clock.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LATE_MS = 3000 }; // the server says when a request has ended; after as much more it is not there

// --- asking for messages --------------------------------------------------------------------

void
pull_reset(jetstream_t *self)
{
    jetstream_lock(self);
    self->pulling = self->consumer_gone = false;
    self->pulled = 0;
    jetstream_unlock(self);
}

static size_t
most_bytes(const jetstream_t *self)
{
    return self->link->max_payload > PULL_BYTES ? 2 * self->link->max_payload : PULL_BYTES;
}

static void
ask(jetstream_t *self)
{
    char request[128];
    const libnats_t *nats = self->nats;
    snprintf(request, sizeof request, "{\"batch\":%d,\"expires\":%d000000,\"max_bytes\":%zu}", PULL_MESSAGES, PULL_MS,
             most_bytes(self));
    nats->natsConnection_PublishRequestString(self->link->connection, self->next_subject, self->link->message_inbox,
                                              request);
}

static bool
begin(jetstream_t *self, int64_t now_ms)
{
    if (self->pulling && now_ms >= self->pull_ends_ms) {
        self->consumer_gone |= self->pulled > 0;
        self->pulling = false;
    }
    if (self->pulling || self->consumer_gone || !self->wants || self->in_hand >= PULL_LOW)
        return false;
    self->pulling = true;
    self->pulled = PULL_MESSAGES;
    self->pull_ends_ms = now_ms + PULL_MS + LATE_MS;
    return true;
}

void
pull_work(jetstream_t *self, int64_t now_ms)
{
    jetstream_lock(self);
    bool asks = begin(self, now_ms);
    jetstream_unlock(self);
    if (asks)
        ask(self);
}

// --- what comes, in a thread of the library -----------------------------------------------------

// What the server says instead of a message, and what that means.
static const struct {
    const char *status, *words;
    bool gone, waits; // the consumer; before it is asked again
} said[] = {
    { "404", NULL, false, false },
    { "408", NULL, false, false }, // nothing came for as long as it was asked to wait
    { "409", "Consumer Deleted", true, false },
    { "409", "Message Size Exceeds MaxBytes", false,
      false }, // it does not fit in what was asked for besides the others
    { "409", NULL, false, true },
    { "503", NULL, false, true }, // nobody is there to answer: an election
};

static bool
is_said(size_t i, const char *status, const char *words)
{
    return strcmp(said[i].status, status) == 0 && (!said[i].words || (words && strcmp(said[i].words, words) == 0));
}

static void
hear_status(jetstream_t *self, const char *status, const char *words)
{
    for (size_t i = 0; i < COUNT(said); i++) {
        if (!is_said(i, status, words))
            continue;
        self->pulled = 0;
        self->consumer_gone |= said[i].gone;
        self->pulling = said[i].waits;
        if (said[i].waits)
            self->pull_ends_ms = clock_mono_ms() + jetstream_random(ELECTION_LEAST_MS, ELECTION_MOST_MS);
        jetstream_wake(self);
        return;
    }
}

static void
hear_message(jetstream_t *self, natsMsg *msg, jsMsgMetaData *meta)
{
    jetstream_message_t *message = xcalloc(1, sizeof *message);
    message->msg = msg;
    message->meta = meta;
    if (self->pulled > 0 && --self->pulled == 0) {
        self->pulling = false;
        jetstream_wake(self);
    }
    if (self->topics && meta->Sequence.Stream <= self->last_sequence) {
        arrived_free(self->nats, &message); // it came before
        return;
    }
    self->last_sequence = meta->Sequence.Stream;
    messages_put(&self->arrived, message);
    self->in_hand++;
}

void
pull_heard(natsConnection *connection, natsSubscription *subscription, natsMsg *msg, void *closure)
{
    link_t *link = closure;
    jetstream_t *self = link->jetstream;
    const libnats_t *nats = self->nats;
    jsMsgMetaData *meta = NULL;
    const char *status = NULL, *words = NULL;
    (void)connection;
    (void)subscription;
    bool is_message = nats->natsMsg_GetReply(msg) && nats->natsMsg_GetMetaData(&meta, msg) == NATS_OK;
    if (!is_message && nats->natsMsgHeader_Get(msg, HEADER_STATUS, &status) == NATS_OK)
        nats->natsMsgHeader_Get(msg, "Description", &words);
    jetstream_lock(self);
    if (is_message)
        hear_message(self, msg, meta);
    else if (status)
        hear_status(self, status, words);
    bool rings = is_message && self->arrived.first && !self->arrived.first->next;
    jetstream_unlock(self);
    if (rings)
        bell_ring(self->bell);
    if (!is_message)
        nats->natsMsg_Destroy(msg);
}

// --- and what becomes of it ----------------------------------------------------------------------

void
pull_verdict(jetstream_t *self, jetstream_message_t *message)
{
    const libnats_t *nats = self->nats;
    nats->natsConnection_PublishString(self->link->connection, nats->natsMsg_GetReply(message->msg),
                                       message->done ? "+ACK" : "-NAK");
    arrived_free(nats, &message);
}
