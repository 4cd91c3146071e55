// SPDX-License-Identifier: MPL-2.0
// remember.h - what a forwarder remembers of what it published, and how a new
// subscription gets it: behind what is in the subscriber's queue already, before all
// that is published from then on. Both happen in the route's thread, so there is no
// gap between them, and nothing is sent twice.
//
// What is remembered waits beyond the subscriber's high-water mark. Until it is sent
// the subscriber is not read: its next subscription waits.

#ifndef ZB_WIRE_REMEMBER_H
#define ZB_WIRE_REMEMBER_H

#include "wire/internal.h"
#include "wire/kept.h"

// For the messages of PORT, or NULL: by its configuration the route forgets them.
remember_t *remember_new(wport_t *port);
void remember_free(remember_t **self_p);

void remember_put(remember_t *self, const kept_t *kept); // it was published

// Queue for CONN what begins with PREFIX, as far as it is NEWS.
typedef bool remember_news_fn(const conn_t *conn, bytes_t first);
void remember_bring(remember_t *self, conn_t *conn, bytes_t prefix, remember_news_fn *news);

// Handing over: all of it, in the order in which it was published.
void remember_save(const remember_t *self, record_t *to);
void remember_restore(remember_t *self, record_fields_t from);

kept_total_t remember_total(const remember_t *self);

// The archive: what was published before this route was there, and what it has noted.
void remember_again(remember_t *self, const kept_t *kept);
void remember_read(wport_t *port, record_fields_t from);
void remember_read_cleared(wport_t *port, record_fields_t from);

// What it remembers leaves in another order than it came: it is written again from time to time, some of it in a turn, from
// the beginning after rewinding. True: that was all. Else the oldest has the sequence that it was published with.
bool remember_is_mixed(const remember_t *self);
void remember_rewind(remember_t *self);
bool remember_write_some(remember_t *self, unsigned most);
uint64_t remember_oldest(const remember_t *self);    // UINT64_MAX: there is none
void remember_write_ordered(const remember_t *self); // all, if it is not mixed

void remember_tick(remember_t *self); // memory is short, or messages are too old

// Of the engine's record.
route_value_t *remember_values(route_t *self, const route_prefix_t *prefix, size_t *count, size_t max, uint64_t *more);
uint64_t remember_clear(route_t *self, const route_prefix_t *prefix);

#endif
