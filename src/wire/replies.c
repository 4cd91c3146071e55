// SPDX-License-Identifier: MPL-2.0
// replies.c - the answers of services, and what becomes of requests that get none: see services_internal.h.

#include "wire/services_internal.h"

#include "base/clock.h"
#include "base/mem.h"
#include "wire/observe.h"
#include "wire/output.h"
#include "wire/piece.h"
#include "wire/port.h"
#include "wire/pump.h"
#include "wire/request.h"
#include "wire/say.h"
#include "zmtp/peertype.h"

#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum { PAUSED_LOOK_MS = 100 };

// --- time -----------------------------------------------------------------------------------

// Without it no request times out: said by nobody, for descriptors have a reserve.
void
replies_need_timer(services_t *self)
{
    const loop_t *loop = &self->port->wire->loop;
    if (!self->timeout_ns || self->timer_fd != -1)
        return;
    self->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (self->timer_fd != -1)
        loop_watch(loop, self->timer_fd, EPOLLIN, &self->timer);
}

// --- what is not answered -----------------------------------------------------------------------

void
replies_drop(services_t *self, asked_t *asked, drop_reason_t reason)
{
    port_drop(self->port, reason, 1);
    request_is_given_up(services_clients(self), asked->client, asked->client_size);
    outstanding_forget(&self->outstanding, asked);
}

// SERVICE, which has it no more, did not answer. False: it is dropped.
static bool
try_again(services_t *self, asked_t *asked, const service_t *service, drop_reason_t reason)
{
    bool again = asked->chunk && asked->tries < (uint32_t)self->port->wire->conf->backend_retries &&
                 request_is_wanted(services_clients(self), asked->client, asked->client_size);
    if (!again) {
        replies_drop(self, asked, reason);
        return false;
    }
    asked_fails_at(asked, service->id);
    asked->tries++;
    dispatch_wait(self, asked);
    return true;
}

void
replies_note_freedom(const services_t *self, service_t *service)
{
    bool is_free = dispatch_is_by_asking(self) ? service->ready : service->inhand.unanswered.count == 0;
    if (!is_free)
        service->free_since_wall_ns = 0;
    else if (service->free_since_wall_ns == 0)
        service->free_since_wall_ns = clock_wall_ns();
}

static void
expire(services_t *self)
{
    int64_t until_ns = clock_mono_ns() - self->timeout_ns;
    asked_t *asked;
    while ((asked = self->outstanding.oldest) && asked->since_ns <= until_ns) {
        service_t *service = service_of(asked->at);
        outstanding_give_up(&self->outstanding, asked);
        replies_note_freedom(self, service);
        dispatch_settle(self, service);
        if (!try_again(self, asked, service, DROP_TIMEOUT))
            service->conn->dropped++;
    }
}

// Answers that came while the route was paused are read before their time is judged.
void
replies_on_timer(watched_t *watched, uint32_t events)
{
    services_t *self = (services_t *)watched;
    const wire_t *wire = self->port->wire;
    uint64_t times;
    (void)events;
    if (read(self->timer_fd, &times, sizeof times) != sizeof times)
        return;
    self->armed = false;
    if (wire->handed_over)
        return;
    if (wire->frozen || self->was_paused) {
        struct itimerspec spec = { .it_value = { 0, PAUSED_LOOK_MS * 1000000 } };
        self->armed = timerfd_settime(self->timer_fd, 0, &spec, NULL) == 0;
    } else if (self->timeout_ns)
        expire(self);
    self->was_paused = wire->frozen;
    dispatch_arm(self);
}

// --- answers ------------------------------------------------------------------------------------

// Whom it was for gets nothing of it, but those who look on do.
static bool
undeliverable(conn_t *conn, piece_t *piece)
{
    size_t size;
    piece_first(piece, &size);
    if (size < piece->load.payload)
        piece->load.payload -= size;
    if (conn->wire->observed)
        observe(conn, piece);
    pump_received(conn, piece);
    port_drop(conn->port->to, DROP_UNDELIVERABLE, 1);
    return true;
}

static void
is_answered(services_t *self, service_t *service, asked_t *asked)
{
    int64_t now_ns = self->port->wire->now_ns, took_ns = now_ns - asked->since_ns;
    uint64_t nth = asked->nth;
    outstanding_take(&self->outstanding, asked);
    outstanding_forget(&self->outstanding, asked);
    if (service->conn->type == PEERTYPE_REP)
        outstanding_passed(&self->outstanding, &service->inhand, nth);
    if (!service->answers)
        service->answers = xcalloc(1, sizeof *service->answers);
    answers_add(service->answers, now_ns, took_ns);
    service->answered++;
}

// What it says is for no request that it has: an answer that comes too late, or one to a request from before the
// keys, or, where services ask, that it is ready.
static bool
hears_other(services_t *self, conn_t *conn, piece_t *piece, const uint8_t *id, size_t size)
{
    bool is_number = size == OUTSTANDING_NAME && id[0] == 0;
    bool is_answer = size > 0 && (is_number || request_is_wanted(services_clients(self), id, size));
    if (is_answer && (!self->on || self->before > 0) && request_is_wanted(services_clients(self), id, size)) {
        self->before--;
        return false;
    }
    return dispatch_is_by_asking(self) && !is_answer ? true : undeliverable(conn, piece);
}

static void
take_off_empty(piece_t *piece)
{
    const uint8_t *at = piece->chunk->data + piece->at;
    if (piece->size > FRAME_SHORT_HEAD && at[0] == FRAME_MORE && at[1] == 0) {
        piece->at += FRAME_SHORT_HEAD;
        piece->size -= FRAME_SHORT_HEAD;
    }
}

// The client's own id takes the place of the number, so that all else sees a plain answer.
static bool
hears_answer(services_t *self, conn_t *conn, piece_t *piece, uint8_t *id, asked_t *asked)
{
    if (asked->late) {
        outstanding_forget(&self->outstanding, asked);
        return undeliverable(conn, piece);
    }
    memcpy(id, asked->client, asked->client_size);
    is_answered(self, conn->own, asked);
    return false;
}

bool
replies_hear(conn_t *conn, piece_t *piece)
{
    services_t *self = conn->port->own;
    service_t *service = conn->own;
    frame_head_t head = { 0 };
    if (dispatch_is_by_asking(self)) {
        take_off_empty(piece);
        service->ready = service->was_ready = true;
    }
    uint8_t *at = piece->chunk->data + piece->at;
    frame_read(at, piece->size, &head);
    uint8_t *id = at + head.head;
    size_t size = head.flags & FRAME_MORE ? head.body : 0; // without more it is no id
    asked_t *asked = size > 0 ? outstanding_find(&self->outstanding, &service->inhand, id, size) : NULL;
    bool heard = asked ? hears_answer(self, conn, piece, id, asked) : hears_other(self, conn, piece, id, size);
    replies_note_freedom(self, service);
    dispatch_settle(self, service);
    return heard;
}

// --- what a service leaves behind ------------------------------------------------------------------

static uint64_t
payload_of(const uint8_t *at, size_t size)
{
    uint64_t payload = 0;
    frame_head_t head;
    for (size_t i = 0; i < size && frame_read(at + i, size - i, &head) == 1; i += head.head + head.body)
        payload += head.body;
    return payload;
}

// Of a message that was not written: what its client sent.
static void
take_from_queue(asked_t *asked, piece_t *piece)
{
    size_t size;
    if (asked->chunk) {
        chunk_drop(piece->chunk);
        return;
    }
    take_off_empty(piece);
    dispatch_take_id(piece, &size);
    asked->chunk = piece->chunk;
    asked->body_at = piece->at;
    asked->size = piece->size;
    asked->load = (load_t){ 1, payload_of(piece->chunk->data + piece->at, piece->size) };
}

// It was given up since.
static bool
is_late(services_t *self, service_t *service, uint64_t nth, const piece_t *piece)
{
    size_t size;
    piece_t message = *piece;
    outstanding_passed(&self->outstanding, &service->inhand, nth);
    const asked_t *mark = service->inhand.late.first;
    take_off_empty(&message);
    const uint8_t *id = dispatch_take_id(&message, &size);
    return (mark && mark->nth == nth) || !request_is_wanted(services_clients(self), id, size);
}

// Messages of which no byte was written: their requests have not been tried. Those that went out without the keys are
// not known; they go to others as they are.
static void
requeue(services_t *self, service_t *service, spans_t *unbegun, replies_legacy_t *legacy)
{
    chunk_pool_t *pool = &self->port->wire->pool;
    uint64_t nth = service->inhand.given - unbegun->load.messages;
    spans_t others = { 0 };
    piece_t piece = { 0 };
    while (spans_take(unbegun, pool, &piece.chunk, &piece.at, &piece.size, &piece.load)) {
        asked_t *asked = service->inhand.unanswered.first;
        nth++;
        if (asked && asked->nth == nth) {
            outstanding_take(&self->outstanding, asked);
            take_from_queue(asked, &piece);
            dispatch_wait(self, asked);
            legacy->requeued++;
            continue;
        }
        if (!is_late(self, service, nth, &piece)) {
            piece_queue(&others, pool, &piece);
            legacy->requeued++;
        }
        chunk_drop(piece.chunk);
    }
    if (others.count > 0)
        port_return(self->port, &others);
}

void
replies_try_others(services_t *self, service_t *service, uint64_t begun, replies_legacy_t *legacy)
{
    asked_t *asked;
    while ((asked = service->inhand.unanswered.first) && asked->nth <= begun) {
        outstanding_take(&self->outstanding, asked);
        bool again = try_again(self, asked, service, DROP_PEER_LOST);
        *(again ? &legacy->given_again : &legacy->lost) += 1;
    }
}

// The route ends: what is unanswered was said already.
void
replies_forget_all(services_t *self, service_t *service)
{
    asked_t *asked;
    while ((asked = service->inhand.unanswered.first)) {
        outstanding_take(&self->outstanding, asked);
        outstanding_forget(&self->outstanding, asked);
    }
}

void
replies_bequeath(conn_t *conn)
{
    services_t *self = conn->port->own;
    service_t *service = conn->own;
    replies_legacy_t legacy = { 0 };
    spans_t unbegun = { 0 };
    output_abandon(conn, &unbegun);
    if (conn->wire->closing)
        replies_forget_all(self, service);
    else {
        replies_try_others(self, service, service->inhand.given - unbegun.load.messages, &legacy);
        requeue(self, service, &unbegun, &legacy);
    }
    spans_clear(&unbegun);
    conn->dropped += legacy.lost;
    counter_add(&conn->wire->counters->requeued, legacy.requeued);
    say_lost(conn, legacy.lost, legacy.requeued + legacy.given_again);
    dispatch_remove(self, service);
    conn->own = NULL;
}
