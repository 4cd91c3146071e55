// SPDX-License-Identifier: MPL-2.0
// services_parts.h - what a queue that knows its services is made of; only for
// services.c and servicesrecord.c.

#ifndef ZB_WIRE_SERVICES_PARTS_H
#define ZB_WIRE_SERVICES_PARTS_H

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
    answers_t *answers;         // NULL: none yet
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

service_t *services_add(services_t *self, uint64_t id); // without a connection
void services_wait(services_t *self, asked_t *asked);   // ASKED is given again, before all others
void services_drop(services_t *self, asked_t *asked, drop_reason_t reason);

// All of it, written down and made again: see wire/handover.h.
void servicesrecord_save(const services_t *self, record_t *to);
void servicesrecord_restore(services_t *self, record_fields_t from);

#endif
