// SPDX-License-Identifier: MPL-2.0
#include "wire/login.h"

#include "base/kernel.h"
#include "base/mem.h"
#include "net/origin.h"
#include "wire/conn.h"
#include "wire/dialled.h"
#include "wire/input.h"
#include "wire/options.h"
#include "wire/output.h"
#include "wire/places.h"
#include "wire/port.h"
#include "wire/say.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

static const admission_t *
guard_of(const wire_t *wire)
{
    return wire->resources->admission;
}

// --- a side ------------------------------------------------------------------------

static handshake_mechanism_t
mechanism_of(const side_conf_t *side)
{
    security_t mechanism = side->security.mechanism;
    return mechanism == SECURITY_PLAIN ? HANDSHAKE_PLAIN : mechanism == SECURITY_CURVE ? HANDSHAKE_CURVE : HANDSHAKE_NULL;
}

static bool
is_server(const side_conf_t *side)
{
    for (size_t i = 0; i < side->endpoint_count; i++)
        if (!side->endpoints[i].connect)
            return true;
    return false;
}

_Static_assert(offsetof(admission_secrets_t, secret_key) - offsetof(admission_secrets_t, public_key)
                   == offsetof(curve_keys_t, secret_key) - offsetof(curve_keys_t, public_key),
               "the keys of a side lie as curve_keys_t has them");

static void
take_secrets(wport_t *port)
{
    const admission_t *guard = guard_of(port->wire);
    const admission_secrets_t *secrets = guard ? guard->secrets(guard->arg, port->wire->name, port->side) : NULL;
    if (port->secrets)
        guard->secrets_free(&port->secrets);
    port->secrets = secrets;
    if (!secrets)
        return;
    port->greeting.curve_keys = (const curve_keys_t *)(const void *)secrets->public_key; // not copied: see the assertion
    port->greeting.curve_server = secrets->peer_key;
    port->greeting.user = secrets->username;
    port->greeting.password = secrets->password;
}

void
login_configure(wport_t *port)
{
    const side_conf_t *side = port->conf;
    const char *id = options_text(side, "routing_id");
    handshake_mechanism_t mechanism = mechanism_of(side);
    port->greeting = (handshake_conf_t){
        .type = port->socktype->speaks_as ? port->socktype->speaks_as : side->type,
        .mechanism = mechanism,
        .as_server = is_server(side),
        .old_peers = mechanism == HANDSHAKE_NULL,
        .asks = is_server(side) && guard_of(port->wire),
        .identity = (const uint8_t *)id,
        .identity_size = id ? strlen(id) : 0,
    };
    take_secrets(port);
    bool needs_keys = mechanism == HANDSHAKE_CURVE || (mechanism == HANDSHAKE_PLAIN && !port->greeting.as_server);
    port->locked = needs_keys && !port->secrets && guard_of(port->wire);
    for (conn_t *conn = port->conns; port->locked && conn; conn = conn->next)
        if (conn->handshake)
            conn_refuse(conn, HANDSHAKE_AUTH, "the keys of this side are gone");
}

void
login_unconfigure(wport_t *port)
{
    const admission_t *guard = guard_of(port->wire);
    if (port->secrets)
        guard->secrets_free(&port->secrets);
}

// --- the guard ---------------------------------------------------------------------

bool
login_admits(const wport_t *port, const char *host)
{
    const admission_t *guard = guard_of(port->wire);
    return !guard || guard->address(guard->arg, port->wire->name, port->side, host) == ADMISSION_WELCOME;
}

static admission_login_t
login_of(const conn_t *conn)
{
    return (admission_login_t){
        .route = conn->wire->name,
        .side = conn->port->side,
        .address = conn->host,
        .mechanism = conn->port->conf->security.mechanism,
        .key = conn->key,
        .user = conn->user ? conn->user : "",
        .proof = conn->proof,
        .client = conn->said_id ? conn->said_id : "",
    };
}

static void
take_verdict(conn_t *conn, const admission_verdict_t *verdict)
{
    if (verdict->status == ADMISSION_WAITS) {
        conn->state = CONN_JUDGED;
        return;
    }
    conn->state = CONN_GREETING;
    conn->proof = verdict->proof;
    if (verdict->status == ADMISSION_WELCOME && *verdict->user)
        conn->user = xstrdup(verdict->user);
    if (verdict->status != ADMISSION_WELCOME)
        conn_refuse(conn, HANDSHAKE_AUTH, "refused: %s", verdict->reason ? verdict->reason : "not admitted");
    handshake_verdict(conn->handshake, (handshake_verdict_t)verdict->status);
}

static void
ask(conn_t *conn)
{
    const admission_t *guard = guard_of(conn->wire);
    handshake_claim_t claim = handshake_claim(conn->handshake);
    admission_verdict_t verdict = { 0 };
    admission_claim_t words = {
        .route = conn->wire->name,
        .side = conn->port->side,
        .address = conn->host,
        .origin = origin_of_peer(conn->fd),
        .mechanism = conn->port->conf->security.mechanism,
        .key = claim.public_key,
        .name = claim.user.at,
        .name_size = claim.user.size,
        .password = claim.password.at,
        .password_size = claim.password.size,
    };
    if (claim.public_key) {
        conn->key = xcalloc(1, CURVE_KEY);
        memcpy(conn->key, claim.public_key, CURVE_KEY);
    }
    guard->claim(guard->arg, &words, conn->wire->base.thread.bell, &conn->ticket, &verdict);
    take_verdict(conn, &verdict);
}

void
login_forget(conn_t *conn)
{
    const admission_t *guard = guard_of(conn->wire);
    if (conn->ticket)
        guard->forget(guard->arg, &conn->ticket);
    if (conn->rights)
        guard->rights_free(&conn->rights);
    handshake_destroy(&conn->handshake);
}

// Of any peer, also of one that we went to.
static void
take_rights(conn_t *conn)
{
    const admission_t *guard = guard_of(conn->wire);
    if (!guard)
        return;
    admission_login_t login = login_of(conn);
    if (conn->rights)
        guard->rights_free(&conn->rights);
    conn->rights = guard->rights(guard->arg, &login);
}

void
login_review(conn_t *conn)
{
    const admission_t *guard = guard_of(conn->wire);
    const char *reason = "";
    if (conn->state != CONN_OPEN)
        return;
    admission_login_t login = login_of(conn);
    if (guard->review(guard->arg, &login, &conn->rights, &reason) == ADMISSION_GOES)
        conn_break(conn, CUT_AUTH, "no longer admitted: %s", reason);
}

void
login_again(conn_t *conn)
{
    take_rights(conn);
    if (guard_of(conn->wire))
        login_review(conn);
}

// --- through ------------------------------------------------------------------------

static void
take_peer(conn_t *conn)
{
    const handshake_peer_t *peer = handshake_peer(conn->handshake);
    conn->major = peer->major;
    conn->minor = peer->minor;
    conn->type = peer->type;
    conn->answers_pings = peer->major == 3 && peer->minor >= 1;
    if (peer->identity_size > 0) {
        conn->said_id = xstrndup((const char *)peer->identity, peer->identity_size);
        conn->routing_id = xcalloc(1, peer->identity_size);
        memcpy(conn->routing_id, peer->identity, peer->identity_size);
        conn->routing_id_size = peer->identity_size;
    }
    if (peer->durable_size > 0 && conn->port->durables) {
        conn->said_durable = xcalloc(1, peer->durable_size);
        memcpy(conn->said_durable, peer->durable, peer->durable_size);
        conn->said_durable_size = peer->durable_size;
    }
    conn->as_it_comes = peer->major >= 2;
    curve_session_t session;
    if (handshake_take_session(conn->handshake, &session)) {
        conn->curve = xcalloc(1, sizeof session);
        *conn->curve = session;
        conn->as_it_comes = false;
        curve_wipe(&session);
    }
}

// The last words of the handshake go before all messages.
static void
stage_output(conn_t *conn)
{
    size_t size;
    const uint8_t *bytes = handshake_output(conn->handshake, &size);
    if (size == 0)
        return;
    conn->stage = chunk_new(conn_pool(conn), size);
    memcpy(conn->stage->data, bytes, size);
    conn->stage->size = size;
    conn_mark(conn);
}

// probe_router: a ROUTER there learns who we are.
static void
probe(conn_t *conn)
{
    if (side_option(conn->port->conf, "probe_router", 0))
        output_frame(conn, 0, NULL, 0, NULL, 0);
}

static void
open_connection(conn_t *conn)
{
    take_peer(conn);
    stage_output(conn);
    handshake_destroy(&conn->handshake);
    take_rights(conn);
    places_named(conn);
    if (!places_enter(conn))
        return;
    conn->full = false;
    if (port_join(conn) == -1)
        return;
    probe(conn);
    conn->state = CONN_OPEN;
    dialled_opened(conn);
    say_opened(conn);
}

static const handshake_reason_t reasons[FAULTS] = {
    [FAULT_GREETING] = HANDSHAKE_GREETING, [FAULT_VERSION] = HANDSHAKE_VERSION,   [FAULT_MECHANISM] = HANDSHAKE_MECHANISM,
    [FAULT_TYPE] = HANDSHAKE_TYPE,         [FAULT_AUTH] = HANDSHAKE_AUTH,         [FAULT_PROTOCOL] = HANDSHAKE_PROTOCOL,
    [FAULT_PEER_ERROR] = HANDSHAKE_AUTH,
};

static void
look_at_state(conn_t *conn)
{
    handshake_state_t state = handshake_state(conn->handshake);
    if (state == HANDSHAKE_ASKS)
        ask(conn);
    state = handshake_state(conn->handshake);
    if (state == HANDSHAKE_READY)
        open_connection(conn);
    else if (state == HANDSHAKE_FAILED)
        conn_refuse(conn, reasons[handshake_fault(conn->handshake)], "%s", handshake_words(conn->handshake));
}

static void
flush(conn_t *conn)
{
    size_t size;
    if (!conn->handshake)
        return;
    const uint8_t *bytes = handshake_output(conn->handshake, &size);
    if (size == 0)
        return;
    ssize_t sent = kernel_send(conn->fd, bytes, size);
    if (sent > 0)
        handshake_sent(conn->handshake, (size_t)sent);
    conn->writable = sent == (ssize_t)size;
    conn_ask_for_room(conn, !conn->writable);
}

// Take what came, until a verdict is awaited or the connection is open: the rest waits, or is traffic.
static void
feed(conn_t *conn, const uint8_t *bytes, size_t size)
{
    size_t at = 0;
    while (conn->state == CONN_GREETING && !conn->broken) {
        size_t taken = handshake_feed(conn->handshake, bytes + at, size - at);
        at += taken;
        look_at_state(conn);
        if (taken == 0)
            break;
    }
    flush(conn);
    if (at < size && !conn->broken)
        input_begin(conn, bytes + at, size - at);
}

void
login_greet(conn_t *conn)
{
    flush(conn);
}

// What had come while the verdict was awaited.
static void
feed_kept(conn_t *conn)
{
    uint8_t bytes[GREETING_READ];
    size_t size = conn->in ? conn->in->size - conn->start : 0;
    if (size > sizeof bytes)
        size = sizeof bytes;
    if (size > 0)
        memcpy(bytes, conn->in->data + conn->start, size);
    conn_drop_input(conn);
    feed(conn, bytes, size);
}

void
login_answer(conn_t *conn)
{
    const admission_t *guard = guard_of(conn->wire);
    admission_verdict_t verdict = { 0 };
    if (conn->state != CONN_JUDGED || !guard->answer(guard->arg, &conn->ticket, &verdict))
        return;
    take_verdict(conn, &verdict);
    flush(conn);
    feed_kept(conn);
    conn_schedule(conn);
}

// A verdict that was awaited is asked for once more.
void
login_resume(conn_t *conn)
{
    conn->state = CONN_GREETING;
    look_at_state(conn);
    flush(conn);
    if (conn->state == CONN_GREETING)
        feed_kept(conn);
    else if (conn->state == CONN_OPEN)
        conn_schedule(conn);
}

void
login_go_on(conn_t *conn)
{
    uint8_t bytes[GREETING_READ];
    while (conn->readable && conn->state == CONN_GREETING && !conn->broken) {
        ssize_t got = kernel_recv(conn->fd, bytes, sizeof bytes);
        if (got > 0) {
            conn->readable = (size_t)got == sizeof bytes || conn->hung_up;
            conn->heard_ms = conn->wire->now_ms;
            feed(conn, bytes, (size_t)got);
            continue;
        }
        conn->readable = false;
        if (got == 0) {
            handshake_left(conn->handshake);
            look_at_state(conn);
        } else if (errno != EAGAIN && errno != EINTR)
            conn_refuse(conn, HANDSHAKE_PROTOCOL, "%s", strerror(errno));
    }
    if (conn->writable)
        flush(conn);
}

void
login_prompt(conn_t *conn)
{
    handshake_prompt(conn->handshake);
    if (conn->writable)
        flush(conn);
}
