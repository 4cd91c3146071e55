// SPDX-License-Identifier: MPL-2.0
// conn.h - one connection from its accept or connect to its end: greeting, login,
// traffic, and why it ended. One that fails is only marked: it ends in its turn, so
// that nobody loses what he is looking at.

#ifndef ZB_WIRE_CONN_H
#define ZB_WIRE_CONN_H

#include "wire/internal.h"

// Take over FD, which is connected to the peer of that name and host. DIALLED: who made the connection; NULL: it was accepted.
conn_t *conn_new(wport_t *port, int fd, dialled_t *dialled, const char *peer_name, const char *host);

// For one that comes from another route: without anything yet, and into its port's list once it is complete.
conn_t *conn_blank(wport_t *port);
void conn_enter(conn_t *self);
void conn_scrap(conn_t *self); // instead of that; its descriptor stays open

// It goes on elsewhere, with its descriptor: here nobody is told. What its port has of it is the caller's business.
void conn_vanish(conn_t *self);

void conn_schedule(conn_t *self); // it has something to do
void conn_serve(conn_t *self);    // its turn

// It ends in its turn: WHY is for the counters, the words for the log.
void conn_break(conn_t *self, cut_reason_t why, const char *format, ...) __attribute__((format(printf, 3, 4)));

// The same before its handshake is done, or because of what that said.
void conn_refuse(conn_t *self, handshake_reason_t why, const char *format, ...) __attribute__((format(printf, 3, 4)));

// What input and output report.
void conn_end_of_input(conn_t *self, int error); // 0: an orderly end
void conn_write_failed(conn_t *self, int error);
void conn_hears(conn_t *self, const traffic_t *command);
void conn_ask_for_room(conn_t *self, bool on);

bool conn_tick(conn_t *self);       // heartbeats and deadlines. True: the next one should come soon
void conn_half_close(conn_t *self); // we send no more; the peer sees the end
void conn_leave(conn_t *self, const char *reason); // the same, and it ends soon, whatever the peer does
void conn_bury(conn_t *self);       // it has ended, and goes at the end of the round
void conn_free(conn_t *self);       // nobody points to it

static inline chunk_pool_t *
conn_pool(const conn_t *self)
{
    return &self->wire->pool;
}

static inline bool
conn_may(const conn_t *self, admission_act_t act, const uint8_t *topic, size_t size)
{
    return !self->rights || self->wire->resources->admission->may(self->rights, act, topic, size);
}

#endif
