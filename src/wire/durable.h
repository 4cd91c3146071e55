// SPDX-License-Identifier: MPL-2.0
// durable.h - subscribers with a name. While one is away its subscriptions stay, and
// what matches them is kept, within limits; when it comes back it gets that first.
//
// Its name is the user as whom it was verified, else the property X-Durable of its
// handshake, else the identity of a peer of ZMTP 1.0 or 2.0. Its number among the
// subscribers of the side stays its own.

#ifndef ZB_WIRE_DURABLE_H
#define ZB_WIRE_DURABLE_H

#include "wire/internal.h"

// All of PORT, or NULL: it has none.
durables_t *durables_new(wport_t *port);
void durables_free(durables_t **self_p);

// CONN has come: 1, it was here before, and has its number again; 0, it needs a new one, and is then to be entered;
// -1 with conn_refuse: one of its name is here already.
int durables_join(durables_t *self, conn_t *conn);
void durables_enter(durables_t *self, conn_t *conn);
bool durables_bring(durables_t *self, conn_t *conn); // what was kept for it. False: it had not been away
// CONN leaves. False: it was nothing, or is to be forgotten.
bool durables_leave(durables_t *self, conn_t *conn);

bool durables_has(const durables_t *self, uint32_t number); // the number of one that is away

void durables_put(durables_t *self, uint32_t number, const piece_t *piece);
void durables_take(durable_t *self, spans_t *spans); // what was in its queue

// Handing over those that are away; the others come with their connections. Returns how many messages were kept for them
// in all; SELF may be NULL then: they are forgotten.
void durables_save(const durables_t *self, record_t *to);
uint64_t durables_restore(durables_t *self, record_fields_t from);

// Whoever is away for longer than durable_time is forgotten.
void durables_tick(durables_t *self);

void durables_list(const durables_t *self, client_list_t *list); // those who are away
bool durables_forget(durables_t *self, uint64_t id); // false: nobody who is away has this id

#endif
