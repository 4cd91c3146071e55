// SPDX-License-Identifier: MPL-2.0
// internal.h - what a route of engine wire is made of. Only for the files of this
// room; everybody else has wire.h.
//
// A wire route has ports (its sides), a port has connections, a connection has a
// chunk that it reads into and a queue of spans that go out. Everything here
// belongs to the route's thread.

#ifndef ZB_WIRE_INTERNAL_H
#define ZB_WIRE_INTERNAL_H

#include "base/loop.h"
#include "base/record.h"
#include "conf/conf.h"
#include "flow/admission.h"
#include "flow/counters.h"
#include "flow/engine.h"
#include "flow/observers.h"
#include "net/dial.h"
#include "wire/chunk.h"
#include "wire/spans.h"
#include "wire/written.h"
#include "zmtp/frame.h"
#include "zmtp/handshake.h"
#include "zmtp/traffic.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct conn conn_t;
typedef struct dialled dialled_t;
typedef struct wport wport_t;
typedef struct remember remember_t;
typedef struct stored stored_t;
typedef struct archivelog archivelog_t;
typedef struct durable durable_t;
typedef struct durables durables_t;
typedef struct deadletters deadletters_t;
typedef struct stranger stranger_t;
typedef struct cluster cluster_t;
typedef struct ledger ledger_t;
typedef struct route wire_t; // this engine's

// --- a message on its way ---------------------------------------------------------

// Whole messages, as frames of ZMTP 2.0, one behind the other in a chunk.
typedef struct {
    conn_t *from;
    chunk_t *chunk;
    size_t at, size;
    load_t load;
    const uint8_t *prefix; // a frame that goes before them (a routing id), or NULL
    size_t prefix_size;
} piece_t;

typedef enum {
    GIVEN,
    NO_ROOM, // keep it: nobody can take it now
    DROPPED, // and counted
} given_t;

#define CUT_NONE CUT_REASONS // the peer has gone by itself

// --- one connection ----------------------------------------------------------------

typedef enum { CONN_GREETING, CONN_JUDGED, CONN_OPEN, CONN_ENDED } conn_state_t;

enum {
    URGENT_MAX = FRAME_SHORT_HEAD + TRAFFIC_PING_MAX,
    GREETING_READ = 4096, // bytes of a handshake that are read at once
};

struct conn {
    watched_t watched; // first: what the loop tells is about this
    int fd;
    wire_t *wire;
    wport_t *port;
    uint64_t id;
    conn_state_t state;
    bool ipc, outgoing;
    bool readable, writable; // as far as is known
    bool asks_for_room;      // the kernel is asked to tell when there is room (ipc)
    bool hung_up;            // its end is known; what came before it may still be read
    bool scheduled, dirty, parked;
    bool invited;            // has waited for room, and may take it
    bool full;               // no more messages until its queue is half empty
    bool broken;             // ends in its turn
    bool input_over, output_over; // the peer sends, takes nothing more
    bool left;               // has gone, and what it had sent waits
    bool shown;              // those who look on have seen the message at the start
    bool in_hand;            // its side has counted the message at the start as received
    bool answers_pings;      // of ZMTP 3.1, or it has sent a PING
    bool has_place;          // see places.h
    stranger_t *stranger;    // it is in its handshake, and came from there; NULL: it is not, or we went to it
    conn_t *next_unnamed, *previous_unnamed; // of those in their handshake
    bool half_closed;
    bool unsettled;          // it has ended, but for what is on the way to it: see settle.h
    bool turn_over;          // what else it has sent has another turn
    uint32_t asked;          // subscriptions in this turn

    // What comes in: [start, scan) is the message being collected, as frames; what
    // lies behind raw is not looked at yet.
    chunk_t *in;
    size_t start, scan, raw, want;
    bool as_it_comes; // what comes in can go out as it is
    bool whole;      // [start, scan) is a whole message
    bool unfinished; // memory became short while a message was on its way
    uint32_t parts;
    uint64_t payload;
    size_t hint;     // of the last large message

    // What goes out.
    spans_t out;
    size_t begun;            // bytes of a message that was given up in the middle
    struct {
        uint64_t messages, bytes;
    } beyond;            // of it, what does not count for its limits: see remember.h
    written_t *written;  // NULL before the first message
    chunk_t *stage;      // bytes as they go on the connection: of a handshake, or sealed
    size_t stage_at;
    size_t stage_spans;  // bytes of the queue that are in it
    uint8_t urgent[URGENT_MAX];
    uint8_t urgent_size, urgent_sent;

    handshake_t *handshake;
    curve_session_t *curve;
    uint8_t major, minor;
    int type; // of the peer's socket, -1: not said
    uint8_t *routing_id; // a queue's client: ours or its own
    uint8_t routing_id_size;
    uint8_t *prefix; // the frame with it, which goes before each of its messages; NULL: none does
    size_t prefix_size;
    uint32_t slot;       // its number among the peers of the port
    uint32_t place;      // in the port's array
    int64_t unanswered;  // requests of this client
    bool probed;         // the first thing that it sent was no request; see pump.c
    void *own;           // the socket type's

    conn_t *next_scheduled, *next_dirty, *next_parked;
    conn_t *next, *previous; // of the port, in whatever state

    char *peer_name;      // "192.0.2.1:40312", "ipc uid 1000 pid 4711"
    char *host;           // "192.0.2.1", "" over ipc
    char *user;           // as verified by us; NULL: nobody
    dialled_t *dialled;   // who made the connection; NULL: it was accepted
    const listener_t *listener; // through which it came; only to be compared
    char *said_id;              // the routing id that it claims; gives no right
    admission_rights_t *rights; // NULL: everything
    admission_ticket_t *ticket; // a verdict is awaited
    durable_t *durable;         // what stays of it while it is away; NULL: nothing
    uint8_t *said_durable;      // its property X-Durable
    uint8_t said_durable_size;
    uint64_t proof;             // of the verdict that let it in
    uint8_t *key;               // CURVE: its public one
    bool said_quota;            // that it is over one
    uint32_t denials;           // that were said
    int64_t slow_said_ms;

    int64_t since_wall_ns;
    int64_t deadline_ms; // of the handshake, or of one that was asked to leave
    int64_t moved_ms;    // when it took bytes last
    int64_t since_ms;
    int64_t heard_ms;    // when something came from it
    int64_t excused_ms;  // what stands there if nothing has come since, because it was not read
    int64_t read_ms;     // and when something came before
    int64_t fed_ms;      // when it got messages of ours
    int64_t ping_ms;     // our last PING
    int64_t pinged_ms;   // the first that it did not answer yet, 0: none
    int64_t asked_ms;    // when it sent a PING, or got the answer all the same
    int64_t asks_every_ms; // 0: it has sent none
    int64_t silence_ms;  // its own TTL: longer silence ends it. 0: none
    int64_t pings_spent_ms; // see pulse_may_ask
    uint64_t messages_received, messages_sent, received_bytes, sent_bytes, dropped;
    uint64_t sent_before; // messages, when the route's end looked last
    char reason[192];    // why it ends, in words
    cut_reason_t cut;    // CUT_NONE: we did not cut it
    bool refused;        // it did not pass its handshake
    handshake_reason_t refusal;
};

// --- one side ------------------------------------------------------------------------

// A socket type: how its peers are served. One record each.
typedef struct socktype {
    int type;
    // A peer has passed its handshake: 0, or -1 with conn_break (it may not stay).
    int (*joined)(conn_t *conn);
    void (*left)(conn_t *conn);
    // The same for one that comes from another route: it has been told all already. NULL: there is nothing to do.
    int (*rejoined)(conn_t *conn);
    // Take whole messages that go to this side's peers.
    given_t (*give)(wport_t *port, const piece_t *piece);
    // Hand on what CONN has, on a shorter way than one by one; see pump.h. NULL: there is none.
    bool (*pump)(conn_t *conn, wport_t *to);
    bool (*pump_in)(conn_t *conn); // the same by the side that has it, where others would hear one by one
    // What a peer sent is no message to hand on, and was dealt with. NULL: it always is one.
    // What is to be handed on may be changed.
    bool (*hears)(conn_t *conn, piece_t *piece);
    // A SUBSCRIBE or CANCEL from a peer, or a topic from the other side.
    void (*subscribed)(conn_t *conn, const uint8_t *topic, size_t size, bool on);
    void (*topic)(wport_t *port, const uint8_t *topic, size_t size, bool on);
    void (*close)(wport_t *port); // what it has of its own
    void (*tick)(wport_t *port);  // time has passed; NULL: it has no clock
    // Where more than a peer's queue says who may get something. NULL: nothing does.
    bool (*has_room)(wport_t *port);
    void (*made_room)(wport_t *port); // instead of waking all who wait for it
    void (*bequeath)(conn_t *conn);   // a peer has left: instead of giving its queue to others
    int speaks_as;                    // another type, towards peers; 0: none
    bool lets_go;                 // what a peer sends ends what is kept of others: it is read also when memory is short
    // That, for another route: before its peers come back. NULL: it all comes with them.
    void (*save)(const wport_t *port, record_t *to);
    void (*restore)(wport_t *port, record_fields_t from);
    bool keeps_for_others;        // what a peer leaves behind goes to the next one
    bool addresses;               // the first frame of what it sends says to whom
    bool one_frame;               // its peers take messages of one frame
    bool between;                 // it has no peers of its own: messages lie in it until others take them
} socktype_t;

struct wport {
    wire_t *wire;
    side_t side;
    const socktype_t *socktype;
    side_counters_t *counters;
    const side_conf_t *conf;
    wport_t *to;      // where its peers' messages go; NULL: nowhere
    bool input;       // they are new ones: not read while the route drains
    handshake_conf_t greeting;
    const admission_secrets_t *secrets;
    uint64_t terms;   // of who may come in, see terms.h
    bool locked;      // it needs keys, and has none: nobody comes in

    conn_t *conns;    // all, in whatever state
    conn_t **open;    // past their handshake: first those with room, then the full ones
    uint32_t count, ready, room;
    uint32_t turn;    // round robin
    uint32_t placed;  // that have a place: see places.h
    conn_t *newest_unnamed;
    uint32_t unnamed; // in their handshake
    conn_t *parked, **parked_end; // of other ports, until a peer here has room: first come, first served
    uint32_t waiting;             // messages that the socket type has taken and given to nobody
    bool is_full;     // that was said: max_clients is reached
    bool crowded;     // newcomers wait: see places.h
    bool contended;   // several waited for it: one message a turn
    spans_t returned; // of peers that left, or read ahead in the drain: before all others
    void *own;        // the socket type's
    durables_t *durables;   // subscribers with a name; NULL: they are like all others
    remember_t *remembered; // NULL: it forgets what it has published

    uint64_t sndhwm, rcvhwm, queue_bytes, maxmsgsize; // UINT64_MAX: no limit
    uint32_t max_parts;
    int64_t handshake_ms, heartbeat_ms, heartbeat_timeout_ms, heartbeat_ttl_ms;
    bool lossy;

    load_t received, sent; // since the counters were written last
    load_t queued;         // in the peers' queues now
    uint64_t queued_bytes;
    bool counted;          // there is something to write: it is in the route's list
    wport_t *next_counted;
    bool moved;            // messages were given to its peers in this round
    bool retried;          // those who waited try again: whether they still wait shows in the next round
};

// --- the route -------------------------------------------------------------------------

// A listening descriptor of a side.
typedef struct door {
    watched_t watched; // first
    wport_t *port;
    listener_t *listener; // held in the route's list
    bool open;            // newcomers are accepted
    struct door *next;
} door_t;

// An endpoint that a side connects to.
struct dialled {
    watched_t watched; // first
    wport_t *port;
    dial_t *dial;
    int fd;       // that the loop watches for it, -1: none
    conn_t *conn; // that it made, NULL: none now
    dialled_t *next;
};

struct route {
    route_base_t base; // first: what every route begins with
    const route_conf_t *conf;
    char *name;
    const route_resources_t *resources;
    counters_t *counters;
    cluster_t *cluster; // NULL: the route is on this machine alone

    loop_t loop;
    watched_t bell;
    wport_t ports[SIDES];
    door_t *doors;
    dialled_t *dialled;
    chunk_pool_t pool;
    conn_t *scheduled, **scheduled_end, *dirty, *ended;
    wport_t *counted; // sides whose counters are not written yet
    bool last_turn;   // nobody else has one in this round
    int64_t brought_ns; // what looking for remembered messages has taken in this round
    int64_t now_ns, now_ms, next_tick_ms;
    size_t alive; // connections

    conn_t *settling;      // see settle.h
    uint32_t settling_count;
    bool hurries;          // it waits for nobody any more
    stranger_t *strangers; // see strangers.h; NULL: there was none

    bool is_short;    // of memory: see shortage.h
    conn_t *spared;
    uint64_t spared_at; // its messages then
    int64_t patient_until_ms, room_since_ms;

    archivelog_t *archive; // NULL: what it keeps is in memory only
    uint64_t archived;  // at the end: what is below this sequence is on its disk
    stored_t *stored; // NULL: nothing goes over the disk
    const ledger_t *ledger; // of acknowledged producers and workers; NULL: there are none
    bool made_room;   // a queue that was full takes messages again
    bool closing;     // its end: nobody gets what a peer leaves behind
    bool draining;    // clients are sent away as soon as they owe and are owed nothing; what nobody has room for is kept
    int64_t ending_ms; // when that began
    bool frozen;      // paused: nothing is read or sent
    bool stopped;     // nothing new is read
    bool observed;    // somebody looks on or filters: messages go one by one
    int64_t pending;  // requests that were passed on and not answered
    uint64_t subscriptions; // of all subscribers together

    uint64_t generation; // of the policy that its connections were judged by
    observers_t observers;
    struct envelope *envelopes; // one for each side; NULL: none was needed yet

    route_leftover_t left;
    record_t saved;  // of the route before, until its thread runs
    bool handed_over;  // all that its peers had: nothing is left
};

#endif
