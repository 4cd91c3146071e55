// SPDX-License-Identifier: MPL-2.0
#include "store/jetstream_internal.h"

#include "base/bell.h"
#include "base/clock.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LATE_MS = 3000 }; // the server says when a request has ended; after as much more it is not there

// --- queues of messages -------------------------------------------------------------------

void
messages_put(messages_t *self, jetstream_message_t *message)
{
    message->next = NULL;
    *self->end = message;
    self->end = &message->next;
}

static jetstream_message_t *
messages_take(messages_t *self)
{
    jetstream_message_t *message = self->first;
    if (message && !(self->first = message->next))
        self->end = &self->first;
    return message;
}

static void
arrived_free(const libnats_t *nats, jetstream_message_t **message_p)
{
    jetstream_message_t *message = *message_p;
    nats->natsMsg_Destroy(message->msg);
    free(message);
    *message_p = NULL;
}

// --- for the route's thread ---------------------------------------------------------------

// A worker has gone whose message is still to come. The server would count it as given out.
static bool
asked_too_much(const jetstream_t *self)
{
    return self->exact && self->pulled + self->in_hand > self->wants && self->pulled > 0;
}

void
jetstream_want(jetstream_t *self, uint32_t wanted)
{
    jetstream_lock(self);
    if (wanted > self->wants)
        jetstream_wake(self);
    self->wants = wanted;
    if (wanted > 0)
        self->exact = wanted != JETSTREAM_ANY;
    if (asked_too_much(self))
        jetstream_wake(self);
    jetstream_unlock(self);
}

jetstream_message_t *
jetstream_take(jetstream_t *self)
{
    jetstream_lock(self);
    jetstream_message_t *message = messages_take(&self->arrived);
    jetstream_unlock(self);
    return message;
}

void
jetstream_look(const jetstream_t *self, const jetstream_message_t *message, jetstream_arrival_t *arrival)
{
    const char *frames = NULL, *id = NULL, *again = NULL;
    const libnats_t *nats = self->nats;
    bool has_id = nats->natsMsgHeader_Get(message->msg, HEADER_ID, &id) == NATS_OK;
    bool is_again = !has_id && nats->natsMsgHeader_Get(message->msg, HEADER_AGAIN, &again) == NATS_OK;
    *arrival = (jetstream_arrival_t){
        .piece = {
            .sequence = message->sequence,
            .subject = nats->natsMsg_GetSubject(message->msg),
            .framed = nats->natsMsgHeader_Get(message->msg, HEADER_FRAMES, &frames) == NATS_OK,
            .data = nats->natsMsg_GetData(message->msg),
            .size = (size_t)nats->natsMsg_GetDataLength(message->msg),
        },
        .tries = message->tries,
        .again = is_again,
        .stored_ns = message->stored_ns,
        .id = has_id ? id : is_again ? again : NULL,
    };
}

void
jetstream_hold(jetstream_t *self, jetstream_message_t *message)
{
    jetstream_lock(self);
    message->held = true;
    self->in_hand--;
    self->wants -= self->wants > 0 && self->wants != JETSTREAM_ANY;
    jetstream_wake(self);
    jetstream_unlock(self);
}

void
jetstream_keep(jetstream_t *self, const jetstream_message_t *message)
{
    const char *reply = self->nats->natsMsg_GetReply(message->msg);
    note_t *note = xcalloc(1, sizeof *note + strlen(reply) + 1);
    strcpy(note->reply, reply);
    jetstream_lock(self);
    note->next = self->notes;
    self->notes = note;
    jetstream_wake(self);
    jetstream_unlock(self);
}

static void
leave(jetstream_t *self, const jetstream_message_t *message)
{
    if (!message->held)
        self->in_hand--;
}

void
jetstream_done(jetstream_t *self, jetstream_message_t **message_p, bool done)
{
    jetstream_message_t *message = *message_p;
    *message_p = NULL;
    message->done = done;
    jetstream_lock(self);
    leave(self, message);
    if (!self->topics)
        messages_put(&self->verdicts, message);
    else if (done)
        self->place = (jetstream_place_t){ true, message->sequence, message->made };
    if (!self->topics || self->in_hand == PULL_LOW - 1)
        jetstream_wake(self);
    jetstream_unlock(self);
    if (self->topics) // nothing is acknowledged
        arrived_free(self->nats, &message);
}

void
jetstream_forget(jetstream_t *self, jetstream_message_t **message_p)
{
    jetstream_lock(self);
    leave(self, *message_p);
    jetstream_unlock(self);
    arrived_free(self->nats, message_p);
}

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
ask(jetstream_t *self, size_t messages)
{
    char request[128];
    const libnats_t *nats = self->nats;
    snprintf(request, sizeof request, "{\"batch\":%zu,\"expires\":%d000000,\"max_bytes\":%zu}", messages, PULL_MS,
             most_bytes(self));
    nats->natsConnection_PublishRequestString(self->link->connection, self->next_subject, self->link->message_inbox,
                                              request);
}

static bool
take_back(jetstream_t *self)
{
    bool takes = asked_too_much(self);
    if (takes)
        self->pulling = false;
    if (takes)
        self->pulled = 0;
    return takes;
}

// How many to ask for, 0: none now.
static size_t
begin(jetstream_t *self, int64_t now_ms)
{
    if (self->pulling && now_ms >= self->pull_ends_ms) {
        self->consumer_gone |= self->pulled > 0;
        self->pulling = false;
        jetstream_wake(self); // a consumer that is gone is looked for at once
    }
    if (self->hushes || self->pulling || self->consumer_gone || self->wants <= self->in_hand ||
        self->in_hand >= PULL_LOW)
        return 0;
    size_t wanted = self->wants - self->in_hand;
    self->pulling = true;
    self->pulled = wanted < PULL_MESSAGES ? wanted : PULL_MESSAGES;
    self->pull_ends_ms = now_ms + PULL_MS + LATE_MS;
    return self->pulled;
}

void
pull_work(jetstream_t *self, int64_t now_ms)
{
    jetstream_lock(self);
    bool anew = take_back(self);
    size_t messages = begin(self, now_ms);
    jetstream_unlock(self);
    if (anew && !link_renew(self))
        return;
    if (messages > 0)
        ask(self, messages);
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
    message->sequence = meta->Sequence.Stream;
    message->tries = meta->NumDelivered;
    message->stored_ns = meta->Timestamp;
    message->made = self->stream_made;
    if (self->pulled > 0 && --self->pulled == 0) {
        self->pulling = false;
        jetstream_wake(self);
    }
    if (self->topics && message->sequence <= self->last_sequence) {
        arrived_free(self->nats, &message); // it came before
        return;
    }
    self->last_sequence = message->sequence;
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
    nats->jsMsgMetaData_Destroy(meta);
    if (rings)
        bell_ring(self->bell);
    if (!is_message)
        nats->natsMsg_Destroy(msg);
}

// --- and what becomes of it ----------------------------------------------------------------------

static void
answer(const jetstream_t *self, const char *reply, const char *word)
{
    self->nats->natsConnection_PublishString(self->link->connection, reply, word);
}

// What is given back before it would come to us again, and be lost for a while. The lock is held.
static bool
is_to_hush(const jetstream_t *self)
{
    return self->hushes && !self->hushed && !self->link->lost && !self->topics;
}

void
pull_hush(jetstream_t *self)
{
    jetstream_lock(self);
    bool hushes = is_to_hush(self);
    jetstream_unlock(self);
    if (!hushes)
        return;
    link_hush(self);
    jetstream_lock(self);
    self->hushed = true;
    pthread_cond_signal(&self->parted);
    jetstream_unlock(self);
}

void
pull_answer(jetstream_t *self)
{
    jetstream_message_t *message;
    jetstream_lock(self);
    if (is_to_hush(self)) {
        jetstream_unlock(self);
        return;
    }
    messages_t verdicts = self->verdicts;
    note_t *notes = self->notes;
    self->verdicts = (messages_t){ .end = &self->verdicts.first };
    self->notes = NULL;
    jetstream_unlock(self);
    for (note_t *next; notes; notes = next) {
        next = notes->next;
        answer(self, notes->reply, "+WPI");
        free(notes);
    }
    while ((message = messages_take(&verdicts))) {
        answer(self, self->nats->natsMsg_GetReply(message->msg), message->done ? "+ACK" : "-NAK");
        arrived_free(self->nats, &message);
    }
}

void
pull_forget(jetstream_t *self)
{
    jetstream_message_t *message;
    while ((message = messages_take(&self->arrived)) || (message = messages_take(&self->verdicts)))
        arrived_free(self->nats, &message);
    for (note_t *next; self->notes; self->notes = next) {
        next = self->notes->next;
        free(self->notes);
    }
}
