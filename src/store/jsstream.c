// SPDX-License-Identifier: MPL-2.0
#include "store/jetstream_internal.h"

#include "base/mem.h"
#include "base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONSUMER "zbroker" // a streamer's, the same for all nodes

#define SECOND_NS INT64_C(1000000000)
#define DUPLICATES_NS (120 * SECOND_NS)
#define CATCH_UP_NS (300 * SECOND_NS) // how long a forwarder's stream keeps messages, for nodes that are behind

enum {
    VALUES_KEPT = 1000, // of a topic, for nodes that are behind, where the last one is asked for
    ACK_WAIT_S = 10,
    ACK_PENDING = 20000, // of all nodes together
    INACTIVE_S = 300,    // a forwarder's consumer is forgotten
};

// Errors of the server that time does not mend.
static const jsErrCode lasting[] = {
    JSNotEnabledErr,
    JSNotEnabledForAccountErr,
    JSStreamSubjectOverlapErr,
    JSStreamReplicasNotSupportedErr,
    JSStreamMaxBytesRequiredErr,
    JSStreamMaxStreamBytesExceededErr,
    JSMaximumStreamsLimitErr,
    JSStreamInvalidConfig,
    JSStorageResourcesExceededErr,
};

static link_result_t
refused(const jetstream_t *self, const char *what, natsStatus status, jsErrCode code, char reason[256])
{
    const char *words = link_last_error(self, status);
    snprintf(reason, 256, "%s: %.200s", what, words);
    if (strcasestr(words, "permissions violation"))
        return LINK_NEVER;
    for (size_t i = 0; i < COUNT(lasting); i++)
        if (code == lasting[i])
            return LINK_NEVER;
    return LINK_LATER;
}

// --- does it fit -----------------------------------------------------------------------

// What messages are published to, and the consumer asks for.
static char *
subject_of_all(const jetstream_t *self)
{
    return xasprintf("%s%s", self->conf.subject, self->topics ? ".>" : "");
}

static bool
takes_subject(const jsStreamConfig *config, const char *subject)
{
    for (int i = 0; i < config->SubjectsLen; i++)
        if (strcmp(config->Subjects[i], subject) == 0)
            return true;
    return false;
}

// Why not, NULL: it does.
static const char *
misfit(const jetstream_t *self, const jsStreamConfig *config, const char *subject)
{
    jsRetentionPolicy retention = self->topics ? js_LimitsPolicy : js_WorkQueuePolicy;
    const struct {
        bool is_so;
        const char *reason;
    } faults[] = {
        { !takes_subject(config, subject), "it does not take the subject" },
        { config->Retention != retention,
          self->topics ? "its retention is not limits" : "its retention is not workqueue" },
        { config->Replicas < self->conf.replicas, "it has fewer replicas than nats_replicas" },
        { config->NoAck, "it acknowledges nothing" },
        { config->Sealed, "it is sealed" },
        { config->Mirror != NULL, "it is a mirror" },
        { config->Duplicates > 0 && config->Duplicates < DUPLICATES_NS,
          "its duplicate window is shorter than 2 minutes" },
        { !self->topics && config->Discard == js_DiscardOld && config->MaxBytes > 0 && !self->drop_oldest,
          "it drops its oldest messages when it is full" },
    };
    for (size_t i = 0; i < COUNT(faults); i++)
        if (faults[i].is_so)
            return faults[i].reason;
    return NULL;
}

// --- the stream ---------------------------------------------------------------------------

static int64_t
kept_ns(const jetstream_t *self)
{
    bool keeps_all = self->last_values || self->replay_messages > 0 || self->replay_bytes > 0;
    int64_t replay_ns = self->replay_time_ms * 1000000;
    if (!self->topics || (keeps_all && replay_ns == 0))
        return 0;
    return replay_ns > CATCH_UP_NS ? replay_ns : CATCH_UP_NS;
}

static natsStatus
make_stream(jetstream_t *self, const char *subject, jsStreamInfo **info, jsErrCode *code)
{
    jsStreamConfig config;
    const char *subjects[] = { subject };
    self->nats->jsStreamConfig_Init(&config);
    config.Name = self->conf.stream;
    config.Description = "made by zbroker";
    config.Subjects = subjects;
    config.SubjectsLen = 1;
    config.Replicas = self->conf.replicas;
    config.MaxBytes = self->max_bytes;
    config.Duplicates = DUPLICATES_NS;
    config.Retention = self->topics ? js_LimitsPolicy : js_WorkQueuePolicy;
    config.Discard = self->topics || self->drop_oldest ? js_DiscardOld : js_DiscardNew;
    config.MaxAge = kept_ns(self);
    if (self->last_values)
        config.MaxMsgsPerSubject = VALUES_KEPT;
    if (config.MaxAge > 0 && config.MaxAge < DUPLICATES_NS)
        config.Duplicates = config.MaxAge;
    return self->nats->js_AddStream(info, self->link->context, &config, NULL, code);
}

static link_result_t
prepare_stream(jetstream_t *self, const char *subject, jsStreamInfo **info, char reason[256])
{
    jsErrCode code = 0;
    const libnats_t *nats = self->nats;
    natsStatus status = nats->js_GetStreamInfo(info, self->link->context, self->conf.stream, NULL, &code);
    if (status == NATS_NOT_FOUND)
        status = make_stream(self, subject, info, &code);
    if (status != NATS_OK) {
        char what[100];
        snprintf(what, sizeof what, "stream %.60s", self->conf.stream);
        return refused(self, what, status, code, reason);
    }
    const char *fault = misfit(self, (*info)->Config, subject);
    if (!fault)
        return LINK_UP;
    snprintf(reason, 256, "stream %.60s does not fit: %s", self->conf.stream, fault);
    return LINK_NEVER;
}

// --- what it forgets -----------------------------------------------------------------------

// Where a work queue has replicas, those of nats-server before 2.10.14 look each for itself whether they have had an id.
// One that was restarted has forgotten those of messages that are done: it stores what the others do not, counts
// differently from then on, and for that the cluster in the end throws away messages that it has acknowledged. A server
// of 2.11 or later says which version it is.
static bool
forgets_ids(const jetstream_t *self)
{
    natsMsg *answer = NULL;
    const libnats_t *nats = self->nats;
    if (self->topics || !self->link->replicated)
        return false;
    char *question = xasprintf("$JS.API.STREAM.INFO.%s", self->conf.stream);
    nats->natsConnection_RequestString(&answer, self->link->connection, question, "", REQUEST_MS);
    bool says = answer && link_said(nats, answer, "\"_nats.ver\":");
    nats->natsMsg_Destroy(answer);
    free(question);
    return !says;
}

// One that was made anew counts from the beginning, and has forgotten nothing.
static void
begin_to_count(jetstream_t *self)
{
    kept_forget(self);
    self->last_place = self->forgotten = 0;
    jetstream_lock(self);
    self->last_sequence = 0;
    jetstream_unlock(self);
}

static void
note_made(jetstream_t *self, int64_t made)
{
    jetstream_lock(self);
    self->stream_made = made;
    jetstream_unlock(self);
}

static void
meet_stream(jetstream_t *self, const jsStreamInfo *info)
{
    if (self->stream_made != info->Created)
        begin_to_count(self);
    note_made(self, info->Created);
    self->link->replicated = info->Config->Replicas > 1;
    self->link->ids_once = forgets_ids(self);
}

// --- the consumer --------------------------------------------------------------------------

static uint64_t
back_by(const jsStreamState *state, uint64_t messages)
{
    uint64_t first = state->FirstSeq > 0 ? state->FirstSeq : 1;
    return state->LastSeq >= first + messages ? state->LastSeq - messages + 1 : first;
}

// So many of its last messages are about as large.
static uint64_t
messages_in(const jsStreamState *state, int64_t bytes)
{
    uint64_t mean = state->Msgs > 0 ? state->Bytes / state->Msgs : 0;
    return mean > 0 ? (uint64_t)bytes / mean + 1 : state->Msgs;
}

static bool
is_given(int64_t limit)
{
    return limit > 0;
}

// Where a forwarder that remembers begins, when it has had nothing yet.
static void
begin_with_memory(const jetstream_t *self, const jsStreamState *state, jsConsumerConfig *config)
{
    uint64_t messages = UINT64_MAX / 2;
    if (is_given(self->replay_messages))
        messages = (uint64_t)self->replay_messages;
    if (is_given(self->replay_bytes) && messages_in(state, self->replay_bytes) < messages)
        messages = messages_in(state, self->replay_bytes);
    config->DeliverPolicy = js_DeliverByStartSequence;
    config->OptStartSeq = back_by(state, messages);
}

static bool
remembers(const jetstream_t *self)
{
    return is_given(self->replay_messages) || is_given(self->replay_bytes) || is_given(self->replay_time_ms);
}

// Of what the stream knows itself.
static uint64_t
had_up_to(jetstream_t *self, const jsStreamState *state)
{
    jetstream_lock(self);
    bool first_time = !self->began;
    uint64_t known = self->forgotten > 0 ? self->forgotten - 1 : state->LastSeq;
    if (self->last_sequence > known)
        self->last_sequence = known;
    else if (first_time && !self->last_values && !remembers(self))
        self->last_sequence = state->LastSeq; // nobody here has asked for what came before
    self->began = true;
    uint64_t sequence = self->last_sequence;
    if (!self->place.began || self->place.made != self->stream_made || self->place.sequence > sequence)
        self->place = (jetstream_place_t){ true, sequence, self->stream_made };
    jetstream_unlock(self);
    return sequence;
}

static void
begin_at(jetstream_t *self, const jsStreamState *state, jsConsumerConfig *config)
{
    uint64_t had = had_up_to(self, state);
    if (had == 0 && self->last_values)
        config->DeliverPolicy = js_DeliverLastPerSubject;
    else if (had == 0 && remembers(self))
        begin_with_memory(self, state, config);
    else {
        config->DeliverPolicy = js_DeliverByStartSequence;
        config->OptStartSeq = had + 1;
    }
}

static void
describe_consumer(jetstream_t *self, const char *subject, const jsStreamState *state, jsConsumerConfig *config)
{
    self->nats->jsConsumerConfig_Init(config);
    config->FilterSubject = subject;
    if (self->topics) {
        config->AckPolicy = js_AckNone;
        config->InactiveThreshold = INACTIVE_S * SECOND_NS;
        config->Replicas = 1;
        config->MemoryStorage = true;
        begin_at(self, state, config);
        return;
    }
    config->Durable = CONSUMER;
    config->AckPolicy = js_AckExplicit;
    config->AckWait = ACK_WAIT_S * SECOND_NS;
    config->MaxDeliver = -1;
    config->MaxAckPending = ACK_PENDING;
    config->DeliverPolicy = js_DeliverAll;
}

// One that was there before.
static const char *
consumer_misfit(const jetstream_t *self, const jsConsumerConfig *config, const char *subject)
{
    const struct {
        bool is_so;
        const char *reason;
    } faults[] = {
        { text_given(config->DeliverSubject), "it pushes" },
        { config->AckPolicy != js_AckExplicit, "it does not ask for each acknowledgement" },
        { text_given(config->FilterSubject) && strcmp(config->FilterSubject, subject) != 0, "it has another subject" },
        { config->MaxDeliver > 0, "it gives up a message that was given out too often" },
        { self->acked && config->AckWait < ACK_WAIT_S * SECOND_NS,
          "it waits for an acknowledgement for less than 10 seconds" },
    };
    for (size_t i = 0; i < COUNT(faults) && !self->topics; i++)
        if (faults[i].is_so)
            return faults[i].reason;
    return NULL;
}

// A server that is killed while its stream is empty may forget how far that had counted, and a cluster what it had. The
// consumer knows it, and would leave out all messages up to there.
static natsStatus
leave_ahead(const jetstream_t *self, jsConsumerInfo **info, jsErrCode *code)
{
    jsStreamInfo *stream = NULL;
    const libnats_t *nats = self->nats;
    natsStatus status = nats->js_GetStreamInfo(&stream, self->link->context, self->conf.stream, NULL, code);
    bool was_ahead = self->forgotten > 0 && (*info)->Created == self->consumer_made;
    bool leaves_out = status == NATS_OK && (was_ahead || (*info)->Delivered.Stream > stream->State.LastSeq);
    nats->jsStreamInfo_Destroy(stream);
    if (!leaves_out)
        return status;
    nats->jsConsumerInfo_Destroy(*info);
    *info = NULL;
    status = nats->js_DeleteConsumer(self->link->context, self->conf.stream, CONSUMER, NULL, code);
    return status == NATS_OK ? NATS_NOT_FOUND : status;
}

static natsStatus
find_consumer(jetstream_t *self, const jsConsumerConfig *config, jsConsumerInfo **info, jsErrCode *code)
{
    const libnats_t *nats = self->nats;
    natsStatus status = NATS_NOT_FOUND;
    if (!self->topics)
        status = nats->js_GetConsumerInfo(info, self->link->context, self->conf.stream, CONSUMER, NULL, code);
    if (status == NATS_OK)
        status = leave_ahead(self, info, code);
    if (status != NATS_NOT_FOUND)
        return status;
    return nats->js_AddConsumer(info, self->link->context, self->conf.stream, (jsConsumerConfig *)config, NULL, code);
}

static link_result_t
prepare_consumer(jetstream_t *self, const char *subject, const jsStreamState *state, char reason[256])
{
    jsErrCode code = 0;
    jsConsumerConfig config;
    jsConsumerInfo *info = NULL;
    describe_consumer(self, subject, state, &config);
    natsStatus status = find_consumer(self, &config, &info, &code);
    if (status != NATS_OK) {
        self->nats->jsConsumerInfo_Destroy(info);
        return refused(self, "consumer", status, code, reason);
    }
    const char *fault = consumer_misfit(self, info->Config, subject);
    if (fault)
        snprintf(reason, 256, "consumer " CONSUMER " of stream %.60s does not fit: %s", self->conf.stream, fault);
    free(self->next_subject);
    self->next_subject = xasprintf("$JS.API.CONSUMER.MSG.NEXT.%s.%s", self->conf.stream, info->Name);
    self->consumer_made = info->Created;
    self->nats->jsConsumerInfo_Destroy(info);
    return fault ? LINK_NEVER : LINK_UP;
}

link_result_t
stream_prepare(jetstream_t *self, char reason[256])
{
    jsStreamInfo *info = NULL;
    char *subject = subject_of_all(self);
    link_result_t result = prepare_stream(self, subject, &info, reason);
    if (result == LINK_UP)
        meet_stream(self, info);
    if (result == LINK_UP)
        result = prepare_consumer(self, subject, &info->State, reason);
    self->nats->jsStreamInfo_Destroy(info);
    free(subject);
    return result;
}
