// SPDX-License-Identifier: MPL-2.0
// services_internal.h - what a queue that knows its services is made of; only for dispatch.c,
// replies.c, servicesrecord.c and services.c.

#ifndef ZB_WIRE_SERVICES_INTERNAL_H
#define ZB_WIRE_SERVICES_INTERNAL_H

#include "wire/answers.h"
#include "wire/internal.h"
#include "wire/outstanding.h"
#include "wire/ranks.h"

#include <stddef.h>

typedef struct service {
    rank_t rank; // first: there, if it may get a request
    struct service *next, *previous;
    conn_t *conn; // NULL: of another route, and its connection has not come yet
    uint64_t id;  // of its connection
    inhand_t inhand;
    bool ready, was_ready; // it said so
    uint64_t answered, retried;
    int64_t free_since_wall_ns; // 0: it has something to do
    answer_times_t *answers;         // NULL: none yet
} service_t;

// Of a port.
typedef struct {
    watched_t timer; // first
    wport_t *port;
    int timer_fd; // -1: none was needed yet
    bool armed;
    bool was_paused; // when the timer went off last
    bool on;         // false: its keys were taken away, and what was given out by them comes back
    dispatch_t dispatch;
    uint32_t window;
    int64_t timeout_ns;
    service_t *services, *last_service;
    bool restored; // from another route, and not looked at since
    ranks_t ranks;
    outstanding_t outstanding;
    asked_list_t waiting; // to be given again
    chunk_t *stock;       // into which small messages are copied that are kept
    int64_t before;       // requests that were passed on before its keys were there
} services_t;

static inline service_t *
service_of(inhand_t *inhand)
{
    return (service_t *)((char *)inhand - offsetof(service_t, inhand));
}

static inline wport_t *
services_clients(const services_t *self)
{
    return &self->port->wire->ports[SIDE_FRONTEND];
}

// --- dispatch.c: which service gets the next request --------------------------------

service_t *dispatch_add(services_t *self, uint64_t id); // without a connection
void dispatch_remove(services_t *self, service_t *service);
bool dispatch_is_by_asking(const services_t *self);            // services say that they are ready
void dispatch_settle(services_t *self, service_t *service);    // something of SERVICE has changed
void dispatch_wait(services_t *self, asked_t *asked);          // ASKED is given again, before all others
void dispatch_give_waiting(services_t *self);                  // that, as far as it can be
const uint8_t *dispatch_take_id(piece_t *piece, size_t *size); // the routing id before a request; it is off PIECE then
void dispatch_arm(services_t *self);                           // the timer, for the oldest request
given_t dispatch_give(wport_t *port, const piece_t *piece);    // this and the next: of the socket type's record
bool dispatch_has_room(wport_t *port);

// --- replies.c: answers, and what becomes of requests without one ---------------------

// What a service that has left had.
typedef struct {
    uint64_t lost, given_again, requeued;
} replies_legacy_t;

void replies_note_freedom(const services_t *self, service_t *service); // since when it has nothing to do
void replies_drop(services_t *self, asked_t *asked, drop_reason_t reason);
void replies_forget_all(services_t *self, service_t *service); // the route ends: what is unanswered was said already
// Those of its requests that it may have seen, up to the BEGUNth, go to others.
void replies_try_others(services_t *self, service_t *service, uint64_t begun, replies_legacy_t *legacy);
bool replies_hear(conn_t *conn, piece_t *piece); // this and the next: of the socket type's record
void replies_bequeath(conn_t *conn);

// Time-outs: a descriptor, when there are any; when it is told of.
void replies_need_timer(services_t *self);
void replies_on_timer(watched_t *watched, uint32_t events);

// --- servicesrecord.c -----------------------------------------------------------------

// All of it, written down and made again: see wire/handover.h.
void servicesrecord_save(const services_t *self, record_t *to);
void servicesrecord_restore(services_t *self, record_fields_t from);

#endif
