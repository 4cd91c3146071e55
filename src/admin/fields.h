// SPDX-License-Identifier: MPL-2.0
// fields.h - the numbers that a route counts, by name: one table for the JSON, the
// metrics, the tables of `show stats`, the figures in the log and the page. What
// is counted by reason, and what is computed, has its own place in each of them.

#ifndef ZB_FIELDS_H
#define ZB_FIELDS_H

#include "broker/broker.h"

#include <stddef.h>

typedef enum {
    // Of a side, in the order of its JSON.
    FIELD_CONNECTIONS,
    FIELD_ACCEPTED,
    FIELD_DISCONNECTIONS,
    FIELD_MESSAGES_RECEIVED,
    FIELD_MESSAGES_SENT,
    FIELD_RECEIVED_BYTES,
    FIELD_SENT_BYTES,
    FIELD_QUEUED_MESSAGES,
    FIELD_QUEUED_BYTES,
    FIELD_HEARTBEAT_TIMEOUTS,
    FIELDS_OF_SIDE,
    // Of the route itself.
    FIELD_REQUEUED = FIELDS_OF_SIDE,
    FIELD_CAPTURE_DROPPED,
    FIELD_SUBSCRIPTIONS,
    FIELD_REMEMBERED_MESSAGES,
    FIELD_REMEMBERED_BYTES,
    FIELD_STORE_MESSAGES,
    FIELD_STORE_BYTES,
    FIELD_STORE_CORRUPT,
    FIELDS
} field_id_t;

typedef struct {
    const char *name;    // in JSON, in the log and on the page: "messages_received"
    const char *heading; // of its column in `show stats`, after the side if it is of one; NULL: it has none
    const char *metric;  // "zbroker_messages_received_total"
    const char *help;    // of the metric, one sentence
    bool is_gauge;       // what is now, not what was counted: `clear counters` leaves it
    size_t offset;       // in side_counters_t or counters_t
} field_t;

const field_t *field_at(field_id_t id);

// As counted since the start. SIDE counts only for fields of one.
uint64_t field_total(const broker_route_t *route, side_t side, field_id_t id);

// As `show stats` tells it: less what `clear counters` has put aside.
uint64_t field_shown(const broker_route_t *route, side_t side, field_id_t id);

#endif
