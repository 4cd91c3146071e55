// SPDX-License-Identifier: MPL-2.0
// dispatch.c - which service gets the next request, and how it gets it: see services_internal.h.

#include "wire/services_internal.h"

#include "base/mem.h"
#include "wire/output.h"
#include "wire/piece.h"
#include "wire/port.h"
#include "wire/request.h"

#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>

enum { PREFIX_MAX = 2 * FRAME_SHORT_HEAD + 255 }; // an empty frame and a routing id

// The ways to choose a service.
static const struct {
    bool by_count;  // the one with the fewest unanswered requests
    bool by_asking; // only those that said that they are ready
} ways[] = {
    [DISPATCH_ROUND_ROBIN] = { false, false },
    [DISPATCH_LEAST] = { true, false },
    [DISPATCH_READY] = { false, true },
};

bool
dispatch_is_by_asking(const services_t *self)
{
    return ways[self->dispatch].by_asking;
}

// --- who is there -------------------------------------------------------------------------

service_t *
dispatch_add(services_t *self, uint64_t id)
{
    service_t *service = xcalloc(1, sizeof *service);
    service->id = id;
    service->previous = self->last_service;
    *(self->last_service ? &self->last_service->next : &self->services) = service;
    self->last_service = service;
    return service;
}

void
dispatch_remove(services_t *self, service_t *service)
{
    *(service->previous ? &service->previous->next : &self->services) = service->next;
    *(service->next ? &service->next->previous : &self->last_service) = service->previous;
    outstanding_forget_late(&self->outstanding, &service->inhand);
    free(service->answers);
    free(service);
}

// --- who may get the next one -------------------------------------------------------------

static bool
may_get_one(const services_t *self, const service_t *service)
{
    return (!self->window || service->inhand.unanswered.count < self->window) &&
           (!dispatch_is_by_asking(self) || service->ready);
}

// Something of it has changed.
void
dispatch_settle(services_t *self, service_t *service)
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
        bool is_there = !conn->broken && (!dispatch_is_by_asking(self) || service->was_ready);
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

// --- giving -----------------------------------------------------------------------------------

static __attribute__((noinline)) void
set_timer(services_t *self, int64_t at_ns)
{
    struct itimerspec spec = { .it_value = { at_ns / 1000000000, at_ns % 1000000000 } };
    self->armed = timerfd_settime(self->timer_fd, TFD_TIMER_ABSTIME, &spec, NULL) == 0;
}

// The timer may go off too early, when the one that it was for has been answered.
void
dispatch_arm(services_t *self)
{
    const asked_t *oldest = self->outstanding.oldest;
    if (!self->armed && self->timeout_ns && oldest && self->timer_fd != -1)
        set_timer(self, oldest->since_ns + self->timeout_ns);
}

static size_t
write_prefix(const services_t *self, const asked_t *asked, uint8_t *at)
{
    size_t empty = dispatch_is_by_asking(self) ? frame_write_head(at, FRAME_MORE, 0) : 0;
    size_t size = outstanding_name(asked, at + empty + FRAME_SHORT_HEAD);
    return empty + frame_write_head(at + empty, FRAME_MORE, size) + size;
}

static void
hand(services_t *self, service_t *service, asked_t *asked, piece_t *piece)
{
    uint8_t prefix[PREFIX_MAX];
    outstanding_give(&self->outstanding, asked, &service->inhand, request_number(services_clients(self)),
                     self->port->wire->now_ns);
    piece->prefix = prefix;
    piece->prefix_size = write_prefix(self, asked, prefix);
    service->retried += asked->tries > 0;
    service->ready = false;
    service->free_since_wall_ns = 0;
    ranks_take(&self->ranks, &service->rank); // it is the last one from now on
    output_add(service->conn, piece);
    dispatch_settle(self, service);
    dispatch_arm(self);
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
dispatch_wait(services_t *self, asked_t *asked)
{
    asked_append(&self->waiting, asked);
    count_waiting(self, asked, 1);
    self->port->wire->made_room = true;
}

void
dispatch_give_waiting(services_t *self)
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
const uint8_t *
dispatch_take_id(piece_t *piece, size_t *size)
{
    const uint8_t *id = piece_first(piece, size);
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
    dispatch_settle(self, service);
    return GIVEN;
}

given_t
dispatch_give(wport_t *port, const piece_t *piece)
{
    services_t *self = port->own;
    if (self->waiting.first)
        dispatch_give_waiting(self);
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
    const uint8_t *id = dispatch_take_id(&message, &size);
    asked_t *asked = outstanding_add(&self->outstanding, id, size);
    if (port->wire->conf->backend_retries > 0)
        keep(self, asked, &message);
    hand(self, service, asked, &message);
    if (port->parked && ranks_first(&self->ranks))
        port->wire->made_room = true;
    return GIVEN;
}

bool
dispatch_has_room(wport_t *port)
{
    return next_service(port->own, &a_new_one) != NULL;
}
