// SPDX-License-Identifier: MPL-2.0
#include "store/jetstream_parts.h"

#include "base/bell.h"
#include "base/clock.h"
#include "base/event.h"
#include "base/mem.h"
#include "base/thread.h"
#include "base/text.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STACK_BYTES = 512 * 1024 };

void
jetstream_lock(jetstream_t *self)
{
    pthread_mutex_lock(&self->lock);
}

void
jetstream_unlock(jetstream_t *self)
{
    pthread_mutex_unlock(&self->lock);
}

void
jetstream_wake(jetstream_t *self)
{
    if (self->asleep)
        pthread_cond_signal(&self->news);
    self->asleep = false;
}

int64_t
jetstream_random(int64_t least, int64_t most)
{
    return least + randombytes_uniform((uint32_t)(most - least));
}

// --- queues ----------------------------------------------------------------------------

void
answers_put(answers_t *self, answer_t answer)
{
    if (self->count == self->room && self->first > 0) {
        self->count -= self->first;
        memmove(self->at, self->at + self->first, self->count * sizeof *self->at);
        self->first = 0;
    }
    mem_grow(self->at, self->count, self->room);
    self->at[self->count++] = answer;
}

bool
answers_take(answers_t *self, answer_t *answer)
{
    if (self->first == self->count)
        return false;
    *answer = self->at[self->first++];
    if (self->first == self->count)
        self->first = self->count = 0;
    return true;
}

void
messages_put(messages_t *self, jetstream_message_t *message)
{
    message->next = NULL;
    *self->end = message;
    self->end = &message->next;
}

jetstream_message_t *
messages_take(messages_t *self)
{
    jetstream_message_t *message = self->first;
    if (message && !(self->first = message->next))
        self->end = &self->first;
    return message;
}

void
arrived_free(const libnats_t *nats, jetstream_message_t **message_p)
{
    jetstream_message_t *message = *message_p;
    nats->jsMsgMetaData_Destroy(message->meta);
    nats->natsMsg_Destroy(message->msg);
    free(message);
    *message_p = NULL;
}

// --- life ------------------------------------------------------------------------------

static char *
copy(const char *text)
{
    return text ? xstrdup(text) : NULL;
}

static void
copy_conf(jetstream_t *self, const route_conf_t *conf)
{
    const nats_conf_t *from = &conf->nats;
    self->conf = (nats_conf_t){
        .servers = copy(from->servers),
        .stream = copy(from->stream),
        .subject = copy(from->subject),
        .replicas = from->replicas,
        .credentials = copy(from->credentials),
        .user = copy(from->user),
        .password = copy(from->password),
        .ca = copy(from->ca),
        .cert = copy(from->cert),
    };
    self->route = xstrdup(conf->name);
    self->topics = socket_type_publishes(conf->sides[SIDE_BACKEND].type);
    self->max_bytes = conf->store_max;
    self->drop_oldest = conf->store_drops_oldest;
    self->last_values = conf->last_value > 0;
    self->replay_messages = conf->replay_messages;
    self->replay_bytes = conf->replay_bytes;
    self->replay_time_ms = conf->replay_time_ms;
}

static void
free_conf(nats_conf_t *conf)
{
    if (conf->password)
        sodium_memzero(conf->password, strlen(conf->password));
    char *const texts[] = { conf->servers, conf->stream,   conf->subject, conf->credentials,
                            conf->user,    conf->password, conf->ca,      conf->cert };
    for (size_t i = 0; i < COUNT(texts); i++)
        free(texts[i]);
}

static void
free_all(jetstream_t *self)
{
    jetstream_message_t *message;
    publish_forget(self);
    while (self->given) {
        outgoing_t *next = self->given->next;
        free(self->given->subject);
        free(self->given);
        self->given = next;
    }
    while ((message = messages_take(&self->arrived)) || (message = messages_take(&self->verdicts)))
        arrived_free(self->nats, &message);
    free(self->answers.at);
    free(self->settled.at);
    free_conf(&self->conf);
    free(self->route);
    free(self->next_subject);
    if (self->bell != -1)
        close(self->bell);
    pthread_cond_destroy(&self->news);
    pthread_mutex_destroy(&self->lock);
    free(self);
}

// One holder less: the route, the thread, each link.
static void
let_go(jetstream_t *self)
{
    jetstream_lock(self);
    bool last = --self->holders == 0;
    jetstream_unlock(self);
    if (last)
        free_all(self);
}

void
link_drop(link_t **link_p)
{
    link_t *link = *link_p;
    jetstream_t *self = link->jetstream;
    *link_p = NULL;
    jetstream_lock(self);
    bool last = --link->holders == 0;
    jetstream_unlock(self);
    if (!last)
        return;
    free(link);
    let_go(self);
}

static void *run(void *arg);

static int
start_thread(jetstream_t *self)
{
    pthread_t thread;
    int rc = thread_start(&thread, STACK_BYTES, run, self);
    if (rc == 0)
        pthread_detach(thread);
    return rc;
}

jetstream_t *
jetstream_open(const jetstream_setup_t *setup)
{
    const char *why;
    pthread_condattr_t attributes;
    jetstream_t *self = xcalloc(1, sizeof *self);
    self->nats = libnats_load(&why);
    copy_conf(self, setup->conf);
    memcpy(self->node, setup->node, sizeof self->node);
    self->bell = dup(setup->bell);
    self->given_end = &self->given;
    self->arrived.end = &self->arrived.first;
    self->verdicts.end = &self->verdicts.first;
    pthread_mutex_init(&self->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&self->news, &attributes);
    pthread_condattr_destroy(&attributes);
    snprintf(self->state.reason, sizeof self->state.reason, "not connected yet");
    self->holders = 2;
    if (self->nats && self->bell != -1 && start_thread(self) == 0)
        return self;
    int reason = errno;
    free_all(self);
    errno = reason;
    return NULL;
}

void
jetstream_close(jetstream_t **self_p)
{
    jetstream_t *self = *self_p;
    if (!self)
        return;
    jetstream_lock(self);
    self->ending = true;
    jetstream_wake(self);
    jetstream_unlock(self);
    let_go(self);
    *self_p = NULL;
}

// --- for the route's thread --------------------------------------------------------------

size_t
jetstream_most(jetstream_t *self)
{
    jetstream_lock(self);
    size_t most = self->most;
    jetstream_unlock(self);
    return most == 0 ? JETSTREAM_UNKNOWN : most > HEADERS_MOST ? most - HEADERS_MOST : 0;
}

bool
jetstream_has_room(jetstream_t *self, size_t size)
{
    jetstream_lock(self);
    bool has =
        self->unsettled == 0 || (self->unsettled < WINDOW_MESSAGES && self->unsettled_bytes + size <= WINDOW_BYTES);
    jetstream_unlock(self);
    return has;
}

void
jetstream_publish(jetstream_t *self, const jetstream_piece_t *piece)
{
    outgoing_t *message = xcalloc(1, sizeof *message + piece->size);
    message->sequence = piece->sequence;
    message->subject = copy(piece->subject);
    message->framed = piece->framed;
    message->size = piece->size;
    if (piece->size > 0)
        memcpy(message->data, piece->data, piece->size);
    jetstream_lock(self);
    *self->given_end = message;
    self->given_end = &message->next;
    self->unsettled++;
    self->unsettled_bytes += piece->size;
    jetstream_wake(self);
    jetstream_unlock(self);
}

bool
jetstream_settled(jetstream_t *self, uint64_t *sequence, jetstream_outcome_t *outcome)
{
    answer_t answer;
    jetstream_lock(self);
    bool any = answers_take(&self->settled, &answer);
    jetstream_unlock(self);
    if (!any)
        return false;
    *sequence = answer.sequence;
    *outcome = answer.kind == ANSWER_STORED ? JETSTREAM_STORED : JETSTREAM_TOO_LARGE;
    return true;
}

void
jetstream_want(jetstream_t *self, bool wanted)
{
    jetstream_lock(self);
    if (wanted && !self->wants)
        jetstream_wake(self);
    self->wants = wanted;
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
    const char *frames = NULL;
    const libnats_t *nats = self->nats;
    *arrival = (jetstream_arrival_t){
        .piece = {
            .sequence = message->meta->Sequence.Stream,
            .subject = nats->natsMsg_GetSubject(message->msg),
            .framed = nats->natsMsgHeader_Get(message->msg, HEADER_FRAMES, &frames) == NATS_OK,
            .data = nats->natsMsg_GetData(message->msg),
            .size = (size_t)nats->natsMsg_GetDataLength(message->msg),
        },
        .tries = message->meta->NumDelivered,
        .stored_ns = message->meta->Timestamp,
    };
}

void
jetstream_done(jetstream_t *self, jetstream_message_t **message_p, bool done)
{
    jetstream_message_t *message = *message_p;
    *message_p = NULL;
    message->done = done;
    jetstream_lock(self);
    self->in_hand--;
    if (!self->topics)
        messages_put(&self->verdicts, message);
    if (!self->topics || self->in_hand == PULL_LOW - 1)
        jetstream_wake(self);
    jetstream_unlock(self);
    if (self->topics) // nothing is acknowledged
        arrived_free(self->nats, &message);
}

void
jetstream_state(jetstream_t *self, jetstream_state_t *state)
{
    jetstream_lock(self);
    *state = self->state;
    state->waiting = self->unsettled;
    jetstream_unlock(self);
}

// --- the thread ------------------------------------------------------------------------------

void
jetstream_settle(jetstream_t *self, outgoing_t *message, jetstream_outcome_t outcome)
{
    answer_t answer = { message->sequence, outcome == JETSTREAM_STORED ? ANSWER_STORED : ANSWER_TOO_LARGE };
    jetstream_lock(self);
    bool was_empty = self->settled.count == 0;
    answers_put(&self->settled, answer);
    self->unsettled--;
    self->unsettled_bytes -= message->size;
    jetstream_unlock(self);
    if (was_empty)
        bell_ring(self->bell);
    free(message->subject);
    free(message);
}

static void
say(jetstream_t *self, event_id_t id, const char *reason)
{
    log_event(id, EVENT_TEXT("route", self->route), EVENT_TEXT("server", self->state.server),
              EVENT_PROSE("reason", reason));
}

static void
became_ready(jetstream_t *self)
{
    jetstream_lock(self);
    self->state.ready = true;
    self->state.number = self->server;
    self->most = self->link->max_payload;
    self->state.reason[0] = '\0';
    jetstream_unlock(self);
    self->was_ready = true;
    say(self, EVENT_NATS_READY, NULL);
    bell_ring(self->bell);
}

// The first time, and when it was ready: what follows is the same trouble, until it is over.
static void
became_unready(jetstream_t *self, link_result_t result, const char *reason)
{
    jetstream_lock(self);
    bool is_news = self->state.ready || strcmp(self->state.reason, reason) != 0;
    self->state.ready = false;
    self->state.failed = result == LINK_NEVER;
    snprintf(self->state.reason, sizeof self->state.reason, "%s", reason);
    jetstream_unlock(self);
    if (is_news && result != LINK_NEVER)
        say(self, EVENT_NATS_AWAY, reason);
    bell_ring(self->bell);
}

// Until DUE_MS, or until there is news. The lock is held.
static void
sleep_until(jetstream_t *self, int64_t due_ms)
{
    struct timespec due = { .tv_sec = due_ms / 1000, .tv_nsec = due_ms % 1000 * 1000000 };
    self->asleep = true;
    while (self->asleep && !self->ending && pthread_cond_timedwait(&self->news, &self->lock, &due) == 0)
        continue;
    self->asleep = false;
}

// What was handed to the thread.
static void
take_news(jetstream_t *self)
{
    answer_t answer;
    jetstream_message_t *message;
    jetstream_lock(self);
    outgoing_t *given = self->given;
    self->given = NULL;
    self->given_end = &self->given;
    while (answers_take(&self->answers, &answer)) {
        jetstream_unlock(self);
        publish_answered(self, &answer);
        jetstream_lock(self);
    }
    while ((message = messages_take(&self->verdicts))) {
        jetstream_unlock(self);
        pull_verdict(self, message);
        jetstream_lock(self);
    }
    jetstream_unlock(self);
    publish_take(self, given);
}

static bool
goes_on(jetstream_t *self)
{
    jetstream_lock(self);
    bool on = !self->ending && !self->link->lost && !self->consumer_gone;
    jetstream_unlock(self);
    return on;
}

static bool
has_news(const jetstream_t *self)
{
    return self->given || self->answers.count > 0 || self->verdicts.first || self->link->lost;
}

static void
serve(jetstream_t *self)
{
    while (goes_on(self)) {
        int64_t now_ms = clock_mono_ms();
        take_news(self);
        int64_t due_ms = publish_work(self, now_ms);
        pull_work(self, now_ms);
        jetstream_lock(self);
        if (self->pulling && self->pull_ends_ms < due_ms)
            due_ms = self->pull_ends_ms;
        if (!has_news(self))
            sleep_until(self, due_ms);
        jetstream_unlock(self);
    }
}

static void
rest(jetstream_t *self, int64_t least_ms, int64_t most_ms)
{
    int64_t due_ms = clock_mono_ms() + jetstream_random(least_ms, most_ms);
    jetstream_lock(self);
    while (!self->ending && clock_mono_ms() < due_ms)
        sleep_until(self, due_ms);
    jetstream_unlock(self);
}

static bool
is_ending(jetstream_t *self)
{
    jetstream_lock(self);
    bool ending = self->ending;
    jetstream_unlock(self);
    return ending;
}

// A connection, for as long as it lasts.
static link_result_t
live(jetstream_t *self)
{
    char reason[256] = "";
    link_result_t result = link_open(self, reason);
    if (result == LINK_UP)
        result = stream_prepare(self, reason);
    if (result == LINK_UP) {
        pull_reset(self);
        became_ready(self);
        serve(self);
        snprintf(reason, sizeof reason, "%s", link_last_error(self, NATS_OK));
        result = LINK_LATER;
    }
    if (result == LINK_NEVER && self->was_ready)
        result = LINK_LATER; // it worked before, and may again
    link_close(self);
    publish_reset(self);
    if (!is_ending(self))
        became_unready(self, result, reason);
    return result;
}

static void *
run(void *arg)
{
    jetstream_t *self = arg;
    char name[16];
    snprintf(name, sizeof name, "zb+%.12s", self->route);
    pthread_setname_np(pthread_self(), name);
    while (!is_ending(self) && live(self) == LINK_LATER)
        rest(self, WAIT_LEAST_MS, WAIT_MOST_MS);
    let_go(self);
    return NULL;
}
