// SPDX-License-Identifier: MPL-2.0
#include "admin/fields.h"

#include "admin/stats.h"

#include <assert.h>

#define OF_SIDE(member) offsetof(side_counters_t, member)
#define OF_ROUTE(member) offsetof(counters_t, member)

// clang-format off
static const field_t fields[] = {
    [FIELD_CONNECTIONS] = { "connections", "CLIENTS", "zbroker_connections",
        "Peers connected to a side now, where the transport has connections.", true, OF_SIDE(connections) },
    [FIELD_ACCEPTED] = { "connections_accepted", NULL, "zbroker_connections_accepted_total",
        "Connections made to or by a side.", false, OF_SIDE(accepted) },
    [FIELD_DISCONNECTIONS] = { "disconnections", NULL, "zbroker_disconnections_total",
        "Connections of a side that ended.", false, OF_SIDE(disconnections) },
    [FIELD_MESSAGES_RECEIVED] = { "messages_received", "RECEIVED", "zbroker_messages_received_total",
        "Whole messages received from a side.", false, OF_SIDE(messages_received) },
    [FIELD_MESSAGES_SENT] = { "messages_sent", "SENT", "zbroker_messages_sent_total",
        "Whole messages sent to a side.", false, OF_SIDE(messages_sent) },
    [FIELD_RECEIVED_BYTES] = { "received_bytes", "RECEIVED_BYTES", "zbroker_received_bytes_total",
        "Payload bytes of all frames received from a side.", false, OF_SIDE(received_bytes) },
    [FIELD_SENT_BYTES] = { "sent_bytes", "SENT_BYTES", "zbroker_sent_bytes_total",
        "Payload bytes of all frames sent to a side.", false, OF_SIDE(sent_bytes) },
    [FIELD_QUEUED_MESSAGES] = { "queued_messages", NULL, "zbroker_queued_messages",
        "Messages that wait for the peers of a side now.", true, OF_SIDE(queued) },
    [FIELD_QUEUED_BYTES] = { "queued_bytes", NULL, "zbroker_queued_bytes",
        "Payload bytes of the messages that wait for the peers of a side now.", true, OF_SIDE(queued_bytes) },
    [FIELD_HEARTBEAT_TIMEOUTS] = { "heartbeat_timeouts", NULL, "zbroker_heartbeat_timeouts_total",
        "Peers of a side that gave no sign of life in time.", false, OF_SIDE(heartbeat_timeouts) },
    [FIELD_REQUEUED] = { "messages_requeued", "REQUEUED", "zbroker_messages_requeued_total",
        "Messages given to another worker, because the first broke off before they were written.", false, OF_ROUTE(requeued) },
    [FIELD_CAPTURE_DROPPED] = { "capture_dropped", "CAPTURE_DROPPED", "zbroker_capture_dropped_total",
        "Messages that the capture had no room for.", false, OF_ROUTE(capture_dropped) },
    [FIELD_SUBSCRIPTIONS] = { "subscriptions", NULL, "zbroker_subscriptions",
        "Topics that the subscribers of a route ask for now.", true, OF_ROUTE(subscriptions) },
    [FIELD_REMEMBERED_MESSAGES] = { "remembered_messages", NULL, "zbroker_remembered_messages",
        "Messages that a forwarder keeps now for subscribers to come.", true, OF_ROUTE(remembered_messages) },
    [FIELD_REMEMBERED_BYTES] = { "remembered_bytes", NULL, "zbroker_remembered_bytes",
        "Payload bytes of the messages that a forwarder keeps now for subscribers to come.", true, OF_ROUTE(remembered_bytes) },
    [FIELD_STORE_MESSAGES] = { "store_messages", NULL, "zbroker_store_messages",
        "Messages that a route has on disk now.", true, OF_ROUTE(store.messages) },
    [FIELD_STORE_BYTES] = { "store_bytes", NULL, "zbroker_store_bytes",
        "Bytes of the files of a route's store.", true, OF_ROUTE(store.bytes) },
    [FIELD_STORE_CORRUPT] = { "store_corrupt", NULL, "zbroker_store_corrupt_total",
        "Messages of a store that were damaged, and skipped.", false, OF_ROUTE(store.corrupt) },
};
// clang-format on

_Static_assert(sizeof fields / sizeof *fields == FIELDS, "every field has its row");

const field_t *
field_at(field_id_t id)
{
    assert(id < FIELDS);
    return &fields[id];
}

static const counter_t *
counter_of(const broker_route_t *route, side_t side, field_id_t id)
{
    const counters_t *counters = route->counters;
    const void *base = id < FIELDS_OF_SIDE ? (const void *)&counters->sides[side] : (const void *)counters;
    return (const counter_t *)(const void *)((const char *)base + field_at(id)->offset);
}

uint64_t
field_total(const broker_route_t *route, side_t side, field_id_t id)
{
    return counter_get(counter_of(route, side, id));
}

uint64_t
field_shown(const broker_route_t *route, side_t side, field_id_t id)
{
    const counter_t *counter = counter_of(route, side, id);
    return field_at(id)->is_gauge ? counter_get(counter) : stats_counter(route, counter);
}
