// SPDX-License-Identifier: MPL-2.0
#include "conf/pattern.h"
#include "base/mem.h"

#include <stddef.h>
#include <stdint.h>
#include <strings.h>

#include <zmq.h>

// zmq.h hides the draft types where the library was built without them; the
// numbers are part of its ABI.
enum { T_SERVER = 12, T_CLIENT, T_RADIO, T_DISH, T_GATHER, T_SCATTER, T_DGRAM, T_PEER, T_CHANNEL };

// PUBLISHES: each message to all who subscribe to it. ONE_FRAME: all that a message of the thread-safe sockets has. WIRE: engine wire has it.
enum { SENDS = 1, RECEIVES = 2, DRAFT = 4, ONE_FRAME = 8, WIRE = 16, PUBLISHES = 32 };

typedef struct {
    const char *name;
    int type;
    unsigned can;
    const char *refusal; // why no route can have it; NULL: it can
} socket_type_t;

// The first row of a number is its name of today, later ones are old names.
static const socket_type_t socket_types[] = {
    { "PAIR", ZMQ_PAIR, SENDS | RECEIVES | WIRE, NULL },
    { "PUB", ZMQ_PUB, SENDS | PUBLISHES | WIRE, NULL },
    { "SUB", ZMQ_SUB, RECEIVES | WIRE, NULL },
    { "REQ", ZMQ_REQ, SENDS | RECEIVES, "a REQ socket has to wait for each reply and cannot be proxied, DEALER can" },
    { "REP", ZMQ_REP, SENDS | RECEIVES,
      "a REP socket has to answer each request first and cannot be proxied, ROUTER can" },
    { "DEALER", ZMQ_DEALER, SENDS | RECEIVES | WIRE, NULL },
    { "ROUTER", ZMQ_ROUTER, SENDS | RECEIVES | WIRE, NULL },
    { "PULL", ZMQ_PULL, RECEIVES | WIRE, NULL },
    { "PUSH", ZMQ_PUSH, SENDS | WIRE, NULL },
    { "XPUB", ZMQ_XPUB, SENDS | RECEIVES | PUBLISHES | WIRE, NULL },
    { "XSUB", ZMQ_XSUB, SENDS | RECEIVES | WIRE, NULL },
    { "STREAM", ZMQ_STREAM, SENDS | RECEIVES, NULL },
    { "SERVER", T_SERVER, SENDS | RECEIVES | DRAFT,
      "a SERVER message forgets its sender on the way through and cannot be proxied, ROUTER can" },
    { "CLIENT", T_CLIENT, SENDS | RECEIVES | DRAFT | ONE_FRAME, NULL },
    { "RADIO", T_RADIO, SENDS | DRAFT, "RADIO needs the group of each message and cannot be proxied, PUB can" },
    { "DISH", T_DISH, RECEIVES | DRAFT, "DISH has to join each group by name and cannot be proxied, SUB can" },
    { "GATHER", T_GATHER, RECEIVES | DRAFT | ONE_FRAME | WIRE, NULL },
    { "SCATTER", T_SCATTER, SENDS | DRAFT | ONE_FRAME | WIRE, NULL },
    { "DGRAM", T_DGRAM, SENDS | RECEIVES | DRAFT, "DGRAM speaks udp only, which no route can" },
    { "PEER", T_PEER, SENDS | RECEIVES | DRAFT,
      "a PEER message forgets its sender on the way through and cannot be proxied, ROUTER can" },
    { "CHANNEL", T_CHANNEL, SENDS | RECEIVES | DRAFT | ONE_FRAME, NULL },
    { "XREQ", ZMQ_DEALER, SENDS | RECEIVES, NULL },
    { "XREP", ZMQ_ROUTER, SENDS | RECEIVES, NULL },
};

#define ALWAYS (1u << SIDE_FRONTEND | 1u << SIDE_BACKEND | 1u << SIDE_CAPTURE)
#define INGRESS (1u << SIDE_INGRESS)
#define ACKS (1u << SIDE_ACK | 1u << SIDE_WORKER_ACK)

static const pattern_t patterns[] = {
    // name       frontend     backend      flow        extra    draft
    { "forwarder", ZMQ_XSUB, ZMQ_XPUB, FLOW_BOTH, INGRESS, false },
    { "queue", ZMQ_ROUTER, ZMQ_DEALER, FLOW_BOTH, 0, false },
    { "streamer", ZMQ_PULL, ZMQ_PUSH, FLOW_DOWN, ACKS, false },
    { "pair", ZMQ_PAIR, ZMQ_PAIR, FLOW_BOTH, 0, false },
    { "pipeline", T_GATHER, T_SCATTER, FLOW_DOWN, 0, true },
    { "custom", -1, -1, FLOW_BOTH, 0, false },
};

bool
pattern_may_have(const pattern_t *self, side_t side)
{
    return (self->extra | ALWAYS) & 1u << side;
}

const char *
side_name(side_t side)
{
    static const char *const names[SIDES] = { "frontend", "backend", "ingress", "capture", "ack", "worker_ack" };
    return side < SIDES ? names[side] : "";
}

bool
side_takes_in(side_t side)
{
    return side == SIDE_FRONTEND || side == SIDE_INGRESS || side == SIDE_ACK;
}

const pattern_t *
pattern_at(unsigned i)
{
    return i < COUNT(patterns) ? &patterns[i] : NULL;
}

const pattern_t *
pattern_find(const char *name)
{
    for (size_t i = 0; i < COUNT(patterns); i++)
        if (strcasecmp(patterns[i].name, name) == 0)
            return &patterns[i];
    return NULL;
}

const char *
socket_type_at(unsigned i)
{
    return i < COUNT(socket_types) ? socket_types[i].name : NULL;
}

int
socket_type_find(const char *name)
{
    for (size_t i = 0; i < COUNT(socket_types); i++)
        if (strcasecmp(socket_types[i].name, name) == 0)
            return socket_types[i].type;
    return -1;
}

static const socket_type_t *
row_of(int type)
{
    static const socket_type_t unknown = { "?", -1, 0, "unknown socket type" };
    for (size_t i = 0; i < COUNT(socket_types); i++)
        if (socket_types[i].type == type)
            return &socket_types[i];
    return &unknown;
}

const char *
socket_type_name(int type)
{
    return row_of(type)->name;
}

bool
socket_type_sends(int type)
{
    return row_of(type)->can & SENDS;
}

bool
socket_type_receives(int type)
{
    return row_of(type)->can & RECEIVES;
}

bool
socket_type_is_draft(int type)
{
    return row_of(type)->can & DRAFT;
}

bool
socket_type_publishes(int type)
{
    return row_of(type)->can & PUBLISHES;
}

bool
socket_type_is_wire(int type)
{
    return row_of(type)->can & WIRE;
}

// Both take the first frame as the address of a peer of their own.
static bool
addresses_peers(int type)
{
    return type == ZMQ_ROUTER || type == ZMQ_STREAM;
}

// The address is a frame besides the message.
static bool
no_room_for_address(int type, int other)
{
    return addresses_peers(type) && (row_of(other)->can & ONE_FRAME);
}

static bool
speaks_both_ways(int type)
{
    return socket_type_sends(type) && socket_type_receives(type);
}

// XPUB hands out subscriptions and XSUB lives from them: the other side has to
// take part in both directions.
static bool
subscriptions_get_lost(int type, int other)
{
    return (type == ZMQ_XPUB || type == ZMQ_XSUB) && !speaks_both_ways(other);
}

bool
pattern_brings_in(int from, int to)
{
    return to != ZMQ_ROUTER && from != ZMQ_XPUB;
}

const char *
pattern_refusal(int frontend, int backend)
{
    if (row_of(frontend)->refusal)
        return row_of(frontend)->refusal;
    if (row_of(backend)->refusal)
        return row_of(backend)->refusal;
    if (addresses_peers(frontend) && addresses_peers(backend))
        return "a routing id of one side means nothing to the other";
    if (no_room_for_address(frontend, backend) || no_room_for_address(backend, frontend))
        return "CLIENT, CHANNEL, GATHER and SCATTER take one frame a message, ROUTER and STREAM need two";
    if (subscriptions_get_lost(frontend, backend) || subscriptions_get_lost(backend, frontend))
        return "subscriptions have no way through; use SUB or PUB, or XSUB with XPUB";
    if (pattern_flow(frontend, backend) == 0)
        return "neither side can send what the other receives";
    return NULL;
}

flow_t
pattern_flow(int frontend, int backend)
{
    unsigned flow = 0;
    if (row_of(frontend)->refusal || row_of(backend)->refusal)
        return 0;
    if (addresses_peers(frontend) && addresses_peers(backend))
        return 0;
    if (no_room_for_address(frontend, backend) || no_room_for_address(backend, frontend))
        return 0;
    if (subscriptions_get_lost(frontend, backend) || subscriptions_get_lost(backend, frontend))
        return 0;
    if (socket_type_receives(frontend) && socket_type_sends(backend))
        flow |= FLOW_DOWN;
    if (socket_type_receives(backend) && socket_type_sends(frontend))
        flow |= FLOW_UP;
    return (flow_t)flow;
}
