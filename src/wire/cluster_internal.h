// SPDX-License-Identifier: MPL-2.0
// cluster_internal.h - what a cluster is made of; only for cluster.c, fromstream.c, which
// gives out what comes from the stream, and clusterrecord.c.

#ifndef ZB_WIRE_CLUSTER_INTERNAL_H
#define ZB_WIRE_CLUSTER_INTERNAL_H

#include "store/jetstream.h"
#include "wire/cluster.h"
#include "wire/handed.h"
#include "wire/outbox.h"

struct cluster {
    wire_t *wire;
    wport_t port; // has no peers, but a stream
    side_counters_t counters;
    watched_t watched;
    int bell;
    jetstream_t *jetstream;
    outbox_t *outbox; // what waits for it
    char *prefix;     // of the subjects, where each topic has one
    jetstream_message_t *in_hand;
    int64_t in_hand_ms;
    handed_set_t *handed; // of a streamer
    bool is_ready;        // its stream, as we have heard
    bool acked_first;     // whose turn it is of plain and acknowledged workers, while both want messages
    letterbox_t *letters; // NULL: it has no acknowledged workers
    int64_t kept_ms;      // when the stream heard last of those that are held
    jetstream_place_t place; // where the route before was in the stream
    int64_t part_by_ms;      // it goes to another route, which waits no longer; 0: it ends
    uint32_t wants;
    char failure[300];
};

void fromstream_turn(cluster_t *self); // give out what has come, and ask for more
void fromstream_tick(cluster_t *self);
void fromstream_end(cluster_t *self); // others may have what is here
// What becomes of a message that workers_take was given under this number. Not DONE: any machine may get it.
void fromstream_done(cluster_t *self, uint64_t number, bool done);

// --- clusterrecord.c: a message that a worker has, for the ledger of the next route; see ledger.h

void clusterrecord_save_held(wire_t *wire, uint64_t number, record_t *to);
uint64_t clusterrecord_restore_held(wire_t *wire, record_fields_t from);

#endif
