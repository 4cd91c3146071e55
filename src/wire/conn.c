// SPDX-License-Identifier: MPL-2.0
#include "wire/conn.h"

#include "base/clock.h"
#include "base/mem.h"
#include "flow/client.h"
#include "wire/connect.h"
#include "wire/durable.h"
#include "wire/input.h"
#include "wire/login.h"
#include "wire/output.h"
#include "wire/places.h"
#include "wire/port.h"
#include "wire/pulse.h"
#include "wire/pump.h"
#include "wire/say.h"
#include "wire/settle.h"
#include "wire/shortage.h"
#include "wire/strangers.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    ORPHAN_BYTES = 16 * 1024 * 1024,
    LEAVE_MS = 5000,
    PROMPT_MS = 100, // a peer that says nothing is told more
};

// Every change is told once. AF_UNIX would tell of each byte that the peer takes, so there room is asked for when it is missed.
#define WATCHED_EVENTS ((uint32_t)(EPOLLIN | EPOLLRDHUP | EPOLLET))

// --- turns -------------------------------------------------------------------------

void
conn_schedule(conn_t *self)
{
    wire_t *wire = self->wire;
    if (self->scheduled || self->state == CONN_ENDED)
        return;
    self->scheduled = true;
    self->next_scheduled = NULL;
    *wire->scheduled_end = self;
    wire->scheduled_end = &self->next_scheduled;
}

static void
on_ready(watched_t *watched, uint32_t events)
{
    conn_t *self = (conn_t *)watched;
    if (self->state == CONN_ENDED)
        return;
    if (events & EPOLLOUT && !self->writable) {
        self->writable = true;
        output_mark(self);
    }
    if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        self->hung_up = true;
    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
        self->readable = true;
        conn_schedule(self);
    }
}

void
conn_ask_for_room(conn_t *self, bool on)
{
    if (!self->ipc || self->asks_for_room == on)
        return;
    self->asks_for_room = on;
    loop_change(&self->wire->loop, self->fd, WATCHED_EVENTS | (on ? EPOLLOUT : 0), &self->watched);
}

// --- beginning ---------------------------------------------------------------------

conn_t *
conn_blank(wport_t *port)
{
    conn_t *self = xcalloc(1, sizeof *self);
    self->watched.ready = on_ready;
    self->fd = -1;
    self->wire = port->wire;
    self->port = port;
    self->cut = CUT_NONE;
    self->readable = self->writable = true;
    self->full = true; // until it is open
    self->type = -1;
    self->major = 3;
    return self;
}

void
conn_enter(conn_t *self)
{
    wport_t *port = self->port;
    wire_t *wire = self->wire;
    self->next = port->conns;
    if (self->next)
        self->next->previous = self;
    port->conns = self;
    wire->alive++;
    if (wire->next_tick_ms > wire->now_ms + PROMPT_MS)
        wire->next_tick_ms = wire->now_ms + PROMPT_MS;
    if (self->fd != -1 && loop_watch(&wire->loop, self->fd, WATCHED_EVENTS | (self->ipc ? 0 : EPOLLOUT), &self->watched) == -1)
        conn_break(self, CUT_NONE, "%s", strerror(errno));
    conn_schedule(self);
}

conn_t *
conn_new(wport_t *port, int fd, dialled_t *dialled, const char *peer_name, const char *host)
{
    int64_t now_ms = port->wire->now_ms;
    conn_t *self = conn_blank(port);
    self->fd = fd;
    self->id = client_next_id();
    self->ipc = !*host;
    self->outgoing = dialled != NULL;
    self->dialled = dialled;
    self->peer_name = xstrdup(peer_name);
    self->host = xstrdup(host);
    self->since_wall_ns = clock_wall_ns();
    self->since_ms = self->heard_ms = self->moved_ms = self->asked_ms = now_ms;
    self->deadline_ms = port->handshake_ms > 0 ? now_ms + port->handshake_ms : INT64_MAX;
    self->handshake = handshake_new(&port->greeting);
    conn_enter(self);
    login_greet(self);
    return self;
}

// --- the end -----------------------------------------------------------------------

static void
set_reason(conn_t *self, const char *format, va_list arguments)
{
    vsnprintf(self->reason, sizeof self->reason, format, arguments);
}

void
conn_break(conn_t *self, cut_reason_t why, const char *format, ...)
{
    if (self->broken)
        return;
    va_list arguments;
    va_start(arguments, format);
    set_reason(self, format, arguments);
    va_end(arguments);
    self->cut = why;
    self->broken = true;
    conn_schedule(self);
}

void
conn_refuse(conn_t *self, handshake_reason_t why, const char *format, ...)
{
    if (self->broken)
        return;
    va_list arguments;
    va_start(arguments, format);
    set_reason(self, format, arguments);
    va_end(arguments);
    if (self->stranger && why != HANDSHAKE_LIMITED)
        strangers_failed(self->stranger, self->wire->now_ms);
    self->refused = true;
    self->refusal = why;
    self->broken = true;
    conn_schedule(self);
}

void
conn_end_of_input(conn_t *self, int error)
{
    self->hung_up = self->input_over = true;
    if (!*self->reason)
        snprintf(self->reason, sizeof self->reason, "%s", error ? strerror(error) : "the peer has left");
}

// What came in before is delivered, as with libzmq: only the end of the input is the end.
void
conn_write_failed(conn_t *self, int error)
{
    if (!*self->reason)
        snprintf(self->reason, sizeof self->reason, "%s", strerror(error));
    self->output_over = true;
    self->readable = true;
    self->hung_up = true;
    conn_schedule(self);
}

static void
give_to_others(conn_t *self)
{
    wport_t *port = self->port;
    if (port->socktype->bequeath && self->own) {
        port->socktype->bequeath(self);
        return;
    }
    bool keep = (port->socktype->keeps_for_others && !port->wire->closing) || self->durable;
    spans_t unbegun = { 0 };
    uint64_t on_the_way;
    self->unsettled = !settle_is_known(self, &on_the_way);
    load_t lost = output_abandon(self, keep ? &unbegun : NULL);
    uint64_t requeued = self->durable ? 0 : unbegun.load.messages;
    if (self->durable)
        durables_take(self->durable, &unbegun);
    if (requeued > 0)
        port_return(port, &unbegun);
    lost.messages += self->unsettled ? 0 : on_the_way;
    self->dropped += lost.messages;
    if (self->cut == CUT_STALLED && lost.messages > 0) { // the one that held up the others
        port_drop(port, DROP_STALLED, 1);
        lost.messages--;
    }
    port_drop(port, DROP_PEER_LOST, lost.messages);
    if (requeued > 0)
        counter_add(&self->wire->counters->requeued, requeued);
    say_lost(self, lost.messages, requeued);
}

// What it had sent and nobody has taken.
static void
drop_unread(conn_t *self)
{
    uint64_t messages = self->port->to && !self->port->socktype->hears ? pump_discard(self) : 0;
    port_drop(self->port, self->cut == CUT_AUTH ? DROP_ACL : DROP_PEER_LOST, messages);
    self->dropped += messages;
}

static void
unlink_conn(conn_t *self)
{
    if (self->next)
        self->next->previous = self->previous;
    if (self->previous)
        self->previous->next = self->next;
    else
        self->port->conns = self->next;
}

static void
leave_port(conn_t *self)
{
    if (self->state == CONN_OPEN)
        port_leave(self);
    places_leave(self);
    places_named(self);
    port_forget_parked(self);
    give_to_others(self);
    unlink_conn(self);
}

static void
forget(conn_t *self)
{
    input_free(self);
    shortage_forget(self);
    login_forget(self);
    self->wire->alive--;
}

// Its memory goes at the end of the round: somebody may be looking at it.
void
conn_bury(conn_t *self)
{
    if (self->fd != -1)
        close(self->fd);
    self->fd = -1;
    self->next = self->wire->ended;
    self->wire->ended = self;
}

static void
drop_buffers(conn_t *self)
{
    input_free(self);
    spans_clear(&self->out);
    if (self->stage)
        chunk_drop(self->stage);
    self->stage = NULL;
}

static __attribute__((noinline)) void
end(conn_t *self)
{
    wire_t *wire = self->wire;
    bool was_open = self->state == CONN_OPEN;
    if (was_open)
        drop_unread(self);
    leave_port(self);
    say_ended(self, was_open);
    self->state = CONN_ENDED;
    connect_ended(self, was_open);
    forget(self);
    (self->unsettled ? settle_later : conn_bury)(self);
    wire->made_room = true;
}

void
conn_vanish(conn_t *self)
{
    self->state = CONN_ENDED;
    if (self->fd != -1)
        loop_forget(&self->wire->loop, self->fd, &self->watched);
    places_hand_over(self);
    unlink_conn(self);
    drop_buffers(self);
    forget(self);
    self->fd = -1; // which is somebody else's now
    conn_bury(self);
}

void
conn_scrap(conn_t *self)
{
    drop_buffers(self);
    handshake_destroy(&self->handshake);
    conn_free(self);
}

void
conn_free(conn_t *self)
{
    if (self->curve) {
        curve_wipe(self->curve);
        free(self->curve);
    }
    free(self->routing_id);
    free(self->prefix);
    free(self->written);
    free(self->peer_name);
    free(self->host);
    free(self->user);
    free(self->key);
    free(self->said_id);
    free(self->said_durable);
    free(self);
}

// --- its turn ----------------------------------------------------------------------

static bool
may_read(const conn_t *self)
{
    return conn_may_go_on(self) && !shortage_stops(self);
}

// Everything that came in was handed on, and no more will come.
static bool
is_over(const conn_t *self)
{
    return self->input_over && !self->parked;
}

static void
serve_open(conn_t *self)
{
    if (!conn_may_go_on(self))
        return;
    self->turn_over = false;
    self->asked = 0;
    if (self->in && !pump(self))
        return;
    if (shortage_stops(self)) {
        input_rest(self); // with what it keeps empty the shortage would never end
        return;
    }
    if (self->readable && input_read(self) && !pump(self))
        return;
    if (self->readable && !self->broken)
        conn_schedule(self);
    input_rest(self);
    if (is_over(self))
        conn_break(self, CUT_NONE, "%s", self->reason);
}

void
conn_serve(conn_t *self)
{
    if (self->state == CONN_ENDED)
        return;
    if (self->broken) {
        end(self);
        return;
    }
    if (self->state == CONN_GREETING)
        login_go_on(self);
    if (self->state == CONN_OPEN)
        serve_open(self);
    chunk_pool_tell(conn_pool(self));
}

// --- commands ----------------------------------------------------------------------

void
conn_hears(conn_t *self, const traffic_t *command)
{
    const socktype_t *socktype = self->port->socktype;
    if (command->kind == TRAFFIC_PING)
        pulse_hears_ping(self, command);
    else if ((command->kind == TRAFFIC_SUBSCRIBE || command->kind == TRAFFIC_CANCEL) && socktype->subscribed)
        socktype->subscribed(self, command->data, command->size, command->kind == TRAFFIC_SUBSCRIBE);
}

// --- time --------------------------------------------------------------------------

// The peer has gone, and nobody reads what it had sent: that waits without a
// descriptor and without a place. What is more than we keep for one that has gone is
// dropped with it.
static void
let_go(conn_t *self)
{
    do
        self->want = 2 * input_size(self) + CHUNK_BYTES; // all of it in few steps
    while (input_size(self) < ORPHAN_BYTES && input_read(self));
    if (!self->input_over)
        conn_end_of_input(self, 0);
    self->output_over = true;
    self->writable = false;
    places_leave(self);
    settle_at_once(self);
    say_ended(self, true);
    self->left = true;
    close(self->fd); // and out of the loop
    self->fd = -1;
}

static bool
tick_open(conn_t *self)
{
    bool read = may_read(self);
    if (self->fd == -1)
        return false;
    if (self->half_closed && self->wire->now_ms >= self->deadline_ms)
        conn_break(self, CUT_NONE, "%s", self->reason);
    else if (!read && self->hung_up && !self->wire->is_short)
        let_go(self);
    else
        return pulse_tick(self, read);
    return false;
}

bool
conn_tick(conn_t *self)
{
    if (self->state == CONN_OPEN && !self->broken)
        return tick_open(self);
    if (self->handshake && self->wire->now_ms >= self->deadline_ms)
        conn_refuse(self, HANDSHAKE_TIMEOUT, "its handshake was not done within handshake_ivl");
    else if (self->handshake && self->state == CONN_GREETING)
        login_prompt(self);
    return false;
}

void
conn_half_close(conn_t *self)
{
    if (self->half_closed || self->state == CONN_ENDED || self->fd == -1)
        return;
    self->half_closed = true;
    if (self->state == CONN_OPEN)
        self->deadline_ms = INT64_MAX;
    shutdown(self->fd, SHUT_WR);
}

void
conn_leave(conn_t *self, const char *reason)
{
    if (self->state != CONN_OPEN) {
        conn_break(self, CUT_NONE, "%s", reason);
        return;
    }
    snprintf(self->reason, sizeof self->reason, "%s", reason);
    conn_half_close(self);
    self->deadline_ms = self->wire->now_ms + LEAVE_MS;
}
