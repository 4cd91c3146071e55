// SPDX-License-Identifier: MPL-2.0
// conn.h - the lowest level of a connection: that it has something to do or to write, that
// it is to end, its buffers. One that fails is only marked: it ends in its turn
// (connlife.h), so it is never freed while it is used.

#ifndef ZB_WIRE_CONN_H
#define ZB_WIRE_CONN_H

#include "wire/internal.h"

// Without anything yet. It goes into its port's list once it is complete, or is scrapped; its descriptor stays open then.
conn_t *conn_blank(wport_t *port);
void conn_enter(conn_t *self);
void conn_scrap(conn_t *self);

void conn_schedule(conn_t *self); // it has something to do
void conn_wake_all(wire_t *wire); // every connection has its turn: what may move has changed

// It has something to write, at the end of the round.
static inline void
conn_mark(conn_t *self)
{
    if (self->dirty)
        return;
    self->dirty = true;
    self->next_dirty = self->wire->dirty;
    self->wire->dirty = self;
}

// It ends in its turn: WHY is for the counters, the words for the log.
void conn_break(conn_t *self, cut_reason_t why, const char *format, ...) __attribute__((format(printf, 3, 4)));

// The same before its handshake is done, or because of what that said.
void conn_refuse(conn_t *self, handshake_reason_t why, const char *format, ...) __attribute__((format(printf, 3, 4)));

// What input and output report.
void conn_end_of_input(conn_t *self, int error); // 0: an orderly end
void conn_write_failed(conn_t *self, int error);
void conn_ask_for_room(conn_t *self, bool on);

void conn_half_close(conn_t *self);                // we send no more; the peer sees the end
void conn_leave(conn_t *self, const char *reason); // the same, and it ends soon, whatever the peer does

// The steps of its end.
void conn_unlink(conn_t *self);       // out of its port's list
void conn_drop_buffers(conn_t *self); // all that came in and was to go out
void conn_bury(conn_t *self);         // it has ended, and goes at the end of the round
void conn_free(conn_t *self);         // nobody points to it

static inline chunk_pool_t *
conn_pool(const conn_t *self)
{
    return &self->wire->pool;
}

// What came in and nobody has taken.
static inline void
conn_drop_input(conn_t *self)
{
    if (self->in)
        chunk_drop(self->in);
    self->in = NULL;
    self->start = self->scan = self->raw = self->want = 0;
}

// Apart from memory nothing is in the way of what it has sent.
static inline bool
conn_may_go_on(const conn_t *self)
{
    const wire_t *wire = self->wire;
    return !self->parked && (self->beyond.messages == 0 || self->hung_up) && !wire->frozen &&
           !(wire->stopped && self->port->input);
}

static inline bool
conn_may(const conn_t *self, admission_act_t act, const uint8_t *topic, size_t size)
{
    return !self->rights || self->wire->resources->admission->may(self->rights, act, topic, size);
}

#endif
