// SPDX-License-Identifier: MPL-2.0
#include "conf/keys.h"
#include "base/mem.h"

#include <limits.h>
#include <string.h>
#include <syslog.h>
#include <zmq.h>

static const key_word_t levels[] = {
    { "error", LOG_LEVEL_ERROR },
    { "warning", LOG_LEVEL_WARNING },
    { "notice", LOG_LEVEL_NOTICE },
    { "info", LOG_LEVEL_INFO },
    { "debug", LOG_LEVEL_DEBUG },
    { "trace", LOG_LEVEL_TRACE },
    { NULL, 0 },
};
static const key_word_t targets[] = {
    { "auto", LOG_TARGET_AUTO }, { "stderr", LOG_TARGET_STDERR }, { "syslog", LOG_TARGET_SYSLOG }, { NULL, 0 }
};
static const key_word_t facilities[] = {
    { "daemon", LOG_DAEMON }, { "user", LOG_USER },     { "auth", LOG_AUTH },     { "authpriv", LOG_AUTHPRIV },
    { "cron", LOG_CRON },     { "ftp", LOG_FTP },       { "lpr", LOG_LPR },       { "mail", LOG_MAIL },
    { "news", LOG_NEWS },     { "syslog", LOG_SYSLOG }, { "uucp", LOG_UUCP },     { "local0", LOG_LOCAL0 },
    { "local1", LOG_LOCAL1 }, { "local2", LOG_LOCAL2 }, { "local3", LOG_LOCAL3 }, { "local4", LOG_LOCAL4 },
    { "local5", LOG_LOCAL5 }, { "local6", LOG_LOCAL6 }, { "local7", LOG_LOCAL7 }, { NULL, 0 },
};
static const key_word_t engines[] = {
    { "auto", ENGINE_AUTO },           { "wire", ENGINE_WIRE },  { "zmq", ENGINE_ZMQ },
    { "zmq_proxy", ENGINE_ZMQ_PROXY }, { "zbroker", ENGINE_ZMQ }, { NULL, 0 },
};
static const key_word_t dispatches[] = {
    { "round_robin", DISPATCH_ROUND_ROBIN }, { "least", DISPATCH_LEAST }, { "ready", DISPATCH_READY }, { NULL, 0 }
};
static const key_word_t stores[] = {
    { "off", KEEP_NOTHING }, { "overflow", KEEP_OVERFLOW }, { "all", KEEP_ALL }, { "nats", KEEP_SHARED }, { NULL, 0 }
};
static const key_word_t when_full[] = { { "block", 0 }, { "drop_oldest", 1 }, { NULL, 0 } };
static const key_word_t capture_types[] = { { "pub", ZMQ_PUB }, { "push", ZMQ_PUSH }, { NULL, 0 } };
static const key_word_t mechanisms[] = {
    { "none", SECURITY_NONE },
    { "plain", SECURITY_PLAIN },
    { "curve", SECURITY_CURVE },
    { "gssapi", SECURITY_GSSAPI },
    { NULL, 0 },
};

#define FIELD(type, member) offsetof(type, member), sizeof((type *)NULL)->member
#define CONF(member) FIELD(conf_t, member)
#define ROUTE(member) FIELD(route_conf_t, member)
#define SIDE(member) FIELD(side_conf_t, member)
#define BY_HAND 0, 0
#define TEXT_MAX 4000 // with any key before it still a line
#define STREAMS (ON(ZMQ_PUSH) | SUBSCRIBED)
#define SUBSCRIBED (ON(ZMQ_XPUB) | ON(ZMQ_PUB))
#define KNOWS_TOPICS (ON(ZMQ_XSUB) | ON(ZMQ_SUB) | ON(ZMQ_PULL) | ON(ZMQ_XPUB)) // by message, or by subscription

// clang-format off
static const key_row_t rows[] = {
    // scope         key                 kind           field                        min max       default   words      reload          flags
    {SCOPE_PROCESS, "include",           KEY_INCLUDE,   BY_HAND,                     0,  0,        "",       NULL,      RELOAD_LIVE,    KEY_LIST, 0},
    {SCOPE_PROCESS, "log_level",         KEY_WORD,      CONF(log_level),             0,  0,        "info",   levels,    RELOAD_LIVE,    0, 0},
    {SCOPE_PROCESS, "log_target",        KEY_WORD,      CONF(log_target),            0,  0,        "auto",   targets,   RELOAD_LIVE,    0, 0},
    {SCOPE_PROCESS, "syslog_facility",   KEY_WORD,      CONF(syslog_facility),       0,  0,        "daemon", facilities, RELOAD_LIVE,   0, 0},
    {SCOPE_PROCESS, "io_threads",        KEY_NUMBER,    CONF(io_threads),            1,  64,       "1",      NULL,      RELOAD_RESTART, 0, 0},
    {SCOPE_PROCESS, "max_sockets",       KEY_NUMBER,    CONF(max_sockets),           1,  65535,    "1023",   NULL,      RELOAD_RESTART, 0, 0},
    {SCOPE_PROCESS, "control",           KEY_PATH,      CONF(control),               1,  107,      CONF_CONTROL_DEFAULT, NULL, RELOAD_RESTART, KEY_UNSET_OK | KEY_RUNTIME, 0},
    {SCOPE_PROCESS, "control_mode",      KEY_MODE,      CONF(control_mode),          0,  0777,     "0660",   NULL,      RELOAD_LIVE,    0, 0},
    {SCOPE_PROCESS, "control_group",     KEY_GROUP,     CONF(control_group),         0,  0,        "",       NULL,      RELOAD_LIVE,    KEY_UNSET_OK, 0},
    {SCOPE_PROCESS, "http",              KEY_HTTP,      CONF(http),                  0,  0,        "",       NULL,      RELOAD_RESTART, KEY_UNSET_OK, 0},
    {SCOPE_PROCESS, "drain_timeout",     KEY_TIME,      CONF(drain_timeout_ms),      0,  86400000, "10s",    NULL,      RELOAD_LIVE,    0, 0},
    {SCOPE_PROCESS, "max_clients",       KEY_NUMBER,    CONF(max_clients),           0,  INT_MAX,  "0",      NULL,      RELOAD_LIVE,    0, 0},
    {SCOPE_PROCESS, "max_memory",        KEY_SIZE,      CONF(max_memory),            0,  INT64_MAX, "0",     NULL,      RELOAD_LIVE,    0, 0},

    {SCOPE_ROUTE,   "type",              KEY_PATTERN,   BY_HAND,                     0,  0,        "",       NULL,      RELOAD_ROUTE,   0, 0},
    {SCOPE_ROUTE,   "frontend_type",     KEY_SOCKET_TYPE, BY_HAND,                   0,  0,        "",       NULL,      RELOAD_ROUTE,   0, 0},
    {SCOPE_ROUTE,   "backend_type",      KEY_SOCKET_TYPE, BY_HAND,                   0,  0,        "",       NULL,      RELOAD_ROUTE,   0, 0},
    {SCOPE_ROUTE,   "engine",            KEY_WORD,      ROUTE(engine_asked),         0,  0,        "auto",   engines,   RELOAD_ROUTE,   0, 0},
    {SCOPE_ROUTE,   "capture_type",      KEY_WORD,      BY_HAND,                     0,  0,        "pub",    capture_types, RELOAD_LIVE, 0, 0},
    {SCOPE_ROUTE,   "capture_envelope",  KEY_BOOL,      ROUTE(capture_envelope),     0,  1,        "no",     NULL,      RELOAD_LIVE,   0, 0},
    {SCOPE_ROUTE,   "batch_us",          KEY_NUMBER,    ROUTE(batch_us),             0,  1000000,  "0",      NULL,      RELOAD_LIVE,   0, 0},
    {SCOPE_ROUTE,   "batch_min",         KEY_NUMBER,    ROUTE(batch_min),            0,  1000000,  "0",      NULL,      RELOAD_LIVE,   0, 0},
    {SCOPE_ROUTE,   "queue_bytes",       KEY_SIZE,      ROUTE(queue_bytes),          0,  1099511627776, "0",  NULL,      RELOAD_ROUTE,   KEY_WIRE_LIVE, 0},
    {SCOPE_ROUTE,   "message_size",      KEY_SIZE,      ROUTE(message_size),         0,  1099511627776, "0",  NULL,      RELOAD_ROUTE,   0, 0},
    {SCOPE_ROUTE,   "max_subscriptions_total", KEY_NUMBER, ROUTE(max_subscriptions_total), 0, INT_MAX, "1000000", NULL, RELOAD_LIVE,  KEY_WIRE, 0},
    {SCOPE_ROUTE,   "dispatch",          KEY_WORD,      ROUTE(dispatch),             0,  0,        "round_robin", dispatches, RELOAD_LIVE, KEY_WIRE, ON(ZMQ_DEALER) | ON(ZMQ_PUSH)},
    {SCOPE_ROUTE,   "backend_window",    KEY_NUMBER,    ROUTE(backend_window),       0,  1000000,  "0",      NULL,      RELOAD_LIVE,    KEY_WIRE, ON(ZMQ_DEALER)},
    {SCOPE_ROUTE,   "backend_retries",   KEY_NUMBER,    ROUTE(backend_retries),      0,  1000,     "0",      NULL,      RELOAD_LIVE,    KEY_WIRE, ON(ZMQ_DEALER)},
    {SCOPE_ROUTE,   "reply_timeout",     KEY_TIME,      ROUTE(reply_timeout_ms),     0,  86400000, "0",      NULL,      RELOAD_LIVE,    KEY_WIRE, ON(ZMQ_DEALER)},
    {SCOPE_ROUTE,   "last_value",        KEY_NUMBER,    ROUTE(last_value),           0,  100000000, "0",     NULL,      RELOAD_ROUTE,   KEY_WIRE, 0},
    {SCOPE_ROUTE,   "topic_end",         KEY_BYTE,      ROUTE(topic_end),            0,  255,      "",       NULL,      RELOAD_ROUTE,   KEY_WIRE | KEY_UNSET_OK, 0},
    {SCOPE_ROUTE,   "replay_messages",   KEY_NUMBER,    ROUTE(replay_messages),      0,  100000000, "0",     NULL,      RELOAD_ROUTE,   KEY_WIRE, 0},
    {SCOPE_ROUTE,   "replay_bytes",      KEY_SIZE,      ROUTE(replay_bytes),         0,  1099511627776, "0", NULL,      RELOAD_ROUTE,   KEY_WIRE, 0},
    {SCOPE_ROUTE,   "replay_time",       KEY_TIME,      ROUTE(replay_time_ms),       0,  31536000000, "0",   NULL,      RELOAD_ROUTE,   KEY_WIRE, 0},
    {SCOPE_ROUTE,   "durable",           KEY_BOOL,      ROUTE(durable),              0,  1,        "no",     NULL,      RELOAD_ROUTE,   KEY_WIRE, 0},
    {SCOPE_ROUTE,   "durable_messages",  KEY_NUMBER,    ROUTE(durable_messages),     1,  100000000, "10000", NULL,      RELOAD_ROUTE,   KEY_WIRE | KEY_OF_DURABLE, 0},
    {SCOPE_ROUTE,   "durable_bytes",     KEY_SIZE,      ROUTE(durable_bytes),        1,  1099511627776, "64M", NULL,    RELOAD_ROUTE,   KEY_WIRE | KEY_OF_DURABLE, 0},
    {SCOPE_ROUTE,   "durable_time",      KEY_TIME,      ROUTE(durable_time_ms),      1,  31536000000, "10m", NULL,      RELOAD_ROUTE,   KEY_WIRE | KEY_OF_DURABLE, 0},
    {SCOPE_ROUTE,   "store",             KEY_WORD,      ROUTE(store),                0,  0,        "off",    stores,    RELOAD_ROUTE,   KEY_WIRE, STREAMS},
    {SCOPE_ROUTE,   "store_dir",         KEY_PATH,      ROUTE(store_dir),            1,  TEXT_MAX, CONF_STATE_DEFAULT "/ROUTE",       NULL,      RELOAD_ROUTE,   KEY_WIRE | KEY_RUNTIME | KEY_OF_STORE, STREAMS},
    {SCOPE_ROUTE,   "store_max",         KEY_SIZE,      ROUTE(store_max),            1048576, INT64_MAX, "1G", NULL,     RELOAD_LIVE,    KEY_WIRE | KEY_OF_STORE, STREAMS},
    {SCOPE_ROUTE,   "store_full",        KEY_WORD,      ROUTE(store_drops_oldest),   0,  0,        "block",  when_full, RELOAD_LIVE,    KEY_WIRE | KEY_OF_STORE, STREAMS},
    {SCOPE_ROUTE,   "store_commit",      KEY_TIME,      ROUTE(store_commit_ms),      0,  10000,    "5ms",    NULL,      RELOAD_LIVE,    KEY_WIRE | KEY_OF_STORE, STREAMS},
    {SCOPE_ROUTE,   "ack_timeout",       KEY_TIME,      ROUTE(ack_timeout_ms),       1,  86400000, "30s",    NULL,      RELOAD_LIVE,    KEY_WIRE, ON(ZMQ_PUSH)},
    {SCOPE_ROUTE,   "max_tries",         KEY_NUMBER,    ROUTE(max_tries),            1,  1000000,  "5",      NULL,      RELOAD_LIVE,    KEY_WIRE, ON(ZMQ_PUSH)},
    {SCOPE_ROUTE,   "dead_letter",       KEY_TEXT,      ROUTE(dead_letter),          1,  ROUTE_NAME_MAX, "", NULL,      RELOAD_LIVE,    KEY_WIRE | KEY_UNSET_OK, ON(ZMQ_PUSH)},
    {SCOPE_ROUTE,   "dedupe",            KEY_TIME,      ROUTE(dedupe_ms),            0,  86400000, "2m",     NULL,      RELOAD_LIVE,    KEY_WIRE, ON(ZMQ_PUSH)},
    {SCOPE_ROUTE,   "nats",              KEY_TEXT,      ROUTE(nats.servers),         1,  TEXT_MAX, "",       NULL,      RELOAD_ROUTE,   KEY_WIRE | KEY_OF_NATS | KEY_UNSET_OK, 0},
    {SCOPE_ROUTE,   "nats_stream",       KEY_TEXT,      ROUTE(nats.stream),          1,  200,      "zbroker_ROUTE", NULL, RELOAD_ROUTE,  KEY_WIRE | KEY_OF_NATS | KEY_UNSET_OK | KEY_NAMED, 0},
    {SCOPE_ROUTE,   "nats_subject",      KEY_TEXT,      ROUTE(nats.subject),         1,  200,      "zbroker.ROUTE", NULL, RELOAD_ROUTE,  KEY_WIRE | KEY_OF_NATS | KEY_UNSET_OK | KEY_NAMED, 0},
    {SCOPE_ROUTE,   "nats_replicas",     KEY_NUMBER,    ROUTE(nats.replicas),        1,  5,        "1",      NULL,      RELOAD_ROUTE,   KEY_WIRE | KEY_OF_NATS, 0},
    {SCOPE_ROUTE,   "nats_credentials",  KEY_PATH,      ROUTE(nats.credentials),     1,  TEXT_MAX, "",       NULL,      RELOAD_ROUTE,   KEY_WIRE | KEY_OF_NATS | KEY_UNSET_OK, 0},
    {SCOPE_ROUTE,   "nats_user",         KEY_TEXT,      ROUTE(nats.user),            1,  255,      "",       NULL,      RELOAD_ROUTE,   KEY_WIRE | KEY_OF_NATS | KEY_UNSET_OK, 0},
    {SCOPE_ROUTE,   "nats_password_file", KEY_SECRET_FILE, ROUTE(nats.password),     1,  255,      "",       NULL,      RELOAD_ROUTE,   KEY_WIRE | KEY_OF_NATS | KEY_UNSET_OK, 0},
    {SCOPE_ROUTE,   "nats_ca",           KEY_PATH,      ROUTE(nats.ca),              1,  TEXT_MAX, "",       NULL,      RELOAD_ROUTE,   KEY_WIRE | KEY_OF_NATS | KEY_UNSET_OK, 0},
    {SCOPE_ROUTE,   "nats_cert",         KEY_PATH,      ROUTE(nats.cert),            1,  TEXT_MAX, "",       NULL,      RELOAD_ROUTE,   KEY_WIRE | KEY_OF_NATS | KEY_UNSET_OK, 0},
    {SCOPE_ROUTE,   "nats_insecure",     KEY_BOOL,      ROUTE(nats.insecure),        0,  1,        "no",     NULL,      RELOAD_ROUTE,   KEY_WIRE | KEY_OF_NATS, 0},
    {SCOPE_ROUTE,   "cpu",               KEY_NUMBER,    ROUTE(cpu),                  -1, 1023,     "-1",     NULL,      RELOAD_ROUTE,   0, 0},

    {SCOPE_SIDE,    "bind",              KEY_ENDPOINT,  BY_HAND,                     0,  0,        "",       NULL,      RELOAD_LIVE,    KEY_LIST | KEY_SIDED, 0},
    {SCOPE_SIDE,    "connect",           KEY_ENDPOINT,  BY_HAND,                     0,  0,        "",       NULL,      RELOAD_LIVE,    KEY_LIST | KEY_SIDED, 0},
    {SCOPE_SIDE,    "security",          KEY_WORD,      SIDE(security.mechanism),    0,  0,        "none",   mechanisms, RELOAD_ROUTE,  0, 0},
    {SCOPE_SIDE,    "server_cert",       KEY_PATH,      SIDE(security.server_cert),  1,  TEXT_MAX, "",       NULL,      RELOAD_ROUTE,   KEY_UNSET_OK | KEY_WIRE_LIVE, 0},
    {SCOPE_SIDE,    "client_certs",      KEY_PATH,      SIDE(security.client_certs), 1,  TEXT_MAX, "",       NULL,      RELOAD_LIVE,    KEY_UNSET_OK, 0},
    {SCOPE_SIDE,    "client_cert",       KEY_PATH,      SIDE(security.client_cert),  1,  TEXT_MAX, "",       NULL,      RELOAD_ROUTE,   KEY_UNSET_OK, 0},
    {SCOPE_SIDE,    "peer_cert",         KEY_PATH,      SIDE(security.peer_cert),    1,  TEXT_MAX, "",       NULL,      RELOAD_ROUTE,   KEY_UNSET_OK, 0},
    {SCOPE_SIDE,    "users",             KEY_PATH,      SIDE(security.users),        1,  TEXT_MAX, "",       NULL,      RELOAD_LIVE,    KEY_UNSET_OK, 0},
    {SCOPE_SIDE,    "plain_username",    KEY_TEXT,      SIDE(security.plain_username), 1, 255,     "",       NULL,      RELOAD_ROUTE,   KEY_UNSET_OK, 0},
    {SCOPE_SIDE,    "plain_password_file", KEY_SECRET_FILE, SIDE(security.plain_password), 1, 255, "",       NULL,      RELOAD_ROUTE,   KEY_UNSET_OK, 0},
    {SCOPE_SIDE,    "gssapi_principal",  KEY_TEXT,      SIDE(security.gssapi_principal), 1, 255,   "",       NULL,      RELOAD_ROUTE,   KEY_UNSET_OK, 0},
    {SCOPE_SIDE,    "gssapi_service_principal", KEY_TEXT, SIDE(security.gssapi_service_principal), 1, 255, "", NULL,    RELOAD_ROUTE,   KEY_UNSET_OK, 0},
    {SCOPE_SIDE,    "gssapi_plaintext",  KEY_BOOL,      SIDE(security.gssapi_plaintext), 0, 1,     "no",     NULL,      RELOAD_ROUTE,   0, 0},
    {SCOPE_SIDE,    "gssapi_unsafe_zap", KEY_BOOL,      SIDE(security.gssapi_unsafe_zap), 0, 1,    "no",     NULL,      RELOAD_ROUTE,   0, 0},
    {SCOPE_SIDE,    "allow",             KEY_CIDR,      SIDE(security.allow),        0,  0,        "",       NULL,      RELOAD_LIVE,    KEY_LIST | KEY_UNSET_OK, 0},
    {SCOPE_SIDE,    "deny",              KEY_CIDR,      SIDE(security.deny),         0,  0,        "",       NULL,      RELOAD_LIVE,    KEY_LIST | KEY_UNSET_OK, 0},
    {SCOPE_SIDE,    "acl",               KEY_PATH,      SIDE(security.acl),          1,  TEXT_MAX, "",       NULL,      RELOAD_ROUTE,    KEY_UNSET_OK | KEY_WIRE_LIVE | KEY_NOT_CAPTURE, KNOWS_TOPICS},
    {SCOPE_SIDE,    "ipc_mode",          KEY_MODE,      SIDE(ipc_mode),              0,  0777,     "0660",   NULL,      RELOAD_LIVE,    0, 0},
    {SCOPE_SIDE,    "ipc_group",         KEY_GROUP,     SIDE(ipc_group),             0,  0,        "",       NULL,      RELOAD_LIVE,    KEY_UNSET_OK, 0},
    {SCOPE_SIDE,    "max_clients",       KEY_NUMBER,    SIDE(max_clients),           0,  INT_MAX,  "0",      NULL,      RELOAD_LIVE,    0, 0},
    {SCOPE_SIDE,    "max_parts",         KEY_NUMBER,    SIDE(max_parts),             1,  1000000,  "1024",   NULL,      RELOAD_LIVE,    KEY_WIRE, 0},
    {SCOPE_SIDE,    "max_subscriptions", KEY_NUMBER,    SIDE(max_subscriptions),     0,  INT_MAX,  "10000",  NULL,      RELOAD_LIVE,    KEY_WIRE, SUBSCRIBED},
    {SCOPE_SIDE,    "max_topic",         KEY_SIZE,      SIDE(max_topic),             0,  65536,    "256",    NULL,      RELOAD_LIVE,    KEY_WIRE, SUBSCRIBED},
    {SCOPE_SIDE,    "stall_timeout",     KEY_TIME,      SIDE(stall_timeout_ms),      0,  86400000, "10s",    NULL,      RELOAD_LIVE,    0, SUBSCRIBED},
};
// clang-format on

const key_row_t *
key_at(key_scope_t scope, unsigned i)
{
    for (size_t j = 0; j < COUNT(rows); j++)
        if (rows[j].scope == scope && i-- == 0)
            return &rows[j];
    return NULL;
}

const key_row_t *
key_find(key_scope_t scope, const char *key)
{
    for (size_t i = 0; i < COUNT(rows); i++)
        if (rows[i].scope == scope && strcmp(rows[i].key, key) == 0)
            return &rows[i];
    return NULL;
}
