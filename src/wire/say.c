// SPDX-License-Identifier: MPL-2.0
#include "wire/say.h"

#include "base/log.h"
#include "base/text.h"

#include <string.h>

enum {
    DENIALS_SAID = 16,     // of one connection
    SLOW_EVERY_MS = 60000, // of one connection
    TOPIC_SHOWN = 200,
};

static const char *
known(const char *text)
{
    return text && *text ? text : NULL;
}

static void
say_old(const conn_t *conn)
{
    log_event(EVENT_CLIENT_OLD, EVENT_TEXT("route", conn->wire->name), EVENT_TEXT("side", side_name(conn->port->side)),
              EVENT_NUMBER("client", conn->id), EVENT_TEXT("peer", conn->peer_name),
              EVENT_TEXT("zmtp", conn->major == 1 ? "1.0" : "2.0"));
}

void
say_opened(const conn_t *conn)
{
    counter_add(&conn->port->counters->connections, 1);
    log_event(conn->outgoing ? EVENT_CLIENT_REACHED : EVENT_CLIENT_CONNECTED, EVENT_TEXT("route", conn->wire->name),
              EVENT_TEXT("side", side_name(conn->port->side)), EVENT_NUMBER("client", conn->id),
              EVENT_TEXT("peer", conn->peer_name));
    if (conn->major < 3)
        say_old(conn);
}

static void
say_client(event_id_t event, const conn_t *conn)
{
    log_event(event, EVENT_TEXT("route", conn->wire->name), EVENT_TEXT("side", side_name(conn->port->side)),
              EVENT_NUMBER("client", conn->id), EVENT_TEXT("peer", conn->peer_name), EVENT_TEXT("user", known(conn->user)));
}

static void
say_cut(const conn_t *conn)
{
    side_counters_t *counters = conn->port->counters;
    counter_add(&counters->cut[conn->cut], 1);
    if (conn->cut == CUT_HEARTBEAT)
        counter_add(&counters->heartbeat_timeouts, 1);
    if (conn->cut == CUT_AUTH) {
        say_client(EVENT_CLIENT_UNWELCOME, conn);
        return;
    }
    log_event(EVENT_CLIENT_CUT, EVENT_TEXT("route", conn->wire->name), EVENT_TEXT("side", side_name(conn->port->side)),
              EVENT_NUMBER("client", conn->id), EVENT_TEXT("peer", conn->peer_name), EVENT_TEXT("user", known(conn->user)),
              EVENT_TEXT("reason", cut_reasons[conn->cut]), EVENT_PROSE("words", conn->reason));
}

static void
say_refused(const conn_t *conn)
{
    counter_add(&conn->port->counters->handshake_failures[conn->refusal], 1);
    log_event(EVENT_CLIENT_REFUSED, EVENT_TEXT("route", conn->wire->name), EVENT_TEXT("side", side_name(conn->port->side)),
              EVENT_TEXT("peer", conn->peer_name), EVENT_TEXT("reason", handshake_reasons[conn->refusal]),
              EVENT_PROSE("words", conn->reason));
}

void
say_ended(const conn_t *conn, bool was_open)
{
    side_counters_t *counters = conn->port->counters;
    if (conn->refused)
        say_refused(conn);
    if (!was_open || conn->left)
        return;
    counter_add(&counters->disconnections, 1);
    counter_set(&counters->connections, counter_get(&counters->connections) - 1);
    if (conn->cut != CUT_NONE)
        say_cut(conn);
    else
        say_client(EVENT_CLIENT_GONE, conn);
}

void
say_lost(const conn_t *conn, uint64_t lost, uint64_t requeued)
{
    if (lost > 0)
        log_event(EVENT_CLIENT_LOST, EVENT_TEXT("route", conn->wire->name), EVENT_TEXT("side", side_name(conn->port->side)),
                  EVENT_NUMBER("client", conn->id), EVENT_TEXT("peer", conn->peer_name), EVENT_TEXT("user", known(conn->user)),
                  EVENT_NUMBER("messages", lost));
    if (requeued > 0)
        log_event(EVENT_REQUEUED, EVENT_TEXT("route", conn->wire->name), EVENT_TEXT("side", side_name(conn->port->side)),
                  EVENT_NUMBER("client", conn->id), EVENT_TEXT("peer", conn->peer_name), EVENT_NUMBER("messages", requeued));
}

void
say_full(const wport_t *port, bool full)
{
    log_event(full ? EVENT_SIDE_FULL : EVENT_SIDE_ROOM, EVENT_TEXT("route", port->wire->name),
              EVENT_TEXT("side", side_name(port->side)));
}

static const char *
address_of(const conn_t *conn)
{
    return *conn->host ? conn->host : "ipc";
}

void
say_denied(conn_t *conn, const char *action, const void *topic, size_t size)
{
    text_t shown = { 0 };
    if (conn->denials >= DENIALS_SAID)
        return;
    conn->denials++;
    text_escaped(&shown, topic, size < TOPIC_SHOWN ? size : TOPIC_SHOWN);
    log_event(EVENT_ACL_DENIED, EVENT_TEXT("route", conn->wire->name), EVENT_TEXT("address", address_of(conn)),
              EVENT_PROSE("action", action), EVENT_TEXT("user", known(conn->user)),
              EVENT_TEXT("topic", shown.data ? shown.data : ""));
    text_free(&shown);
}

void
say_quota(conn_t *conn, size_t size, const char *key, int64_t limit)
{
    if (conn->said_quota)
        return;
    conn->said_quota = true;
    log_event(EVENT_QUOTA_IGNORED, EVENT_TEXT("route", conn->wire->name), EVENT_TEXT("address", address_of(conn)),
              EVENT_TEXT("user", known(conn->user)), EVENT_NUMBER("bytes", size),
              EVENT_TEXT("limited_by", key), EVENT_NUMBER("limit", limit));
}

void
say_slow(conn_t *conn)
{
    if (conn->slow_said_ms != 0 && conn->wire->now_ms - conn->slow_said_ms < SLOW_EVERY_MS)
        return;
    conn->slow_said_ms = conn->wire->now_ms;
    log_event(EVENT_CLIENT_SLOW, EVENT_TEXT("route", conn->wire->name), EVENT_TEXT("side", side_name(conn->port->side)),
              EVENT_NUMBER("client", conn->id), EVENT_TEXT("peer", conn->peer_name), EVENT_TEXT("user", known(conn->user)),
              EVENT_NUMBER("dropped", conn->dropped));
}
