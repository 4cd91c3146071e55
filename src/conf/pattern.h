// SPDX-License-Identifier: MPL-2.0
// pattern.h - the table of route types: which sockets a route has and which way
// its messages go. Nothing else in the program knows a route type by name.

#ifndef ZB_PATTERN_H
#define ZB_PATTERN_H

#include <stdbool.h>

// The sockets a route can have. Order is that of the dump.
typedef enum { SIDE_FRONTEND, SIDE_BACKEND, SIDE_INGRESS, SIDE_CAPTURE, SIDE_ACK, SIDE_WORKER_ACK, SIDES } side_t;

const char *side_name(side_t side);
bool side_takes_in(side_t side); // new messages come to it from outside

typedef enum { FLOW_DOWN = 1, FLOW_UP = 2, FLOW_BOTH = 3 } flow_t;

typedef struct {
    const char *name;
    int frontend;    // ZMQ_XSUB, …; -1: the route's frontend_type says
    int backend;
    flow_t flow;     // of custom: decided by the two socket types, see pattern_flow
    unsigned extra;  // bits of the sides that it may have beside frontend, backend and capture: see pattern_may_have
    bool draft;      // needs zmq_has ("draft")
} pattern_t;

bool pattern_may_have(const pattern_t *self, side_t side);

const pattern_t *pattern_at(unsigned i);           // NULL past the end
const pattern_t *pattern_find(const char *name);   // NULL: none of that name

// Socket types by name, in any case ("XSUB", "xrep" is ROUTER's old name); -1: none.
int socket_type_find(const char *name);
const char *socket_type_name(int type);            // "XSUB"
bool socket_type_sends(int type);
bool socket_type_receives(int type);
bool socket_type_publishes(int type);              // each message goes to all who subscribe to it
bool socket_type_is_draft(int type);               // of libzmq's; engine wire needs none
bool socket_type_is_wire(int type);                // engine wire has it

// The directions in which a pair of socket types can move messages: DOWN is
// frontend to backend. 0: they cannot be proxied.
flow_t pattern_flow(int frontend, int backend);

// Why that is so, as the end of a sentence; NULL: they can be proxied.
const char *pattern_refusal(int frontend, int backend);

// Are they new messages that go from a socket of type FROM to one of type TO? A ROUTER gets replies, and an XPUB hears
// subscriptions.
bool pattern_brings_in(int from, int to);

// Walk the names of all socket types, old ones included: NULL past the end.
const char *socket_type_at(unsigned i);

#endif
