// SPDX-License-Identifier: MPL-2.0
#include "wire/services.h"

#include "base/clock.h"
#include "base/mem.h"
#include "wire/conn.h"
#include "wire/observe.h"
#include "wire/output.h"
#include "wire/pump.h"
#include "wire/request.h"
#include "wire/say.h"
#include "wire/services_parts.h"
#include "wire/sides.h"
#include "zmtp/peertype.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include <zmq.h>

enum {
    PREFIX_MAX = 2 * FRAME_SHORT_HEAD + 255, // an empty frame and a routing id
    PAUSED_LOOK_MS = 100,
};

// The ways to choose a service.
static const struct {
    bool by_count;  // the one with the fewest unanswered requests
    bool by_asking; // only those that said that they are ready
} ways[] = {
    [DISPATCH_ROUND_ROBIN] = { false, false },
    [DISPATCH_LEAST] = { true, false },
    [DISPATCH_READY] = { false, true },
};

static wport_t *
clients_of(const services_t *self)
{
    return &self->port->wire->ports[SIDE_FRONTEND];
}

// --- who may get the next one -------------------------------------------------------------

static bool
may_get_one(const services_t *self, const service_t *service)
{
    return (!self->window || service->inhand.unanswered.count < self->window) &&
           (!ways[self->dispatch].by_asking || service->ready);
}

// Something of it has changed.
static void
settle(services_t *self, service_t *service)
{
    uint32_t weight = ways[self->dispatch].by_count ? service->inhand.unanswered.count : 0;
    if (!may_get_one(self, service)) {
        ranks_take(&self->ranks, &service->rank);
        return;
    }
    if (!service->rank.there)
        self->port->wire->made_room = true;
    if (!service->rank.there || service->rank.weight != weight)
        ranks_put(&self->ranks, &service->rank, weight);
}

// Nobody of those that are there is better than one that failed with ASKED already?
static bool
all_failed(const services_t *self, const asked_t *asked)
{
    for (uint32_t i = 0; i < self->port->count; i++) {
        const conn_t *conn = self->port->open[i];
        const service_t *service = conn->own;
        bool is_there = !conn->broken && (!ways[self->dispatch].by_asking || service->was_ready);
        if (is_there && !asked_failed_at(asked, conn->id))
            return false;
    }
    return true;
}

static const asked_t a_new_one; // that has not been with a service

static service_t *
next_service(services_t *self, const asked_t *asked)
{
    if (self->port->ready == 0)
        return NULL;
    bool any = asked->tries == 0 || all_failed(self, asked);
    for (rank_t *rank = ranks_first(&self->ranks); rank; rank = ranks_next(&self->ranks, rank)) {
        service_t *service = (service_t *)rank;
        const conn_t *conn = service->conn;
        if (!conn->full && !conn->broken && (any || !asked_failed_at(asked, conn->id)))
            return service;
    }
    return NULL;
}

// --- time -----------------------------------------------------------------------------------

// The timer may go off too early, when the one that it was for has been answered.
static void
arm(services_t *self)
{
    const asked_t *oldest = self->outstanding.oldest;
    if (self->armed || !self->timeout_ns || !oldest || self->timer_fd == -1)
        return;
    int64_t at_ns = oldest->since_ns + self->timeout_ns;
    struct itimerspec spec = { .it_value = { at_ns / 1000000000, at_ns % 1000000000 } };
    self->armed = timerfd_settime(self->timer_fd, TFD_TIMER_ABSTIME, &spec, NULL) == 0;
}

// --- giving -----------------------------------------------------------------------------------

static size_t
write_prefix(const services_t *self, const asked_t *asked, uint8_t *at)
{
    size_t empty = ways[self->dispatch].by_asking ? frame_write_head(at, FRAME_MORE, 0) : 0;
    size_t size = outstanding_name(asked, at + empty + FRAME_SHORT_HEAD);
    return empty + frame_write_head(at + empty, FRAME_MORE, size) + size;
}

static void
hand(services_t *self, service_t *service, asked_t *asked, const piece_t *message)
{
    uint8_t prefix[PREFIX_MAX];
    piece_t piece = *message;
    outstanding_give(&self->outstanding, asked, &service->inhand, request_number(clients_of(self)), self->port->wire->now_ns);
    piece.prefix = prefix;
    piece.prefix_size = write_prefix(self, asked, prefix);
    service->retried += asked->tries > 0;
    service->ready = false;
    service->free_since_wall_ns = 0;
    ranks_take(&self->ranks, &service->rank); // it is the last one from now on
    output_add(service->conn, &piece);
    settle(self, service);
    arm(self);
}

// Small messages are copied, so that they do not keep the memory of many others.
static void
keep(services_t *self, asked_t *asked, const piece_t *message)
{
    chunk_pool_t *pool = &self->port->wire->pool;
    asked->size = message->size;
    asked->load = message->load;
    if (message->size >= SPANS_COPY_BELOW) {
        asked->chunk = chunk_hold(message->chunk);
        asked->body_at = message->at;
        return;
    }
    if (!self->stock || self->stock->room - self->stock->size < message->size) {
        if (self->stock)
            chunk_drop(self->stock);
        self->stock = chunk_new(pool, CHUNK_SMALL_BYTES);
    }
    asked->chunk = chunk_hold(self->stock);
    asked->body_at = self->stock->size;
    memcpy(self->stock->data + asked->body_at, message->chunk->data + message->at, message->size);
    self->stock->size += message->size;
}

static void
count_waiting(services_t *self, const asked_t *asked, int sign)
{
    wport_t *port = self->port;
    port->waiting += (uint32_t)sign;
    port->queued.messages += (uint64_t)(int64_t)sign;
    port->queued_bytes += (uint64_t)(sign * (int64_t)asked->size);
    port_count(port);
}

// It is given again, before all others.
void
services_wait(services_t *self, asked_t *asked)
{
    asked_append(&self->waiting, asked);
    count_waiting(self, asked, 1);
    self->port->wire->made_room = true;
}

static void
give_waiting(services_t *self)
{
    for (asked_t *asked = self->waiting.first, *next; asked && ranks_first(&self->ranks); asked = next) {
        next = asked->next;
        service_t *service = next_service(self, asked);
        if (!service)
            continue;
        asked_remove(&self->waiting, asked);
        count_waiting(self, asked, -1);
        hand(self, service, asked,
             &(piece_t){ .chunk = asked->chunk, .at = asked->body_at, .size = asked->size, .load = asked->load });
        if (asked->tries >= (uint32_t)self->port->wire->conf->backend_retries) { // this was the last one
            chunk_drop(asked->chunk);
            asked->chunk = NULL;
        }
    }
}

// The routing id of PIECE is before it, or its first frame: then it is taken off.
static const uint8_t *
take_id(piece_t *piece, size_t *size)
{
    const uint8_t *id = pump_first(piece, size);
    if (!piece->prefix) {
        size_t named = (size_t)(id - (piece->chunk->data + piece->at)) + *size;
        piece->at += named;
        piece->size -= named;
    }
    return id;
}

// Those who wait for room are in line: who comes now goes behind them.
static bool
jumps_the_line(const wport_t *port, conn_t *from)
{
    if (!from || from->invited || !port->parked)
        return false;
    port->wire->made_room = true; // whoever is in front is asked
    return true;
}

// The keys were taken away: it goes out under its client's id, and is not remembered.
static given_t
hand_plainly(services_t *self, service_t *service, const piece_t *piece)
{
    service->inhand.given++;
    ranks_take(&self->ranks, &service->rank);
    output_add(service->conn, piece);
    settle(self, service);
    return GIVEN;
}

static given_t
give(wport_t *port, const piece_t *piece)
{
    services_t *self = port->own;
    if (self->waiting.first)
        give_waiting(self);
    if (jumps_the_line(port, piece->from))
        return NO_ROOM;
    if (piece->from)
        piece->from->invited = false;
    service_t *service = next_service(self, &a_new_one);
    if (!service)
        return NO_ROOM;
    if (!self->on)
        return hand_plainly(self, service, piece);
    piece_t message = *piece;
    size_t size;
    const uint8_t *id = take_id(&message, &size);
    asked_t *asked = outstanding_add(&self->outstanding, id, size);
    if (port->wire->conf->backend_retries > 0)
        keep(self, asked, &message);
    hand(self, service, asked, &message);
    if (port->parked && ranks_first(&self->ranks))
        port->wire->made_room = true;
    return GIVEN;
}

static bool
has_room(wport_t *port)
{
    return next_service(port->own, &a_new_one) != NULL;
}

// --- what is not answered -----------------------------------------------------------------------

void
services_drop(services_t *self, asked_t *asked, drop_reason_t reason)
{
    port_drop(self->port, reason, 1);
    request_is_given_up(clients_of(self), asked->client, asked->client_size);
    outstanding_forget(&self->outstanding, asked);
}

// SERVICE, which has it no more, did not answer. False: it is dropped.
static bool
try_again(services_t *self, asked_t *asked, const service_t *service, drop_reason_t reason)
{
    bool again = asked->chunk && asked->tries < (uint32_t)self->port->wire->conf->backend_retries &&
                 request_is_wanted(clients_of(self), asked->client, asked->client_size);
    if (!again) {
        services_drop(self, asked, reason);
        return false;
    }
    asked_fails_at(asked, service->id);
    asked->tries++;
    services_wait(self, asked);
    return true;
}

static void
note_freedom(const services_t *self, service_t *service)
{
    bool is_free = ways[self->dispatch].by_asking ? service->ready : service->inhand.unanswered.count == 0;
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
        note_freedom(self, service);
        settle(self, service);
        if (!try_again(self, asked, service, DROP_TIMEOUT))
            service->conn->dropped++;
    }
}

// Answers that came while the route was paused are read before their time is judged.
static void
on_timer(watched_t *watched, uint32_t events)
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
    arm(self);
}

// --- answers ------------------------------------------------------------------------------------

// Whom it was for gets nothing of it, but those who look on do.
static bool
undeliverable(conn_t *conn, piece_t *piece)
{
    size_t size;
    pump_first(piece, &size);
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
    bool is_answer = size > 0 && (is_number || request_is_wanted(clients_of(self), id, size));
    if (is_answer && (!self->on || self->before > 0) && request_is_wanted(clients_of(self), id, size)) {
        self->before--;
        return false;
    }
    return ways[self->dispatch].by_asking && !is_answer ? true : undeliverable(conn, piece);
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

static bool
hears(conn_t *conn, piece_t *piece)
{
    services_t *self = conn->port->own;
    service_t *service = conn->own;
    frame_head_t head = { 0 };
    if (ways[self->dispatch].by_asking) {
        take_off_empty(piece);
        service->ready = service->was_ready = true;
    }
    uint8_t *at = piece->chunk->data + piece->at;
    frame_read(at, piece->size, &head);
    uint8_t *id = at + head.head;
    size_t size = head.flags & FRAME_MORE ? head.body : 0; // without more it is no id
    asked_t *asked = size > 0 ? outstanding_find(&self->outstanding, &service->inhand, id, size) : NULL;
    bool heard = asked ? hears_answer(self, conn, piece, id, asked) : hears_other(self, conn, piece, id, size);
    note_freedom(self, service);
    settle(self, service);
    return heard;
}

// --- who comes and goes -----------------------------------------------------------------------------

// Its type goes with the way in which services are chosen: one that only answers never says that it is ready.
static bool
fits(const services_t *self, const conn_t *conn)
{
    return conn->type != (ways[self->dispatch].by_asking ? PEERTYPE_REP : PEERTYPE_REQ);
}

service_t *
services_add(services_t *self, uint64_t id)
{
    service_t *service = xcalloc(1, sizeof *service);
    service->id = id;
    service->previous = self->last_service;
    *(self->last_service ? &self->last_service->next : &self->services) = service;
    self->last_service = service;
    return service;
}

static void
remove_service(services_t *self, service_t *service)
{
    *(service->previous ? &service->previous->next : &self->services) = service->next;
    *(service->next ? &service->next->previous : &self->last_service) = service->previous;
    outstanding_forget_late(&self->outstanding, &service->inhand);
    free(service->answers);
    free(service);
}

static void
welcome(services_t *self, conn_t *conn)
{
    service_t *service = conn->own = services_add(self, conn->id);
    service->conn = conn;
    service->inhand.given = conn->out.load.messages;
    note_freedom(self, service);
    settle(self, service);
}

static int
joined(conn_t *conn)
{
    if (!fits(conn->port->own, conn)) {
        conn_refuse(conn, HANDSHAKE_TYPE, "its socket type does not go with dispatch");
        return -1;
    }
    welcome(conn->port->own, conn);
    return 0;
}

// What it had in another route has come before it.
static int
rejoined(conn_t *conn)
{
    services_t *self = conn->port->own;
    service_t *service = self->services;
    while (service && (service->conn || service->id != conn->id))
        service = service->next;
    if (!service)
        return joined(conn);
    if (!fits(self, conn)) {
        conn_refuse(conn, HANDSHAKE_TYPE, "its socket type does not go with dispatch");
        return -1;
    }
    conn->own = service;
    service->conn = conn;
    return 0;
}

static void
left(conn_t *conn)
{
    services_t *self = conn->port->own;
    service_t *service = conn->own;
    ranks_take(&self->ranks, &service->rank);
    service->ready = false;
}

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
    take_id(piece, &size);
    asked->chunk = piece->chunk;
    asked->body_at = piece->at;
    asked->size = piece->size;
    asked->load = (load_t){ 1, payload_of(piece->chunk->data + piece->at, piece->size) };
}

typedef struct {
    uint64_t lost, given_again, requeued;
} legacy_t;

// It was given up since.
static bool
is_late(services_t *self, service_t *service, uint64_t nth, const piece_t *piece)
{
    size_t size;
    piece_t message = *piece;
    outstanding_passed(&self->outstanding, &service->inhand, nth);
    const asked_t *mark = service->inhand.late.first;
    take_off_empty(&message);
    const uint8_t *id = take_id(&message, &size);
    return (mark && mark->nth == nth) || !request_is_wanted(clients_of(self), id, size);
}

// Messages of which no byte was written: their requests have not been tried. Those that went out without the keys are
// not known; they go to others as they are.
static void
requeue(services_t *self, service_t *service, spans_t *unbegun, legacy_t *legacy)
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
            services_wait(self, asked);
            legacy->requeued++;
            continue;
        }
        if (!is_late(self, service, nth, &piece)) {
            output_queue(&others, pool, &piece);
            legacy->requeued++;
        }
        chunk_drop(piece.chunk);
    }
    if (others.count > 0)
        port_return(self->port, &others);
}

static void
try_others(services_t *self, service_t *service, uint64_t begun, legacy_t *legacy)
{
    asked_t *asked;
    while ((asked = service->inhand.unanswered.first) && asked->nth <= begun) {
        outstanding_take(&self->outstanding, asked);
        bool again = try_again(self, asked, service, DROP_PEER_LOST);
        *(again ? &legacy->given_again : &legacy->lost) += 1;
    }
}

// The route ends: what is unanswered was said already.
static void
forget_all(services_t *self, service_t *service)
{
    asked_t *asked;
    while ((asked = service->inhand.unanswered.first)) {
        outstanding_take(&self->outstanding, asked);
        outstanding_forget(&self->outstanding, asked);
    }
}

static void
bequeath(conn_t *conn)
{
    services_t *self = conn->port->own;
    service_t *service = conn->own;
    legacy_t legacy = { 0 };
    spans_t unbegun = { 0 };
    output_abandon(conn, &unbegun);
    if (conn->wire->closing)
        forget_all(self, service);
    else {
        try_others(self, service, service->inhand.given - unbegun.load.messages, &legacy);
        requeue(self, service, &unbegun, &legacy);
    }
    spans_clear(&unbegun);
    conn->dropped += legacy.lost;
    counter_add(&conn->wire->counters->requeued, legacy.requeued);
    say_lost(conn, legacy.lost, legacy.requeued + legacy.given_again);
    remove_service(self, service);
    conn->own = NULL;
}

// --- another route ------------------------------------------------------------------------------------

static void
save(const wport_t *port, record_t *to)
{
    servicesrecord_save(port->own, to);
}

static const socktype_t socktype_services;

static services_t *
services_new(wport_t *port)
{
    services_t *self = port->own = xcalloc(1, sizeof *self);
    self->port = port;
    self->timer.ready = on_timer;
    self->timer_fd = -1;
    self->outstanding.pool = &port->wire->pool;
    for (uint32_t i = 0; i < port->count; i++)
        welcome(self, port->open[i]);
    port->socktype = &socktype_services;
    return self;
}

// Requests that were passed on, and of which nothing is known.
static int64_t
unknown_requests(const services_t *self)
{
    int64_t known = self->waiting.count;
    for (const service_t *service = self->services; service; service = service->next)
        known += service->inhand.unanswered.count;
    return self->port->wire->pending - known;
}

void
services_restore(wport_t *port, record_fields_t from)
{
    services_t *self = port->own;
    if (!self && from.left == 0)
        return;
    if (!self)
        self = services_new(port); // its keys are gone: what was given out by them comes back
    servicesrecord_restore(self, from);
    self->before = unknown_requests(self);
    self->restored = port->wire->made_room = true;
}

// All connections that come from another route are here. They stand in the order in which they stood there.
static void
settle_restored(services_t *self)
{
    self->restored = false;
    for (service_t *service = self->services, *next; service; service = next) {
        next = service->next;
        if (service->conn) {
            note_freedom(self, service);
            settle(self, service);
            continue;
        }
        try_others(self, service, UINT64_MAX, &(legacy_t){ 0 });
        remove_service(self, service);
    }
    arm(self);
}

// Asked are as many of those who wait as can be served: else each answer would wake all of them.
static void
made_room(wport_t *port)
{
    services_t *self = port->own;
    if (self->restored)
        settle_restored(self);
    give_waiting(self);
    port_give_returned(port);
    bool one_each = self->window > 0 || ways[self->dispatch].by_asking;
    port_unpark(port, one_each ? self->ranks.count : UINT32_MAX);
}

// --- life ---------------------------------------------------------------------------------------------

static void
services_close(wport_t *port)
{
    services_t *self = port->own;
    asked_t *asked;
    while ((asked = self->waiting.first)) {
        asked_remove(&self->waiting, asked);
        outstanding_forget(&self->outstanding, asked);
    }
    while (self->services) { // their connections went to another route
        forget_all(self, self->services);
        remove_service(self, self->services);
    }
    if (self->stock)
        chunk_drop(self->stock);
    if (self->timer_fd != -1)
        close(self->timer_fd);
    ranks_free(&self->ranks);
    outstanding_free(&self->outstanding);
    free(self);
    port->own = NULL;
}

// Without it no request times out: said by nobody, for descriptors have a reserve.
static void
need_timer(services_t *self)
{
    const loop_t *loop = &self->port->wire->loop;
    if (!self->timeout_ns || self->timer_fd != -1)
        return;
    self->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (self->timer_fd != -1)
        loop_watch(loop, self->timer_fd, EPOLLIN, &self->timer);
}

static bool
are_wanted(const route_conf_t *conf)
{
    return conf->dispatch != DISPATCH_ROUND_ROBIN || conf->backend_window || conf->backend_retries ||
           conf->reply_timeout_ms;
}

static void
take_keys(services_t *self, const route_conf_t *conf)
{
    bool was_on = self->on;
    self->on = are_wanted(conf);
    if (!was_on)
        self->before = unknown_requests(self);
    self->dispatch = conf->dispatch;
    self->window = (uint32_t)conf->backend_window;
    self->timeout_ns = conf->reply_timeout_ms * 1000000;
    self->armed = false;
    need_timer(self);
    arm(self);
}

// clang-format off
static const socktype_t socktype_services = {
    .type = ZMQ_DEALER, .speaks_as = ZMQ_DEALER, .give = give, .hears = hears, .joined = joined, .left = left,
    .bequeath = bequeath, .has_room = has_room, .made_room = made_room, .close = services_close, .lets_go = true, .rejoined = rejoined, .save = save, .restore = services_restore,
};
static const socktype_t socktype_askers = { // the same, but towards services a ROUTER
    .type = ZMQ_DEALER, .speaks_as = ZMQ_ROUTER, .give = give, .hears = hears, .joined = joined, .left = left,
    .bequeath = bequeath, .has_room = has_room, .made_room = made_room, .close = services_close, .lets_go = true, .rejoined = rejoined, .save = save, .restore = services_restore,
};
// clang-format on

void
services_configure(wport_t *port)
{
    const route_conf_t *conf = port->wire->conf;
    bool is_queue =
        port->side == SIDE_BACKEND && conf->sides[SIDE_FRONTEND].type == ZMQ_ROUTER && port->conf->type == ZMQ_DEALER;
    services_t *self = port->own;
    if (!is_queue || (!self && !are_wanted(conf)))
        return;
    if (!self)
        self = services_new(port);
    take_keys(self, conf);
    port->socktype = ways[self->dispatch].by_asking ? &socktype_askers : &socktype_services;
    for (uint32_t i = 0; i < port->count; i++) {
        conn_t *conn = port->open[i];
        note_freedom(self, conn->own);
        settle(self, conn->own);
        if (!fits(self, conn))
            conn_break(conn, CUT_NONE, "its socket type does not go with dispatch");
    }
    port->wire->made_room = true;
}

// --- for whoever asks -----------------------------------------------------------------------------------

typedef struct {
    client_service_t *at;
    size_t count, room;
} list_t;

static void
describe(const conn_t *conn, client_service_t *to)
{
    bool is_known = conn->port->socktype->bequeath == bequeath;
    service_t *service = is_known ? conn->own : NULL;
    int64_t now_ns = clock_mono_ns();
    *to = (client_service_t){
        .id = conn->id, .unanswered = -1, .answered = -1, .retried = -1, .p50_ns = -1, .p99_ns = -1
    };
    snprintf(to->peer, sizeof to->peer, "%s", conn->peer_name);
    if (!service)
        return;
    to->unanswered = service->inhand.unanswered.count;
    to->answered = (int64_t)service->answered;
    to->retried = (int64_t)service->retried;
    to->free_since_wall_ns = service->free_since_wall_ns;
    if (!service->answers)
        return;
    to->p50_ns = answers_percentile(service->answers, now_ns, 50);
    to->p99_ns = answers_percentile(service->answers, now_ns, 99);
}

static int
collect(wire_t *self, void *arg)
{
    list_t *list = arg;
    const wport_t *port = &self->ports[SIDE_BACKEND];
    for (uint32_t i = 0; i < port->count; i++) {
        if (port->open[i]->broken)
            continue;
        mem_grow(list->at, list->count, list->room);
        describe(port->open[i], &list->at[list->count++]);
    }
    return 0;
}

static int
by_id(const void *a, const void *b)
{
    const client_service_t *first = a, *second = b;
    return (first->id > second->id) - (first->id < second->id);
}

void
services_each(route_t *self, client_service_fn_t *fn, void *arg)
{
    list_t list = { 0 };
    wire_call(self, collect, &list);
    if (list.count > 0)
        qsort(list.at, list.count, sizeof *list.at, by_id);
    for (size_t i = 0; i < list.count; i++)
        fn(&list.at[i], arg);
    free(list.at);
}
