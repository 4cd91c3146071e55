// SPDX-License-Identifier: MPL-2.0
#include "conf/sockopt.h"
#include "base/mem.h"
#include "conf/units.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zmq.h>

// The draft types by number, see socket_types in pattern.c.
#define ON_SERVER ON(12)
#define ON_CLIENT ON(13)
#define ON_PEER ON(19)
#define ON_ANY 0x1fffffu
#define ON_ZMTP (ON_ANY & ~ON(ZMQ_STREAM))
#define ON_PUBLISHER (ON(ZMQ_PUB) | ON(ZMQ_XPUB))

#define LIVE SOCKOPT_LIVE
#define DRAFT SOCKOPT_DRAFT
#define WIRE_LIVE SOCKOPT_WIRE_LIVE
#define NUMBER(name) SOCKOPT_NUMBER_##name

// Texts are short enough to be a line of a file with any key before them.
// Ranges are the intersection of what 4.3.4 and 4.3.5 take, narrower only where
// a value could do nothing but harm.
// clang-format off
static const sockopt_t sockopts[] = {
    // key                      libzmq                          kind             min  max        sockets         flags  wire          initial
    {"affinity",                ZMQ_AFFINITY,                   SOCKOPT_UINT64,  0,   INT64_MAX, ON_ANY,         0,     WIRE_NO_USE,  "0"},
    {"backlog",                 ZMQ_BACKLOG,                    SOCKOPT_INT,     0,   INT_MAX,   ON_ANY,         0,     WIRE_HONOURS, "100"},
    {"bindtodevice",            ZMQ_BINDTODEVICE,               SOCKOPT_TEXT,    1,   15,        ON_ANY,         0,     WIRE_HONOURS, ""},
    {"busy_poll",               NUMBER(BUSY_POLL),              SOCKOPT_INT,     0,   INT_MAX,   ON_ANY,         DRAFT, WIRE_HONOURS, "0"},
    {"conflate",                ZMQ_CONFLATE,                   SOCKOPT_BOOL,    0,   1,         ON(ZMQ_PULL) | ON(ZMQ_PUSH) | ON(ZMQ_SUB) | ON(ZMQ_PUB) | ON(ZMQ_DEALER), 0, WIRE_REFUSES, "no"},
    {"connect_routing_id",      ZMQ_CONNECT_ROUTING_ID,         SOCKOPT_BYTES,   1,   255,       ON(ZMQ_ROUTER) | ON(ZMQ_STREAM), 0, WIRE_HONOURS, ""},
    {"connect_timeout",         ZMQ_CONNECT_TIMEOUT,            SOCKOPT_MS,      0,   INT_MAX,   ON_ANY,         WIRE_LIVE, WIRE_HONOURS, "0"},
    {"disconnect_msg",          NUMBER(DISCONNECT_MSG),         SOCKOPT_BYTES,   1,   4000,      ON(ZMQ_ROUTER) | ON_SERVER | ON_PEER, DRAFT, WIRE_REFUSES, ""},
    {"gssapi_principal_nametype", ZMQ_GSSAPI_PRINCIPAL_NAMETYPE, SOCKOPT_INT,    0,   2,         ON_ZMTP,        0,     WIRE_NO_USE,  "0"},
    {"gssapi_service_principal_nametype", ZMQ_GSSAPI_SERVICE_PRINCIPAL_NAMETYPE, SOCKOPT_INT, 0, 2, ON_ZMTP,     0,     WIRE_NO_USE,  "0"},
    {"handshake_ivl",           ZMQ_HANDSHAKE_IVL,              SOCKOPT_MS,      0,   INT_MAX,   ON_ZMTP,        WIRE_LIVE, WIRE_HONOURS, "30s"},
    {"heartbeat_ivl",           ZMQ_HEARTBEAT_IVL,              SOCKOPT_MS,      0,   INT_MAX,   ON_ZMTP,        WIRE_LIVE, WIRE_HONOURS, "0"},
    {"heartbeat_timeout",       ZMQ_HEARTBEAT_TIMEOUT,          SOCKOPT_MS,      0,   INT_MAX,   ON_ZMTP,        WIRE_LIVE, WIRE_HONOURS, "-1"},
    {"heartbeat_ttl",           ZMQ_HEARTBEAT_TTL,              SOCKOPT_MS,      0,   65500,     ON_ZMTP,        WIRE_LIVE, WIRE_HONOURS, "0"},
    {"hello_msg",               NUMBER(HELLO_MSG),              SOCKOPT_BYTES,   1,   4000,      ON(ZMQ_ROUTER) | ON(ZMQ_DEALER) | ON_CLIENT | ON_SERVER | ON_PEER, DRAFT, WIRE_REFUSES, ""},
    {"hiccup_msg",              NUMBER(HICCUP_MSG),             SOCKOPT_BYTES,   1,   4000,      ON(ZMQ_DEALER) | ON_CLIENT | ON_PEER, DRAFT, WIRE_REFUSES, ""},
    {"immediate",               ZMQ_IMMEDIATE,                  SOCKOPT_BOOL,    0,   1,         ON_ANY,         0,     WIRE_HONOURS, "no"},
    {"in_batch_size",           NUMBER(IN_BATCH_SIZE),          SOCKOPT_SIZE,    1,   INT_MAX,   ON_ANY,         DRAFT, WIRE_NO_USE,  "8k"},
    {"invert_matching",         ZMQ_INVERT_MATCHING,            SOCKOPT_BOOL,    0,   1,         ON_PUBLISHER | ON(ZMQ_SUB), 0, WIRE_HONOURS, "no"},
    {"ipv6",                    ZMQ_IPV6,                       SOCKOPT_BOOL,    0,   1,         ON_ANY,         0,     WIRE_HONOURS, "no"},
    {"linger",                  ZMQ_LINGER,                     SOCKOPT_MS,      0,   INT_MAX,   ON_ANY,         LIVE | SOCKOPT_AUTO, WIRE_HONOURS, "-1"},
    {"maxmsgsize",              ZMQ_MAXMSGSIZE,                 SOCKOPT_SIZE64,  -1,  INT64_MAX, ON_ANY,         WIRE_LIVE, WIRE_HONOURS, "-1"},
    {"metadata",                NUMBER(METADATA),               SOCKOPT_TEXT,    4,   4000,      ON_ZMTP,        DRAFT | SOCKOPT_LIST, WIRE_REFUSES, ""},
    {"multicast_hops",          ZMQ_MULTICAST_HOPS,             SOCKOPT_INT,     1,   255,       ON_ANY,         0,     WIRE_NO_USE,  "1"},
    {"multicast_loop",          NUMBER(MULTICAST_LOOP),         SOCKOPT_BOOL,    0,   1,         ON_ANY,         DRAFT, WIRE_NO_USE,  "yes"},
    {"multicast_maxtpdu",       ZMQ_MULTICAST_MAXTPDU,          SOCKOPT_SIZE,    1,   65535,     ON_ANY,         0,     WIRE_NO_USE,  "1500"},
    {"norm_block_size",         NUMBER(NORM_BLOCK_SIZE),        SOCKOPT_INT,     1,   255,       ON_ANY,         DRAFT, WIRE_NO_USE,  "16"},
    {"norm_buffer_size",        NUMBER(NORM_BUFFER_SIZE),       SOCKOPT_INT,     1,   INT_MAX,   ON_ANY,         DRAFT, WIRE_NO_USE,  "2048"},
    {"norm_mode",               NUMBER(NORM_MODE),              SOCKOPT_INT,     0,   4,         ON_ANY,         DRAFT, WIRE_NO_USE,  "1"},
    {"norm_num_autoparity",     NUMBER(NORM_NUM_AUTOPARITY),    SOCKOPT_INT,     0,   254,       ON_ANY,         DRAFT, WIRE_NO_USE,  "0"},
    {"norm_num_parity",         NUMBER(NORM_NUM_PARITY),        SOCKOPT_INT,     0,   254,       ON_ANY,         DRAFT, WIRE_NO_USE,  "4"},
    {"norm_push",               NUMBER(NORM_PUSH),              SOCKOPT_BOOL,    0,   1,         ON_ANY,         DRAFT, WIRE_NO_USE,  "no"},
    {"norm_segment_size",       NUMBER(NORM_SEGMENT_SIZE),      SOCKOPT_INT,     1,   65535,     ON_ANY,         DRAFT, WIRE_NO_USE,  "1400"},
    {"norm_unicast_nack",       NUMBER(NORM_UNICAST_NACK),      SOCKOPT_BOOL,    0,   1,         ON_ANY,         DRAFT, WIRE_NO_USE,  "no"},
    {"only_first_subscribe",    NUMBER(ONLY_FIRST_SUBSCRIBE),   SOCKOPT_BOOL,    0,   1,         ON(ZMQ_XPUB) | ON(ZMQ_XSUB), DRAFT, WIRE_REFUSES, "no"},
    {"out_batch_size",          NUMBER(OUT_BATCH_SIZE),         SOCKOPT_SIZE,    1,   INT_MAX,   ON_ANY,         DRAFT, WIRE_NO_USE,  "8k"},
    {"priority",                NUMBER(PRIORITY),               SOCKOPT_INT,     0,   INT_MAX,   ON_ANY,         DRAFT, WIRE_HONOURS, "0"},
    {"probe_router",            ZMQ_PROBE_ROUTER,               SOCKOPT_BOOL,    0,   1,         ON(ZMQ_ROUTER) | ON(ZMQ_DEALER), 0, WIRE_HONOURS, "no"},
    {"rate",                    ZMQ_RATE,                       SOCKOPT_INT,     1,   INT_MAX,   ON_ANY,         0,     WIRE_NO_USE,  "100"},
    {"rcvbuf",                  ZMQ_RCVBUF,                     SOCKOPT_SIZE,    -1,  INT_MAX,   ON_ANY,         0,     WIRE_HONOURS, "-1"},
    {"rcvhwm",                  ZMQ_RCVHWM,                     SOCKOPT_INT,     0,   INT_MAX,   ON_ANY,         WIRE_LIVE | SOCKOPT_ZERO_OPEN, WIRE_HONOURS, "1000"},
    {"reconnect_ivl",           ZMQ_RECONNECT_IVL,              SOCKOPT_MS,      -1,  INT_MAX,   ON_ANY,         WIRE_LIVE, WIRE_HONOURS, "100ms"},
    {"reconnect_ivl_max",       ZMQ_RECONNECT_IVL_MAX,          SOCKOPT_MS,      0,   INT_MAX,   ON_ANY,         WIRE_LIVE, WIRE_HONOURS, "0"},
    {"reconnect_stop",          NUMBER(RECONNECT_STOP),         SOCKOPT_INT,     0,   7,         ON_ANY,         DRAFT, WIRE_REFUSES, "0"},
    {"recovery_ivl",            ZMQ_RECOVERY_IVL,               SOCKOPT_MS,      0,   INT_MAX,   ON_ANY,         0,     WIRE_NO_USE,  "10s"},
    {"router_handover",         ZMQ_ROUTER_HANDOVER,            SOCKOPT_BOOL,    0,   1,         ON(ZMQ_ROUTER), 0,     WIRE_HONOURS, "no"},
    {"router_mandatory",        ZMQ_ROUTER_MANDATORY,           SOCKOPT_BOOL,    0,   1,         ON(ZMQ_ROUTER), 0,     WIRE_HONOURS, "no"},
    {"router_notify",           NUMBER(ROUTER_NOTIFY),          SOCKOPT_INT,     0,   3,         ON(ZMQ_ROUTER), DRAFT, WIRE_REFUSES, "0"},
    {"routing_id",              ZMQ_ROUTING_ID,                 SOCKOPT_BYTES,   1,   255,       ON(ZMQ_ROUTER) | ON(ZMQ_DEALER), 0, WIRE_HONOURS, ""},
    {"sndbuf",                  ZMQ_SNDBUF,                     SOCKOPT_SIZE,    -1,  INT_MAX,   ON_ANY,         0,     WIRE_HONOURS, "-1"},
    {"sndhwm",                  ZMQ_SNDHWM,                     SOCKOPT_INT,     0,   INT_MAX,   ON_ANY,         WIRE_LIVE | SOCKOPT_ZERO_OPEN, WIRE_HONOURS, "1000"},
    {"socks_proxy",             ZMQ_SOCKS_PROXY,                SOCKOPT_TEXT,    1,   255,       ON_ANY,         0,     WIRE_REFUSES, ""},
    {"socks_username",          NUMBER(SOCKS_USERNAME),         SOCKOPT_TEXT,    1,   255,       ON_ANY,         DRAFT, WIRE_REFUSES, ""},
    {"stream_notify",           ZMQ_STREAM_NOTIFY,              SOCKOPT_BOOL,    0,   1,         ON(ZMQ_STREAM), 0,     WIRE_NO_USE,  "yes"},
    {"subscribe",               ZMQ_SUBSCRIBE,                  SOCKOPT_BYTES,   0,   4000,      ON(ZMQ_SUB),    SOCKOPT_LIST, WIRE_HONOURS, ""},
    {"tcp_keepalive",           ZMQ_TCP_KEEPALIVE,              SOCKOPT_SWITCH,  -1,  1,         ON_ANY,         0,     WIRE_HONOURS, "-1"},
    {"tcp_keepalive_cnt",       ZMQ_TCP_KEEPALIVE_CNT,          SOCKOPT_INT,     -1,  127,       ON_ANY,         0,     WIRE_HONOURS, "-1"},
    {"tcp_keepalive_idle",      ZMQ_TCP_KEEPALIVE_IDLE,         SOCKOPT_SECONDS, -1,  32767,     ON_ANY,         0,     WIRE_HONOURS, "-1"},
    {"tcp_keepalive_intvl",     ZMQ_TCP_KEEPALIVE_INTVL,        SOCKOPT_SECONDS, -1,  32767,     ON_ANY,         0,     WIRE_HONOURS, "-1"},
    {"tcp_maxrt",               ZMQ_TCP_MAXRT,                  SOCKOPT_MS,      0,   INT_MAX,   ON_ANY,         0,     WIRE_HONOURS, "0"},
    {"tos",                     ZMQ_TOS,                        SOCKOPT_INT,     0,   255,       ON_ANY,         0,     WIRE_HONOURS, "0"},
    {"wss_hostname",            NUMBER(WSS_HOSTNAME),           SOCKOPT_TEXT,    1,   255,       ON_ANY,         DRAFT, WIRE_NO_USE,  ""},
    {"wss_trust_system",        NUMBER(WSS_TRUST_SYSTEM),       SOCKOPT_BOOL,    0,   1,         ON_ANY,         DRAFT, WIRE_NO_USE,  "no"},
    {"xpub_nodrop",             ZMQ_XPUB_NODROP,                SOCKOPT_BOOL,    0,   1,         ON_PUBLISHER,   0,     WIRE_HONOURS, "no"},
    {"xpub_verbose",            ZMQ_XPUB_VERBOSE,               SOCKOPT_BOOL,    0,   1,         ON(ZMQ_XPUB),   0,     WIRE_HONOURS, "no"},
    {"xpub_verboser",           ZMQ_XPUB_VERBOSER,              SOCKOPT_BOOL,    0,   1,         ON(ZMQ_XPUB),   0,     WIRE_HONOURS, "no"},
    {"xpub_welcome_msg",        ZMQ_XPUB_WELCOME_MSG,           SOCKOPT_BYTES,   1,   4000,      ON(ZMQ_XPUB),   0,     WIRE_HONOURS, ""},
    {"xsub_verbose_unsubscribe", NUMBER(XSUB_VERBOSE_UNSUBSCRIBE), SOCKOPT_BOOL, 0,   1,         ON(ZMQ_XSUB),   DRAFT, WIRE_REFUSES, "no"},
};

static const sockopt_old_t old_names[] = {
    {"connect_rid",             "connect_routing_id", NULL,     false},
    {"delay_attach_on_connect", "immediate",          NULL,     false},
    {"fail_unroutable",         "router_mandatory",   NULL,     false},
    {"hwm",                     "sndhwm",             "rcvhwm", false},
    {"identity",                "routing_id",         NULL,     false},
    {"ipv4only",                "ipv6",               NULL,     true},
    {"router_behavior",         "router_mandatory",   NULL,     false},
};

static const struct {
    const char *key, *reason;
} refused[] = {
    {"curve_publickey",     "keys are read from certificate files: client_cert, server_cert"},
    {"curve_secretkey",     "keys are read from certificate files: client_cert, server_cert"},
    {"curve_server",        "write security = curve"},
    {"curve_serverkey",     "keys are read from certificate files: peer_cert"},
    {"gssapi_server",       "write security = gssapi"},
    {"ipc_filter_gid",      "deprecated by libzmq; use ipc_mode and ipc_group"},
    {"ipc_filter_pid",      "deprecated by libzmq; use ipc_mode and ipc_group"},
    {"ipc_filter_uid",      "deprecated by libzmq; use ipc_mode and ipc_group"},
    {"loopback_fastpath",   "does nothing outside Windows"},
    {"plain_password",      "a password does not belong in this file; write plain_password_file"},
    {"plain_server",        "write security = plain"},
    {"rcvtimeo",            "a route never waits in a receive"},
    {"req_correlate",       "only REQ has it, and REQ cannot be proxied"},
    {"req_relaxed",         "only REQ has it, and REQ cannot be proxied"},
    {"router_raw",          "deprecated by libzmq; use a custom route with a STREAM side"},
    {"sndtimeo",            "a route never waits in a send"},
    {"socks_password",      "a password does not belong in this file, and libzmq reads it from nowhere else"},
    {"tcp_accept_filter",   "deprecated by libzmq; use allow and deny"},
    {"unsubscribe",         "leave out the subscribe line instead"},
    {"use_fd",              "listening descriptors are handed over by systemd or kept by zbroker itself"},
    {"vmci_buffer_max_size", "zbroker has no vmci transport"},
    {"vmci_buffer_min_size", "zbroker has no vmci transport"},
    {"vmci_buffer_size",    "zbroker has no vmci transport"},
    {"vmci_connect_timeout", "zbroker has no vmci transport"},
    {"wss_cert_pem",        "a certificate has several lines, a value has one"},
    {"wss_key_pem",         "a key does not belong in this file"},
    {"wss_trust_pem",       "a certificate has several lines, a value has one"},
    {"xpub_manual",         "a forwarder subscribes nobody by itself"},
    {"xpub_manual_last_value", "a forwarder subscribes nobody by itself"},
    {"zap_domain",          "zbroker answers for itself; the domain is the name of the route"},
    {"zap_enforce_domain",  "it is always on"},
};
// clang-format on

const sockopt_t *
sockopt_at(unsigned i)
{
    return i < COUNT(sockopts) ? &sockopts[i] : NULL;
}

const sockopt_old_t *
sockopt_old_at(unsigned i)
{
    return i < COUNT(old_names) ? &old_names[i] : NULL;
}

const sockopt_old_t *
sockopt_old_find(const char *key)
{
    for (size_t i = 0; i < COUNT(old_names); i++)
        if (strcmp(old_names[i].old, key) == 0)
            return &old_names[i];
    return NULL;
}

const sockopt_t *
sockopt_find(const char *key)
{
    const sockopt_old_t *old = sockopt_old_find(key);
    if (old)
        key = old->key;
    for (size_t i = 0; i < COUNT(sockopts); i++)
        if (strcmp(sockopts[i].key, key) == 0)
            return &sockopts[i];
    return NULL;
}

const char *
sockopt_refusal_at(unsigned i, const char **reason)
{
    if (i >= COUNT(refused))
        return NULL;
    *reason = refused[i].reason;
    return refused[i].key;
}

const char *
sockopt_refusal(const char *key)
{
    for (size_t i = 0; i < COUNT(refused); i++)
        if (strcmp(refused[i].key, key) == 0)
            return refused[i].reason;
    return NULL;
}

static bool
is_text(const sockopt_t *option)
{
    return option->kind == SOCKOPT_TEXT || option->kind == SOCKOPT_BYTES;
}

static int
parse_text(const sockopt_t *option, const char *text, sockopt_value_t *value, char *reason, size_t size)
{
    size_t length = strlen(text);
    // Empty is "not set", except where the empty string is a value.
    if (length > 0 && (length < (size_t)option->min || length > (size_t)option->max)) {
        snprintf(reason, size, "%zu bytes are too %s, %" PRId64 " to %" PRId64, length,
                 length > (size_t)option->max ? "many" : "few", option->min, option->max);
        return -1;
    }
    // libzmq asserts less than it assumes here: a property needs a name, "X-" first.
    if (option->option == SOCKOPT_NUMBER_METADATA && length > 0 &&
        (strncmp(text, "X-", 2) != 0 || !strchr(text, ':') || strchr(text, ':') == text + 2)) {
        snprintf(reason, size, "\"%s\" is not X-NAME:VALUE", text);
        return -1;
    }
    value->text = xstrdup(text);
    return 0;
}

static const char beyond[] = "";

// What a units function said: NULL, KIND if it is not that, or beyond.
static const char *
judge(int result, const char *kind)
{
    return result == 0 ? NULL : result == UNITS_BEYOND ? beyond : kind;
}

// The number behind TEXT in libzmq's unit: NULL, or what it is not, or beyond.
static const char *
parse_number(const sockopt_t *option, const char *text, int64_t *number)
{
    bool yes;
    const char *not_a;
    switch (option->kind) {
    case SOCKOPT_SWITCH:
        if (strcmp(text, "-1") == 0) {
            *number = -1;
            return NULL;
        }
        // fall through
    case SOCKOPT_BOOL:
        if (units_switch(text, &yes) == -1)
            return "yes or no";
        *number = yes;
        return NULL;
    case SOCKOPT_MS:
        return judge(units_time(text, 1, number), "a time such as 500ms, 10s, 5m or 1h");
    case SOCKOPT_SECONDS:
        not_a = judge(units_time(text, 1000, number), "a time such as 10s, 5m or 1h");
        if (not_a || *number == -1)
            return not_a;
        if (*number % 1000)
            return "a whole number of seconds";
        *number /= 1000;
        return NULL;
    case SOCKOPT_SIZE:
    case SOCKOPT_SIZE64:
        return judge(units_size(text, number), "a size such as 4096, 64k, 16M or 1G");
    default:
        return judge(units_number(text, number), "a number");
    }
}

// NUMBER as it is written: with its unit, booleans as words.
static void
print_number(const sockopt_t *option, int64_t number, char text[UNITS_TEXT])
{
    switch (option->kind) {
    case SOCKOPT_SWITCH:
    case SOCKOPT_BOOL:
        snprintf(text, UNITS_TEXT, "%s", number < 0 ? "-1" : number ? "yes" : "no");
        break;
    case SOCKOPT_MS:
        units_print_time(number, text);
        break;
    case SOCKOPT_SECONDS:
        units_print_time(number > 0 ? number * 1000 : number, text);
        break;
    case SOCKOPT_SIZE:
    case SOCKOPT_SIZE64:
        units_print_size(number, text);
        break;
    default:
        snprintf(text, UNITS_TEXT, "%" PRId64, number);
    }
}

static void
print_seconds(int64_t seconds, char text[UNITS_TEXT])
{
    snprintf(text, UNITS_TEXT, "%" PRId64 "%s", seconds, seconds > 0 ? "s" : "");
}

static bool
is_count(const sockopt_t *option)
{
    return option->kind == SOCKOPT_INT || option->kind == SOCKOPT_INT64 || option->kind == SOCKOPT_UINT64;
}

static void (*printer_of(const sockopt_t *option))(int64_t, char[UNITS_TEXT])
{
    switch (option->kind) {
    case SOCKOPT_MS:
        return units_print_time;
    case SOCKOPT_SECONDS:
        return print_seconds;
    case SOCKOPT_SIZE:
    case SOCKOPT_SIZE64:
        return units_print_size;
    default:
        return NULL;
    }
}

int
sockopt_parse(const sockopt_t *option, const char *text, sockopt_value_t *value, char *reason, size_t size)
{
    char hint[UNITS_HINT];
    *reason = '\0';
    if (is_text(option))
        return parse_text(option, text, value, reason, size);
    const char *not_a = parse_number(option, text, &value->number);
    if (not_a && not_a != beyond) {
        if (*text)
            snprintf(reason, size, "\"%s\" is not %s%s", text, not_a, units_hint(text, is_count(option), hint));
        else
            snprintf(reason, size, "the value is missing, %s", not_a);
        return -1;
    }
    if (!not_a && value->number >= option->min && value->number <= option->max)
        return 0;
    char from[UNITS_TEXT], to[UNITS_TEXT];
    units_print_end(option->min, printer_of(option), from);
    units_print_end(option->max, printer_of(option), to);
    snprintf(reason, size, "\"%s\" is out of range, %s to %s%s", text, from, to,
             option->flags & SOCKOPT_ZERO_OPEN ? "; 0 is no limit" : "");
    return -1;
}

char *
sockopt_print(const sockopt_t *option, sockopt_value_t value)
{
    if (is_text(option))
        return xstrdup(value.text);
    char text[UNITS_TEXT];
    print_number(option, value.number, text);
    return xstrdup(text);
}

bool
sockopt_differs(const sockopt_t *option, sockopt_value_t value)
{
    char reason[128];
    sockopt_value_t initial = { 0 };
    if (is_text(option))
        return *value.text;
    // An initial value that a file cannot say (heartbeat_timeout -1) is never the one given.
    return sockopt_parse(option, option->initial, &initial, reason, sizeof reason) == -1 ||
           initial.number != value.number;
}

int
sockopt_set(const sockopt_t *option, void *socket, sockopt_value_t value)
{
    if (is_text(option))
        return zmq_setsockopt(socket, option->option, value.text, strlen(value.text));
    if (option->kind == SOCKOPT_INT64 || option->kind == SOCKOPT_SIZE64)
        return zmq_setsockopt(socket, option->option, &value.number, sizeof value.number);
    if (option->kind == SOCKOPT_UINT64) {
        uint64_t number = (uint64_t)value.number;
        return zmq_setsockopt(socket, option->option, &number, sizeof number);
    }
    int number = (int)value.number;
    return zmq_setsockopt(socket, option->option, &number, sizeof number);
}

static int
first_type(uint32_t sockets)
{
    return __builtin_ctz(sockets);
}

static bool
probe(const sockopt_t *option, void *socket)
{
    char text[] = "X-a:b", reason[128];
    sockopt_value_t value = { .text = text };
    if (!is_text(option) && sockopt_parse(option, option->initial, &value, reason, sizeof reason) == -1)
        value.number = option->max;
    return socket && sockopt_set(option, socket, value) == 0;
}

// One context for all of them: to start and end its threads takes longer than the rest together.
static void
probe_all(bool known[static COUNT(sockopts)])
{
    void *ctx = zmq_ctx_new(), *sockets[32] = { NULL };
    zmq_ctx_set(ctx, ZMQ_IO_THREADS, 0);
    for (size_t i = 0; ctx && i < COUNT(sockopts); i++) {
        int type = first_type(sockopts[i].sockets);
        if (!sockets[type])
            sockets[type] = zmq_socket(ctx, type);
        known[i] = probe(&sockopts[i], sockets[type]);
    }
    for (size_t i = 0; i < COUNT(sockets); i++)
        if (sockets[i])
            zmq_close(sockets[i]);
    if (ctx)
        zmq_ctx_term(ctx);
}

bool
sockopt_works(const sockopt_t *option)
{
    static bool asked, known[COUNT(sockopts)];
    if (!asked)
        probe_all(known);
    asked = true;
    return known[option - sockopts];
}
