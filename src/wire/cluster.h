// SPDX-License-Identifier: MPL-2.0
// cluster.h - a route that is one with those of other machines, by a stream on a NATS
// server: what comes in goes to the stream, and what comes from there goes out. So
// this route's own messages take the same way as those of others.

#ifndef ZB_WIRE_CLUSTER_H
#define ZB_WIRE_CLUSTER_H

#include "wire/internal.h"

// 0: of SELF, or it is not such a route. -1 with DIAG.
int cluster_open(wire_t *self, diag_t *diag);
void cluster_begin(wire_t *self);     // in the route's thread
void cluster_connect(wire_t *self);   // to the servers, when it is known where the route before was
void cluster_configure(wire_t *self); // its configuration has changed
void cluster_close(wire_t *self);

wport_t *cluster_port(wire_t *self); // where what comes in goes; NULL: there is no cluster

void cluster_room(wire_t *self); // peers may have room for more, or the mode has changed

void cluster_hear_others(wire_t *wire); // routes of this process may have sent something

bool cluster_has_workers(const wire_t *wire); // it is a streamer's
given_t cluster_keep(wire_t *wire,
                     const piece_t *piece); // at the end, of one that no worker took: for the stream, next time

void cluster_tick(wire_t *self);
bool cluster_is_away(const wire_t *self, char reason[256], int64_t *since_ms); // its stream
bool cluster_waits(const wire_t *self); // not all that came in is in the stream, which takes it
uint64_t cluster_close_outbox(wire_t *self,
                              int64_t wait_ms);   // it is on the disk then; returns how many messages are lost
void cluster_part(wire_t *self);                  // from the stream: others may have what is here

// Handing over: see handover.h. MAY_GO_ON: SUCCESSOR goes on with the stream, or neither has one. HAND_OVER, before the ports
// are saved: what was put is on the disk, and what nobody has got is given back; returns how many messages are lost. The
// workers' messages go with them; then cluster_part.
bool cluster_may_go_on(const wire_t *self, const route_conf_t *successor);
uint64_t cluster_hand_over(wire_t *self, int64_t wait_ms, record_t *to);
void cluster_restore(wire_t *self, record_fields_t from);

const char *cluster_failure(const route_t *self); // of the engine's record

#endif
