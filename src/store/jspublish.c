// SPDX-License-Identifier: MPL-2.0
#include "store/jetstream_internal.h"

#include "base/bell.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { IDLE_MS = 60000 };

// --- queues of answers ---------------------------------------------------------------------

static void
answers_put(stream_answers_t *self, answer_t answer)
{
    if (self->count == self->room && self->first > 0) {
        self->count -= self->first;
        memmove(self->at, self->at + self->first, self->count * sizeof *self->at);
        self->first = 0;
    }
    mem_grow(self->at, self->count, self->room);
    self->at[self->count++] = answer;
}

static bool
answers_take(stream_answers_t *self, answer_t *answer)
{
    if (self->first == self->count)
        return false;
    *answer = self->at[self->first++];
    if (self->first == self->count)
        self->first = self->count = 0;
    return true;
}

// --- for the route's thread ----------------------------------------------------------------

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
    message->subject = piece->subject ? xstrdup(piece->subject) : NULL;
    message->framed = piece->framed;
    message->again = piece->again;
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

// --- what is given ------------------------------------------------------------------------

static void
make_room(jetstream_t *self)
{
    size_t live = self->count - self->first;
    if (self->first < live)
        return;
    memmove(self->window, self->window + self->first, live * sizeof *self->window);
    self->next -= self->first;
    self->count = live;
    self->first = 0;
}

void
publish_free(outgoing_t *message)
{
    if (message)
        free(message->subject);
    free(message);
}

void
publish_forget(jetstream_t *self)
{
    for (size_t i = self->first; i < self->count; i++)
        publish_free(self->window[i]);
    for (outgoing_t *next; self->given; self->given = next) {
        next = self->given->next;
        publish_free(self->given);
    }
    free(self->window);
    free(self->answers.at);
    free(self->settled.at);
}

static void
forget_settled(jetstream_t *self)
{
    while (self->first < self->count && !self->window[self->first])
        self->first++;
    if (self->next < self->first)
        self->next = self->first;
}

static void
settle(jetstream_t *self, outgoing_t *message, jetstream_outcome_t outcome)
{
    bool stored = outcome == JETSTREAM_STORED, is_news = !message->settled;
    answer_t answer = { .sequence = message->sequence, .kind = stored ? ANSWER_STORED : ANSWER_TOO_LARGE };
    jetstream_lock(self);
    bool rings = is_news && self->settled.count == 0;
    if (is_news)
        answers_put(&self->settled, answer);
    self->unsettled--;
    self->unsettled_bytes -= message->size;
    jetstream_unlock(self);
    if (rings)
        bell_ring(self->bell);
    message->settled = true;
    if (stored)
        kept_add(self, message);
    else
        publish_free(message);
}

// --- not acknowledged ------------------------------------------------------------------------

static void
hold(jetstream_t *self)
{
    self->holds = true;
    self->hold_until_ms = clock_mono_ms() + jetstream_random(ELECTION_LEAST_MS, ELECTION_MOST_MS);
}

static void
failed(jetstream_t *self, outgoing_t *message)
{
    if (message->sent)
        self->on_their_way--;
    message->sent = false;
    hold(self);
}

static void
add_to_window(jetstream_t *self, outgoing_t *message)
{
    if (self->count == self->room && self->count > 0)
        make_room(self);
    mem_grow(self->window, self->count, self->room);
    self->window[self->count++] = message;
}

static void
publish_anew(jetstream_t *self, outgoing_t *message)
{
    message->next = NULL;
    message->sent = false;
    jetstream_lock(self);
    self->unsettled++;
    self->unsettled_bytes += message->size;
    jetstream_unlock(self);
    add_to_window(self, message);
}

void
publish_reset(jetstream_t *self)
{
    for (size_t i = self->first; i < self->next; i++)
        if (self->window[i])
            self->window[i]->sent = false;
    self->on_their_way = 0;
    self->next = self->first;
    self->holds = false;
    self->probes = true;
}

// What the stream has not any more goes before all others.
void
publish_lost(jetstream_t *self)
{
    if (!self->lost)
        return;
    size_t waiting = self->count - self->first;
    outgoing_t **window = self->window;
    outgoing_t **first = window + self->first;
    self->window = NULL;
    self->first = self->next = self->count = self->room = 0;
    for (outgoing_t *message; (message = kept_lost(self));)
        publish_anew(self, message);
    for (size_t i = 0; i < waiting; i++)
        add_to_window(self, first[i]);
    free(window);
}

static outgoing_t *
oldest_on_its_way(const jetstream_t *self)
{
    for (size_t i = self->first; i < self->next; i++)
        if (self->window[i] && self->window[i]->sent)
            return self->window[i];
    return NULL;
}

static void
time_out(jetstream_t *self, int64_t now_ms)
{
    for (outgoing_t *oldest; (oldest = oldest_on_its_way(self)) && oldest->sent_ms + ACK_MS <= now_ms;)
        failed(self, oldest);
}

// The fate of all is known: the first that is missing goes alone, and shows whether the others may follow.
static void
begin_anew(jetstream_t *self, int64_t now_ms)
{
    if (!self->holds || self->on_their_way > 0 || now_ms < self->hold_until_ms)
        return;
    self->holds = false;
    self->probes = true;
    self->next = self->first;
}

// --- answers ---------------------------------------------------------------------------------

static outgoing_t **
find(jetstream_t *self, uint64_t sequence)
{
    for (size_t i = self->first; i < self->next; i++)
        if (self->window[i] && self->window[i]->sequence == sequence)
            return &self->window[i];
    return NULL;
}

static void
stream_forgot(jetstream_t *self, uint64_t from)
{
    kept_lose(self, from);
    jetstream_lock(self);
    self->forgotten = from;
    jetstream_wake(self);
    jetstream_unlock(self);
}

// Each new message gets a place behind all others, if the stream has forgotten none of them.
static void
hear_place(jetstream_t *self, outgoing_t *message, const answer_t *answer)
{
    message->place = answer->place;
    if (answer->had || answer->place == 0)
        return;
    if (answer->place <= self->last_place && self->link->replicated && self->forgotten == 0)
        stream_forgot(self, answer->place);
    self->last_place = answer->place;
}

static void
hear_answer(jetstream_t *self, const answer_t *answer)
{
    outgoing_t **at = find(self, answer->sequence);
    if (!at)
        return; // settled by an earlier answer
    outgoing_t *message = *at;
    if (answer->kind == ANSWER_NOT_NOW) {
        failed(self, message);
        return;
    }
    if (message->sent)
        self->on_their_way--;
    self->probes = false;
    if (answer->kind == ANSWER_STORED)
        hear_place(self, message, answer);
    *at = NULL;
    forget_settled(self);
    settle(self, message, answer->kind == ANSWER_STORED ? JETSTREAM_STORED : JETSTREAM_TOO_LARGE);
}

static void
hear_answers(jetstream_t *self)
{
    answer_t answer;
    jetstream_lock(self);
    while (answers_take(&self->answers, &answer)) {
        jetstream_unlock(self);
        hear_answer(self, &answer);
        jetstream_lock(self);
    }
    jetstream_unlock(self);
}

static void
take_given(jetstream_t *self)
{
    jetstream_lock(self);
    outgoing_t *given = self->given;
    self->given = NULL;
    self->given_end = &self->given;
    jetstream_unlock(self);
    for (outgoing_t *next; given; given = next) {
        next = given->next;
        add_to_window(self, given);
    }
}

void
publish_take(jetstream_t *self)
{
    hear_answers(self);
    take_given(self);
}

static answer_kind_t
kind_of(const libnats_t *nats, natsMsg *msg)
{
    if (nats->natsMsg_IsNoResponders(msg) || nats->natsMsg_GetDataLength(msg) == 0)
        return ANSWER_NOT_NOW;
    if (link_said(nats, msg, "\"err_code\":10054}") || link_said(nats, msg, "\"err_code\":10054,"))
        return ANSWER_TOO_LARGE;
    return link_said(nats, msg, "\"error\":") || !link_said(nats, msg, "\"seq\":") ? ANSWER_NOT_NOW : ANSWER_STORED;
}

static uint64_t
place_of(const libnats_t *nats, natsMsg *msg)
{
    char text[512];
    size_t size = (size_t)nats->natsMsg_GetDataLength(msg);
    if (size >= sizeof text)
        return 0;
    memcpy(text, nats->natsMsg_GetData(msg), size);
    text[size] = '\0';
    const char *place = strstr(text, "\"seq\":");
    return place ? strtoull(place + strlen("\"seq\":"), NULL, 10) : 0;
}

// In a thread of the library.
void
publish_heard(natsConnection *connection, natsSubscription *subscription, natsMsg *msg, void *closure)
{
    link_t *link = closure;
    jetstream_t *self = link->jetstream;
    const char *number = strrchr(self->nats->natsMsg_GetSubject(msg), '.');
    (void)connection;
    (void)subscription;
    if (number) {
        answer_t answer = { strtoull(number + 1, NULL, 10), kind_of(self->nats, msg), 0, false };
        if (answer.kind == ANSWER_STORED) {
            answer.place = place_of(self->nats, msg);
            answer.had = link_said(self->nats, msg, "\"duplicate\":");
        }
        jetstream_lock(self);
        answers_put(&self->answers, answer);
        jetstream_wake(self);
        jetstream_unlock(self);
    }
    self->nats->natsMsg_Destroy(msg);
}

// --- publishing --------------------------------------------------------------------------------

static natsStatus
make_message(const jetstream_t *self, const outgoing_t *message, natsMsg **msg)
{
    const libnats_t *nats = self->nats;
    char reply[INBOX + 24], id[NODE_DIGITS + 24];
    snprintf(reply, sizeof reply, "%s.%" PRIu64, self->link->ack_inbox, message->sequence);
    snprintf(id, sizeof id, "%s-%" PRIu64, self->node, message->sequence);
    natsStatus status = nats->natsMsg_Create(msg, message->subject ? message->subject : self->conf.subject, reply,
                                             (const char *)message->data, (int)message->size);
    if (status == NATS_OK)
        status = nats->natsMsgHeader_Set(*msg, message->again && self->link->ids_once ? HEADER_AGAIN : HEADER_ID, id);
    if (status == NATS_OK && message->framed)
        status = nats->natsMsgHeader_Set(*msg, HEADER_FRAMES, "2");
    return status;
}

static void
send_one(jetstream_t *self, outgoing_t **at, int64_t now_ms)
{
    natsMsg *msg = NULL;
    outgoing_t *message = *at;
    const libnats_t *nats = self->nats;
    natsStatus status = message->size > self->link->max_payload ? NATS_MAX_PAYLOAD : make_message(self, message, &msg);
    message->again = true; // the library may have sent it though it says that it could not
    if (status == NATS_OK)
        status = nats->natsConnection_PublishMsg(self->link->connection, msg);
    nats->natsMsg_Destroy(msg);
    if (status == NATS_MAX_PAYLOAD) {
        *at = NULL;
        settle(self, message, JETSTREAM_TOO_LARGE);
        return;
    }
    if (status != NATS_OK) {
        failed(self, message);
        return;
    }
    message->sent = true;
    message->sent_ms = now_ms;
    self->on_their_way++;
}

static bool
may_send(const jetstream_t *self)
{
    return self->next < self->count && !self->holds && (!self->probes || self->on_their_way == 0);
}

int64_t
publish_work(jetstream_t *self, int64_t now_ms)
{
    time_out(self, now_ms);
    begin_anew(self, now_ms);
    while (may_send(self)) {
        outgoing_t **at = &self->window[self->next++];
        if (*at)
            send_one(self, at, now_ms);
    }
    forget_settled(self);
    const outgoing_t *oldest = oldest_on_its_way(self);
    if (oldest)
        return oldest->sent_ms + ACK_MS;
    return self->holds ? self->hold_until_ms : now_ms + IDLE_MS;
}
