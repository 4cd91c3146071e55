// SPDX-License-Identifier: MPL-2.0
#include "wire/pulse.h"

#include "wire/conn.h"
#include "wire/output.h"

#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

enum {
    SAVED_MS = 10000, // of which PINGs may come at once
    GAP_MIN_MS = 100,
};

// --- theirs ------------------------------------------------------------------------

bool
pulse_may_ask(int64_t *spent_ms, int64_t now_ms)
{
    if (*spent_ms < now_ms - SAVED_MS)
        *spent_ms = now_ms - SAVED_MS;
    if (*spent_ms >= now_ms)
        return false;
    ++*spent_ms;
    return true;
}

// How often it asks, as far as that is known: PINGs that were not read at once look rarer than they are.
static void
note_gap(conn_t *conn)
{
    int64_t now_ms = conn->wire->now_ms, gap_ms = now_ms - conn->asked_ms;
    if (gap_ms < GAP_MIN_MS)
        gap_ms = GAP_MIN_MS;
    if (conn->asks_every_ms == 0 || gap_ms < conn->asks_every_ms)
        conn->asks_every_ms = gap_ms;
    conn->asked_ms = now_ms;
}

void
pulse_hears_ping(conn_t *conn, const traffic_t *ping)
{
    uint8_t pong[TRAFFIC_PONG_MAX];
    conn->answers_pings = true;
    note_gap(conn);
    if (ping->ttl > 0)
        conn->silence_ms = (int64_t)ping->ttl * 100;
    if (pulse_may_ask(&conn->pings_spent_ms, conn->wire->now_ms))
        output_urgent(conn, pong, traffic_pong(pong, ping->data, ping->size)); // of those read in a round the last one
    else
        conn_break(conn, CUT_PROTOCOL, "it has sent more than one PING a millisecond");
}

// When something was read from it last: what has been put in its place since does not count.
static int64_t
read_last_ms(conn_t *conn)
{
    if (conn->heard_ms != conn->excused_ms)
        conn->read_ms = conn->heard_ms;
    return conn->read_ms;
}

// Is all that it has sent here? There is much room for more, and what was on its way has come. Then the peer is still
// there, or its end is known.
static bool
has_sent_all(const conn_t *conn)
{
    uint32_t memory[SK_MEMINFO_VARS] = { 0 };
    struct tcp_info info = { 0 };
    socklen_t size = sizeof memory, info_size = sizeof info;
    if (conn->ipc)
        return true; // what it has sent lies here, wherever that is read
    if (getsockopt(conn->fd, SOL_SOCKET, SO_MEMINFO, memory, &size) == -1 ||
        memory[SK_MEMINFO_RMEM_ALLOC] > memory[SK_MEMINFO_RCVBUF] / 4)
        return false;
    return getsockopt(conn->fd, IPPROTO_TCP, TCP_INFO, &info, &info_size) == 0 &&
           info.tcpi_last_data_recv / 2 >= info.tcpi_rtt / 1000;
}

// Of one that has not asked yet nobody knows whether it waits for an answer. It gets one while that can do no harm.
static bool
may_be_told(const conn_t *conn)
{
    return conn->asks_every_ms > 0 || (!conn->hung_up && has_sent_all(conn));
}

bool
pulse_owes_a_word(conn_t *conn)
{
    int64_t now_ms = conn->wire->now_ms, read_ms = read_last_ms(conn), interval_ms = pulse_interval_ms(conn);
    int64_t told_ms = read_ms > conn->asked_ms ? read_ms : conn->asked_ms;
    bool owes = interval_ms > 0 && now_ms - told_ms >= interval_ms / 2 && may_be_told(conn);
    if (owes)
        conn->asked_ms = now_ms;
    conn->heard_ms = conn->excused_ms = now_ms;
    conn->pinged_ms = 0;
    return owes;
}

static bool
reassure(conn_t *conn)
{
    uint8_t pong[TRAFFIC_PONG_MAX];
    if (pulse_owes_a_word(conn))
        output_urgent(conn, pong, traffic_pong(pong, NULL, 0));
    return pulse_interval_ms(conn) > 0;
}

// --- ours --------------------------------------------------------------------------

// Messages lie between what was heard last and the PING: whoever takes its time for those answers late.
static bool
is_busy(const conn_t *conn)
{
    return conn->fed_ms >= conn->heard_ms || output_pending(conn);
}

// Of a busy peer its system says that it is there: it acknowledges what we send, and probes of its closed window.
static bool
is_host_silent(const conn_t *conn, int64_t ms)
{
    struct tcp_info info = { 0 };
    socklen_t size = sizeof info;
    if (conn->ipc || getsockopt(conn->fd, IPPROTO_TCP, TCP_INFO, &info, &size) == -1)
        return false;
    return (info.tcpi_retransmits > 1 || info.tcpi_probes > 1) && info.tcpi_last_ack_recv >= ms;
}

static void
ping(conn_t *conn)
{
    uint8_t body[TRAFFIC_PING_MAX];
    output_urgent(conn, body, traffic_ping(body, (uint16_t)(conn->port->heartbeat_ttl_ms / 100), NULL, 0));
    conn->ping_ms = conn->wire->now_ms;
    if (conn->pinged_ms == 0)
        conn->pinged_ms = conn->ping_ms;
}

static bool
is_unanswered(const conn_t *conn)
{
    int64_t timeout_ms = conn->port->heartbeat_timeout_ms;
    if (conn->pinged_ms == 0 || conn->wire->now_ms - conn->pinged_ms < timeout_ms)
        return false;
    return !is_busy(conn) || is_host_silent(conn, timeout_ms);
}

static void
beat(conn_t *conn)
{
    const wport_t *port = conn->port;
    int64_t now_ms = conn->wire->now_ms, silent_ms = now_ms - conn->heard_ms;
    if (conn->pinged_ms <= conn->heard_ms)
        conn->pinged_ms = 0;
    if (conn->silence_ms > 0 && silent_ms >= conn->silence_ms)
        conn_break(conn, CUT_HEARTBEAT, "nothing was heard for %lld ms", (long long)silent_ms);
    else if (is_unanswered(conn))
        conn_break(conn, CUT_HEARTBEAT, "no answer to a PING for %lld ms", (long long)(now_ms - conn->pinged_ms));
    else if (port->heartbeat_ms > 0 && conn->answers_pings && silent_ms >= port->heartbeat_ms
             && now_ms - conn->ping_ms >= port->heartbeat_ms)
        ping(conn);
}

bool
pulse_tick(conn_t *conn, bool read)
{
    if (!read)
        return reassure(conn);
    beat(conn);
    return false;
}
