// SPDX-License-Identifier: MPL-2.0
// gate.h - what looks at one route's traffic: topic rights and quotas.
//
// Quotas alone leave the XPUB's own bookkeeping in place (XPUB_VERBOSER: it
// tells us of every subscription) and only decide what goes up: a subscription
// over a limit is not passed on. Manual mode would keep it out of libzmq's table
// too, but up to 4.3.4 a subscriber that leaves before its subscription is read
// leaves a dangling pointer there, and anybody could do that.
//
// Rights need manual mode (XPUB_MANUAL): we subscribe each client to what it may
// read of what it asked for (acl_cover), nothing else. A prefix that cannot be
// told from what the client may not read is checked: just before such a message
// the client's connection is shut, so that it never gets it; it comes back by
// itself. A subscription is only entered while its connection is seen to live.
//
// Everything but gate_new, gate_resume and gate_free is called by whoever has the route's turn (flow/turn.h).

#ifndef ZB_GATE_H
#define ZB_GATE_H

#include "conf/conf.h"
#include "flow/counters.h"
#include "flow/filter.h"
#include "flow/topics.h"
#include "guard/inforce.h"

typedef struct gate gate_t;

// How the XPUB of CONF must be set; NULL SIDE: the route has none.
typedef enum { GATE_OPEN, GATE_COUNTS, GATE_MANUAL } gate_mode_t;
gate_mode_t gate_mode(const route_conf_t *conf, side_t side);

// NULL: CONF needs none. CONF, COUNTERS and INFORCE, where rights come from, outlive
// it; TOPICS are shared: it alone says in them who asks for what.
gate_t *gate_new(const route_conf_t *conf, counters_t *counters, topics_t *topics, inforce_t *inforce);
filter_t *gate_filter(gate_t *self); // its own, valid as long as the gate

// The route goes on with another CONF, on the same sockets: keep who is there.
// False: that is not possible, make a new one.
bool gate_resume(gate_t *self, const route_conf_t *conf, counters_t *counters, const topics_t *topics);

const char *gate_route(const gate_t *self);
void *gate_socket(const gate_t *self); // the XPUB it saw last, NULL: none yet
void gate_cut(gate_t *self);           // every connection that subscribes

void gate_free(gate_t **self_p);

#endif
