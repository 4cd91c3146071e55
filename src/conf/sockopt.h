// SPDX-License-Identifier: MPL-2.0
// sockopt.h - the table of socket options a proxy's socket can take: every one
// of zmq_setsockopt(3) in libzmq 4.3.4 and 4.3.5, named as there, in lower case
// without ZMQ_.

#ifndef ZB_SOCKOPT_H
#define ZB_SOCKOPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum {
    SOCKOPT_INT,
    SOCKOPT_BOOL,
    SOCKOPT_INT64,
    SOCKOPT_UINT64,
    SOCKOPT_MS,        // an int of milliseconds, written with ms, s, m, h
    SOCKOPT_SECONDS,   // an int of seconds, written likewise
    SOCKOPT_SIZE,      // an int of bytes, written with k, M, G
    SOCKOPT_SIZE64,
    SOCKOPT_TEXT,      // a string
    SOCKOPT_BYTES,     // a string that may be binary (routing ids, filters): no NUL inside
    SOCKOPT_SWITCH,    // an int: yes, no, or -1 for what the system does
} sockopt_kind_t;

#define ON(type) (1u << (type)) // a set of socket types

// What engine wire, which has no libzmq sockets, does with it.
typedef enum {
    WIRE_REFUSES = 1,         // it cannot do that: the route needs engine zmq
    WIRE_HONOURS,             // the same as libzmq
    WIRE_NO_USE,              // nothing: its connections have none of what the option is about
} wire_use_t;

typedef struct {
    const char *key;
    int option;               // ZMQ_LINGER
    sockopt_kind_t kind;
    int64_t min, max;         // in libzmq's unit; text: of the length
    uint32_t sockets;         // ON(ZMQ_PUB) | …: what it fits
    unsigned flags;           // SOCKOPT_*
    wire_use_t wire;
    const char *initial;      // libzmq's default as text, for the man page and -T
} sockopt_t;

#define SOCKOPT_DRAFT 1u      // only where the library has drafts (or takes it anyway: probed)
#define SOCKOPT_LIVE 2u       // takes effect on a running socket: a reload need not re-create the route
#define SOCKOPT_LIST 4u       // may be given several times (subscribe)
#define SOCKOPT_WIRE_LIVE 16u // …on a route of engine wire
#define SOCKOPT_ZERO_OPEN 32u // 0 is no limit
#define SOCKOPT_AUTO 8u       // linger: also takes "auto", which conf handles

// What zmq.h hides where its library was built without drafts. The numbers are
// part of libzmq's ABI: 4.3.4 ends at 112, the rest came with 4.3.5.
#define SOCKOPT_NUMBER_METADATA 95
#define SOCKOPT_NUMBER_MULTICAST_LOOP 96
#define SOCKOPT_NUMBER_ROUTER_NOTIFY 97
#define SOCKOPT_NUMBER_SOCKS_USERNAME 99
#define SOCKOPT_NUMBER_IN_BATCH_SIZE 101
#define SOCKOPT_NUMBER_OUT_BATCH_SIZE 102
#define SOCKOPT_NUMBER_WSS_HOSTNAME 106
#define SOCKOPT_NUMBER_WSS_TRUST_SYSTEM 107
#define SOCKOPT_NUMBER_ONLY_FIRST_SUBSCRIBE 108
#define SOCKOPT_NUMBER_RECONNECT_STOP 109
#define SOCKOPT_NUMBER_HELLO_MSG 110
#define SOCKOPT_NUMBER_DISCONNECT_MSG 111
#define SOCKOPT_NUMBER_PRIORITY 112
#define SOCKOPT_NUMBER_BUSY_POLL 113
#define SOCKOPT_NUMBER_HICCUP_MSG 114
#define SOCKOPT_NUMBER_XSUB_VERBOSE_UNSUBSCRIBE 115
#define SOCKOPT_NUMBER_NORM_MODE 117
#define SOCKOPT_NUMBER_NORM_UNICAST_NACK 118
#define SOCKOPT_NUMBER_NORM_BUFFER_SIZE 119
#define SOCKOPT_NUMBER_NORM_SEGMENT_SIZE 120
#define SOCKOPT_NUMBER_NORM_BLOCK_SIZE 121
#define SOCKOPT_NUMBER_NORM_NUM_PARITY 122
#define SOCKOPT_NUMBER_NORM_NUM_AUTOPARITY 123
#define SOCKOPT_NUMBER_NORM_PUSH 124

typedef union {
    int64_t number;
    char *text;               // owned by whoever parsed it
} sockopt_value_t;

const sockopt_t *sockopt_at(unsigned i);          // NULL past the end, sorted by key
const sockopt_t *sockopt_find(const char *key);   // also old spellings (identity, …); NULL: none

// Old spellings. SECOND is the other option that "hwm" sets, else NULL;
// INVERTED: "ipv4only" says the opposite of ipv6.
typedef struct {
    const char *old, *key, *second;
    bool inverted;
} sockopt_old_t;

const sockopt_old_t *sockopt_old_at(unsigned i);          // NULL past the end
const sockopt_old_t *sockopt_old_find(const char *key);   // NULL: KEY is not an old spelling

// Options of libzmq that a file cannot set: NULL, or the reason for KEY.
const char *sockopt_refusal(const char *key);
const char *sockopt_refusal_at(unsigned i, const char **reason); // walk them

// Parse TEXT as OPTION's kind and check its range. Returns 0, or -1 with a
// message in REASON (at most SIZE bytes), which is never NULL.
int sockopt_parse(const sockopt_t *option, const char *text, sockopt_value_t *value, char *reason, size_t size);

// VALUE as it would be written in a file, canonical: parsing it again gives VALUE. The caller frees.
char *sockopt_print(const sockopt_t *option, sockopt_value_t value);

// Is VALUE not libzmq's own default?
bool sockopt_differs(const sockopt_t *option, sockopt_value_t value);

// Set it on a libzmq socket: 0, or -1 with zmq_errno.
int sockopt_set(const sockopt_t *option, void *socket, sockopt_value_t value);

// Does the library that runs know it? Probed on a socket of a context of its own, once.
bool sockopt_works(const sockopt_t *option);

#endif
