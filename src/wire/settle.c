// SPDX-License-Identifier: MPL-2.0
#include "wire/settle.h"

#include "wire/conn.h"
#include "wire/output.h"
#include "wire/port.h"
#include "wire/say.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

enum {
    SETTLE_MS = 250, // longer than a system saves acknowledgements
    SETTLING_MOST = 64,
};

// Its system has refused what came, or given up.
static bool
is_reset(const conn_t *conn)
{
    struct tcp_info info = { 0 };
    socklen_t size = sizeof info;
    return getsockopt(conn->fd, IPPROTO_TCP, TCP_INFO, &info, &size) == -1 || info.tcpi_state == TCP_CLOSE;
}

// It was cut because it gave no sign of life.
static bool
is_silent(const conn_t *conn)
{
    return conn->cut == CUT_HEARTBEAT || conn->cut == CUT_STALLED;
}

// What is under way is called back. At the end of a route it is left to the kernel, and may arrive though it counts as
// lost: a reset would take from the peer what its system has and it has not read.
static void
call_back(const conn_t *conn)
{
    struct linger at_once = { .l_onoff = 1 };
    if (conn->wire->hurries)
        return;
    setsockopt(conn->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

bool
settle_is_known(conn_t *conn, uint64_t *lost)
{
    const wire_t *wire = conn->wire;
    *lost = output_unacknowledged(conn);
    if (*lost == 0 || conn->fd == -1 || is_reset(conn))
        return true;
    if (!is_silent(conn) && wire->settling_count < SETTLING_MOST && !wire->hurries)
        return false;
    call_back(conn);
    return true;
}

void
settle_later(conn_t *conn)
{
    wire_t *wire = conn->wire;
    if (!conn->half_closed)
        shutdown(conn->fd, SHUT_WR);
    conn->half_closed = true;
    loop_forget(&wire->loop, conn->fd, &conn->watched);
    conn->deadline_ms = wire->now_ms + SETTLE_MS;
    conn->next = wire->settling;
    wire->settling = conn;
    wire->settling_count++;
    wire->next_tick_ms = wire->now_ms;
}

static void
lose(conn_t *conn, uint64_t messages)
{
    if (messages == 0)
        return;
    call_back(conn);
    conn->dropped += messages;
    port_drop(conn->port, DROP_PEER_LOST, messages);
    say_lost(conn, messages, 0);
}

void
settle_at_once(conn_t *conn)
{
    lose(conn, output_unacknowledged(conn));
}

static bool
settle(conn_t *conn)
{
    const wire_t *wire = conn->wire;
    uint64_t lost = output_unacknowledged(conn);
    bool is_late = wire->hurries || wire->now_ms >= conn->deadline_ms;
    if (lost > 0 && !is_late && !is_reset(conn))
        return false;
    lose(conn, lost);
    return true;
}

void
settle_tick(wire_t *self)
{
    for (conn_t **at = &self->settling; *at;) {
        conn_t *conn = *at;
        if (!settle(conn)) {
            at = &conn->next;
            continue;
        }
        *at = conn->next;
        self->settling_count--;
        conn_bury(conn);
    }
}
