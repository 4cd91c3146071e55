// SPDX-License-Identifier: MPL-2.0
#include "wire/conn.h"

#include "base/mem.h"
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

void
conn_wake_all(wire_t *wire)
{
    for (side_t side = 0; side < SIDES; side++)
        for (conn_t *self = wire->ports[side].conns; self; self = self->next) {
            conn_schedule(self);
            conn_mark(self);
        }
    wire->made_room = true;
}

static void
on_ready(watched_t *watched, uint32_t events)
{
    conn_t *self = (conn_t *)watched;
    if (self->state == CONN_ENDED)
        return;
    if (events & EPOLLOUT && !self->writable) {
        self->writable = true;
        conn_mark(self);
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

// --- in the list of its port ---------------------------------------------------------

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
    if (self->fd != -1 &&
        loop_watch(&wire->loop, self->fd, WATCHED_EVENTS | (self->ipc ? 0 : EPOLLOUT), &self->watched) == -1)
        conn_break(self, CUT_NONE, "%s", strerror(errno));
    conn_schedule(self);
}

void
conn_unlink(conn_t *self)
{
    if (self->next)
        self->next->previous = self->previous;
    if (self->previous)
        self->previous->next = self->next;
    else
        self->port->conns = self->next;
    self->wire->alive--;
}

// --- marked to end -------------------------------------------------------------------

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

// --- the end -------------------------------------------------------------------------

void
conn_drop_buffers(conn_t *self)
{
    conn_drop_input(self);
    spans_clear(&self->out);
    if (self->stage)
        chunk_drop(self->stage);
    self->stage = NULL;
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

void
conn_scrap(conn_t *self)
{
    conn_drop_buffers(self);
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
