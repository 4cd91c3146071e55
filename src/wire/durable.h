// SPDX-License-Identifier: MPL-2.0
// durable.h - subscribers with a name. While one is away its subscriptions stay, and
// what matches them is kept, within limits; when it comes back it gets that first.
//
// Its name is the user as whom it was verified, else the property X-Durable of its
// handshake, else the identity of a peer of ZMTP 1.0 or 2.0. Its number among the
// subscribers of the side stays its own.
//
// Where the route has an archive all of that is on disk, too: who it is and what it asks
// for as soon as it asks for something, what is kept for it as soon as it is away. What
// it missed is kept until it was sent, so after a crash some of it may come twice.

#ifndef ZB_WIRE_DURABLE_H
#define ZB_WIRE_DURABLE_H

#include "wire/internal.h"
#include "wire/kept.h"

// All of PORT, or NULL: it has none.
durables_t *durables_new(wport_t *port);
void durables_free(durables_t **self_p);

// CONN has come: 1, it was here before, and has its number again; 0, it needs a new one, and is then to be entered;
// -1 with conn_refuse: one of its name is here already.
int durables_join(durables_t *self, conn_t *conn);
uint32_t durables_free_number(const durables_t *self); // that nobody has, here or away
void durables_enter(durables_t *self, conn_t *conn);
bool durables_bring(durables_t *self, conn_t *conn); // what was kept for it. False: it had not been away
// CONN leaves. False: it was nothing, or is to be forgotten.
bool durables_leave(durables_t *self, conn_t *conn);

// CONN comes with all that it has from another route.
void durables_came_over(conn_t *conn);
void durables_topic(conn_t *conn, const uint8_t *topic, size_t size, bool on); // its subscriptions have changed
void durables_gets_more(conn_t *conn); // in its queue comes what was not published now

bool durables_has(const durables_t *self, uint32_t number); // the number of one that is not connected

// What is published is kept for the one of that number. One that is connected has it in its queue, too.
bool durables_keeps(const durables_t *self, uint32_t number);
void durables_put(durables_t *self, uint32_t number, const kept_t *kept);
void durables_take(durable_t *self, spans_t *spans); // what was in its queue
// At the end of the route: what is in the queue of CONN goes to the disk, if it is a durable subscriber and there is one.
// Returns how many messages had begun: those are lost.
uint64_t durables_keep_queue(conn_t *conn);

// Handing over those that are away; the others come with their connections. Returns how many messages were kept for them
// in all; SELF may be NULL then: they are forgotten.
void durables_save(const durables_t *self, record_t *to);
uint64_t durables_restore(durables_t *self, record_fields_t from);
void durables_hand_over(durables_t *self); // those that come with their connections

// The archive: what it has noted happens again, then whoever was connected is away.
void durables_begin_reading(durables_t *self);
void durables_read(wport_t *port, record_fields_t from);
void durables_are_read(durables_t *self);

// All of them are written once more, some in a turn, from the first one after rewinding. True: that was all.
uint64_t durables_known(const durables_t *self);
uint64_t durables_needed(const durables_t *self); // notes and messages
void durables_rewind(durables_t *self);
bool durables_write_some(durables_t *self);

// Whoever is away for longer than durable_time is forgotten.
void durables_tick(durables_t *self);

void durables_list(const durables_t *self, client_list_t *list); // those who are away
bool durables_forget(durables_t *self, uint64_t id); // false: nobody who is away has this id

#endif
