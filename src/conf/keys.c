// SPDX-License-Identifier: MPL-2.0
#include "conf/keys.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/trust.h"
#include "conf/cidr.h"
#include "conf/suggest.h"
#include "conf/units.h"

#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <syslog.h>
#include <unistd.h>

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
static const key_word_t stores[] = { { "off", STORE_OFF }, { "nats", STORE_NATS }, { NULL, 0 } };
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
    {SCOPE_ROUTE,   "durable_messages",  KEY_NUMBER,    ROUTE(durable_messages),     1,  100000000, "10000", NULL,      RELOAD_ROUTE,   KEY_WIRE, 0},
    {SCOPE_ROUTE,   "durable_bytes",     KEY_SIZE,      ROUTE(durable_bytes),        1,  1099511627776, "64M", NULL,    RELOAD_ROUTE,   KEY_WIRE, 0},
    {SCOPE_ROUTE,   "durable_time",      KEY_TIME,      ROUTE(durable_time_ms),      1,  31536000000, "10m", NULL,      RELOAD_ROUTE,   KEY_WIRE, 0},
    {SCOPE_ROUTE,   "store",             KEY_WORD,      ROUTE(store),                0,  0,        "off",    stores,    RELOAD_ROUTE,   KEY_WIRE, 0},
    {SCOPE_ROUTE,   "nats",              KEY_TEXT,      ROUTE(nats.servers),         1,  TEXT_MAX, "",       NULL,      RELOAD_ROUTE,   KEY_WIRE | KEY_UNSET_OK, 0},
    {SCOPE_ROUTE,   "nats_stream",       KEY_TEXT,      ROUTE(nats.stream),          1,  200,      "",       NULL,      RELOAD_ROUTE,   KEY_WIRE | KEY_UNSET_OK, 0},
    {SCOPE_ROUTE,   "nats_subject",      KEY_TEXT,      ROUTE(nats.subject),         1,  200,      "",       NULL,      RELOAD_ROUTE,   KEY_WIRE | KEY_UNSET_OK, 0},
    {SCOPE_ROUTE,   "nats_replicas",     KEY_NUMBER,    ROUTE(nats.replicas),        1,  5,        "1",      NULL,      RELOAD_ROUTE,   KEY_WIRE, 0},
    {SCOPE_ROUTE,   "nats_credentials",  KEY_PATH,      ROUTE(nats.credentials),     1,  TEXT_MAX, "",       NULL,      RELOAD_ROUTE,   KEY_WIRE | KEY_UNSET_OK, 0},
    {SCOPE_ROUTE,   "nats_user",         KEY_TEXT,      ROUTE(nats.user),            1,  255,      "",       NULL,      RELOAD_ROUTE,   KEY_WIRE | KEY_UNSET_OK, 0},
    {SCOPE_ROUTE,   "nats_password_file", KEY_SECRET_FILE, ROUTE(nats.password),     1,  255,      "",       NULL,      RELOAD_ROUTE,   KEY_WIRE | KEY_UNSET_OK, 0},
    {SCOPE_ROUTE,   "nats_ca",           KEY_PATH,      ROUTE(nats.ca),              1,  TEXT_MAX, "",       NULL,      RELOAD_ROUTE,   KEY_WIRE | KEY_UNSET_OK, 0},
    {SCOPE_ROUTE,   "nats_cert",         KEY_PATH,      ROUTE(nats.cert),            1,  TEXT_MAX, "",       NULL,      RELOAD_ROUTE,   KEY_WIRE | KEY_UNSET_OK, 0},
    {SCOPE_ROUTE,   "nats_insecure",     KEY_BOOL,      ROUTE(nats.insecure),        0,  1,        "no",     NULL,      RELOAD_ROUTE,   KEY_WIRE, 0},
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
    {SCOPE_SIDE,    "ipc_mode",          KEY_MODE,      SIDE(ipc_mode),              0,  0777,     "0660",   NULL,      RELOAD_ROUTE,   0, 0},
    {SCOPE_SIDE,    "ipc_group",         KEY_GROUP,     SIDE(ipc_group),             0,  0,        "",       NULL,      RELOAD_ROUTE,   KEY_UNSET_OK, 0},
    {SCOPE_SIDE,    "max_clients",       KEY_NUMBER,    SIDE(max_clients),           0,  INT_MAX,  "0",      NULL,      RELOAD_LIVE,    0, 0},
    {SCOPE_SIDE,    "max_parts",         KEY_NUMBER,    SIDE(max_parts),             1,  1000000,  "1024",   NULL,      RELOAD_LIVE,    KEY_WIRE, 0},
    {SCOPE_SIDE,    "max_subscriptions", KEY_NUMBER,    SIDE(max_subscriptions),     0,  INT_MAX,  "10000",  NULL,      RELOAD_LIVE,    0, SUBSCRIBED},
    {SCOPE_SIDE,    "max_topic",         KEY_SIZE,      SIDE(max_topic),             0,  65536,    "256",    NULL,      RELOAD_LIVE,    0, SUBSCRIBED},
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

bool
conf_key_at(unsigned i, key_info_t *info)
{
    static const char *const names[] = { "zbroker", "route", "side" };
    if (i >= COUNT(rows))
        return false;
    *info = (key_info_t){ names[rows[i].scope], rows[i].key, rows[i].reload };
    return true;
}

// --- reading a value -----------------------------------------------------------

typedef struct {
    const char *folder;
    char *reason;
    size_t size;
    size_t *offset;
} complaint_t;

__attribute__((format(printf, 2, 3))) static int
fail(const complaint_t *at, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(at->reason, at->size, format, args);
    va_end(args);
    return -1;
}

// "unknown WHAT; did you mean …?", and without a near word all there are. Values of the key OF are called otherwise
// elsewhere.
static int
fail_word(const complaint_t *at, const char *what, const char *of, const suggest_t *suggest, const char *all)
{
    const char *foreign = suggest_foreign(of, suggest->wrong);
    if (foreign)
        return fail(at, "unknown %s \"%s\"; did you mean %s?", what, suggest->wrong, foreign);
    if (*suggest->best)
        return fail(at, "unknown %s \"%s\"; did you mean %s?", what, suggest->wrong, suggest->best);
    return fail(at, "unknown %s \"%s\", there is %s", what, suggest->wrong, all);
}

static void
add_word(text_t *all, const char *word)
{
    text_add(all, "%s%s", all->size ? ", " : "", word);
}

// A number has one name today: others that it has are old spellings.
static bool
is_old_spelling(const key_row_t *row, const key_word_t *word)
{
    for (const key_word_t *other = row->words; other < word; other++)
        if (other->number == word->number)
            return true;
    return false;
}

static int
parse_word(const key_row_t *row, const char *text, key_value_t *value, const complaint_t *at)
{
    suggest_t suggest = suggest_for(text);
    text_t all = { 0 };
    for (const key_word_t *word = row->words; word->name; word++) {
        if (strcasecmp(word->name, text) == 0) {
            value->number = word->number;
            text_free(&all);
            return 0;
        }
        if (is_old_spelling(row, word))
            continue;
        suggest_offer(&suggest, word->name);
        add_word(&all, word->name);
    }
    int result = fail_word(at, "value", row->key, &suggest, all.data);
    text_free(&all);
    return result;
}

static int
parse_pattern(const char *text, key_value_t *value, const complaint_t *at)
{
    suggest_t suggest = suggest_for(text);
    text_t all = { 0 };
    const pattern_t *found = pattern_find(text);
    for (unsigned i = 0; pattern_at(i); i++) {
        if (pattern_at(i) == found)
            value->number = i;
        suggest_offer(&suggest, pattern_at(i)->name);
        add_word(&all, pattern_at(i)->name);
    }
    int result = found ? 0 : fail_word(at, "type", "type", &suggest, all.data);
    text_free(&all);
    return result;
}

static int
parse_socket_type(const char *text, key_value_t *value, const complaint_t *at)
{
    suggest_t suggest = suggest_for(text);
    value->number = socket_type_find(text);
    if (value->number >= 0)
        return 0;
    for (unsigned i = 0; socket_type_at(i); i++)
        suggest_offer(&suggest, socket_type_at(i));
    return fail_word(at, "socket type", "frontend_type", &suggest, "PAIR, PUB, SUB, DEALER, ROUTER, PULL, PUSH, XPUB, XSUB, STREAM");
}

static int
parse_group(const char *text, key_value_t *value, const complaint_t *at)
{
    struct group entry, *found = NULL;
    char buffer[16384];
    if (units_number(text, &value->number) == 0) {
        if (value->number < 0 || value->number >= UINT32_MAX)
            return fail(at, "\"%s\" is not the number of a group", text);
    } else if (getgrnam_r(text, &entry, buffer, sizeof buffer, &found) == 0 && found)
        value->number = entry.gr_gid;
    else
        return fail(at, "there is no group \"%s\"", text);
    value->text = xstrdup(text);
    return 0;
}

static char *
absolute_path(const char *text, const char *folder)
{
    if (*text == '/')
        return xstrdup(text);
    while (text[0] == '.' && text[1] == '/')
        text += 2;
    return xasprintf("%s/%s", strcmp(folder, "/") == 0 ? "" : folder, text);
}

static int
parse_path(const key_row_t *row, const char *text, key_value_t *value, const complaint_t *at)
{
    const char *scheme_end = strstr(text, "://");
    if (scheme_end)
        return fail(at, "\"%s\" is not the path of a file, leave out \"%.*s\"", text, (int)(scheme_end + 3 - text), text);
    // client_certs takes the word besides a folder.
    bool word = strcmp(row->key, "client_certs") == 0 && strcmp(text, "any") == 0;
    value->text = word ? xstrdup(text) : absolute_path(text, at->folder);
    size_t length = strlen(value->text);
    if (length <= (size_t)row->max)
        return 0;
    free(value->text);
    value->text = NULL;
    return fail(at, "the path has %zu bytes, at most %" PRId64, length, row->max);
}

// The first line of the file at PATH into TEXT.
static int
read_secret(const char *path, char text[257], const complaint_t *at)
{
    char words[TRUST_WORDS];
    int fd = trust_open(path, TRUST_SECRET, words);
    if (fd == -1)
        return fail(at, "%s: %s", path, words);
    ssize_t size = read(fd, text, 256);
    close(fd);
    if (size == -1)
        return fail(at, "%s: cannot read: %s", path, strerror(errno));
    if (*words) // a warning
        fail(at, "%s: %s", path, words);
    text[size] = '\0';
    text[strcspn(text, "\r\n")] = '\0';
    size_t length = strlen(text);
    explicit_bzero(text + length, 256 - length);
    if (length == 0 || length > 255)
        return fail(at, "%s: its first line has %zu bytes, 1 to 255 make a password", path, length);
    return 0;
}

static int
parse_secret_file(const char *text, key_value_t *value, const complaint_t *at)
{
    char secret[257];
    char *path = absolute_path(text, at->folder);
    int result = read_secret(path, secret, at);
    // Path and secret in one string, so that a value stays one pointer: PATH NUL SECRET NUL.
    if (result == 0) {
        size_t path_size = strlen(path) + 1, secret_size = strlen(secret) + 1;
        value->text = xcalloc(path_size + secret_size, 1);
        memcpy(value->text, path, path_size);
        memcpy(value->text + path_size, secret, secret_size);
        value->number = (int64_t)path_size;
    }
    explicit_bzero(secret, sizeof secret);
    free(path);
    return result;
}

static int
parse_cidr(const char *text, key_value_t *value, const complaint_t *at)
{
    cidrs_t nets = { 0 };
    text_t canonical = { 0 };
    int result = cidr_parse(&nets, text, at->reason, at->size, at->offset);
    cidr_print(&nets, &canonical);
    if (result == 0)
        value->text = text_take(&canonical);
    text_free(&canonical);
    cidr_free(&nets);
    return result;
}

// C, 'C', "C" or \xNN. The quotes are for a blank, which is cut off without them.
static int
parse_byte(const char *text, key_value_t *value, const complaint_t *at)
{
    size_t length = strlen(text);
    bool quoted = length >= 3 && strchr("'\"", text[0]) && text[length - 1] == text[0];
    const char *byte = text + quoted;
    unsigned number;
    int end = 0;
    length -= 2u * quoted;
    if (length == 4 && strncmp(byte, "\\x", 2) == 0 && isxdigit((unsigned char)byte[2]) && sscanf(byte + 2, "%2x%n", &number, &end) == 1 && end == 2)
        value->number = number;
    else if (length == 1)
        value->number = (unsigned char)*byte;
    else
        return fail(at, "\"%s\" is not one character such as ' ', | or \\x00", text);
    return 0;
}

static int
parse_http(const char *text, key_value_t *value, const complaint_t *at)
{
    int64_t port;
    bool bare = units_number(text, &port) == 0;
    bool local = strncmp(text, "localhost:", 10) == 0;
    char *url = xasprintf("tcp://%s%s", bare ? "127.0.0.1:" : "", local ? "127.0.0.1:" : "");
    char *whole = xasprintf("%s%s", url, local ? text + 10 : text);
    endpoint_t endpoint;
    int result = endpoint_parse(whole, false, &endpoint, at->reason, at->size, at->offset);
    size_t shift = strlen(url);
    *at->offset = result == 0 || *at->offset < shift ? 0 : *at->offset - shift + (local ? 10 : 0);
    if (result == 0)
        value->text = xasprintf("%s%s", local ? "localhost:" : "", endpoint.text + 6 + (local ? 10 : 0));
    free(whole);
    free(url);
    return result;
}

static int
parse_number(const key_row_t *row, const char *text, key_value_t *value, const complaint_t *at)
{
    static const struct {
        const char *is;
        const char *example;
    } names[] = {
        [KEY_NUMBER] = { "number", "" },
        [KEY_TIME] = { "time", " such as 500ms, 10s, 5m or 1h" },
        [KEY_SIZE] = { "size", " such as 4096, 64k, 16M or 1G" },
        [KEY_MODE] = { "file mode", " such as 0660" },
    };
    int result = row->kind == KEY_TIME   ? units_time(text, 1, &value->number)
                 : row->kind == KEY_SIZE ? units_size(text, &value->number)
                 : row->kind == KEY_MODE ? units_mode(text, &value->number)
                                         : units_number(text, &value->number);
    char hint[UNITS_HINT];
    if (result == -1)
        return fail(at, "\"%s\" is not a %s%s%s", text, names[row->kind].is, names[row->kind].example,
                    units_hint(text, row->kind == KEY_NUMBER, hint));
    if (result == 0 && value->number >= row->min && value->number <= row->max)
        return 0;
    void (*print)(int64_t, char[UNITS_TEXT]) = row->kind == KEY_TIME   ? units_print_time
                                               : row->kind == KEY_SIZE ? units_print_size
                                                                       : NULL;
    char from[UNITS_TEXT], to[UNITS_TEXT];
    units_print_end(row->min, print, from);
    units_print_end(row->max, print, to);
    return fail(at, "\"%s\" is out of range, %s to %s", text, from, to);
}

int
key_parse(const key_row_t *row, const char *text, const char *folder, key_value_t *value, char *reason, size_t size,
          size_t *offset)
{
    complaint_t at = { folder, reason, size, offset };
    bool yes;
    *value = (key_value_t){ 0 };
    *offset = 0;
    *reason = '\0';
    if (!*text) {
        value->number = row->kind == KEY_GROUP || row->kind == KEY_BYTE ? -1 : 0;
        if (row->kind == KEY_ENDPOINT || row->kind == KEY_INCLUDE)
            value->text = xstrdup("");
        return value->text || row->flags & KEY_UNSET_OK ? 0 : fail(&at, "the value is missing");
    }
    switch (row->kind) {
    case KEY_WORD:
        return parse_word(row, text, value, &at);
    case KEY_BOOL:
        if (units_switch(text, &yes) == -1)
            return fail(&at, "\"%s\" is not yes or no", text);
        value->number = yes;
        return 0;
    case KEY_GROUP:
        return parse_group(text, value, &at);
    case KEY_PATH:
        return parse_path(row, text, value, &at);
    case KEY_SECRET_FILE:
        return parse_secret_file(text, value, &at);
    case KEY_CIDR:
        return parse_cidr(text, value, &at);
    case KEY_HTTP:
        return parse_http(text, value, &at);
    case KEY_SOCKET_TYPE:
        return parse_socket_type(text, value, &at);
    case KEY_PATTERN:
        return parse_pattern(text, value, &at);
    case KEY_BYTE:
        return parse_byte(text, value, &at);
    case KEY_TEXT:
        if (strlen(text) > (size_t)row->max)
            return fail(&at, "the text has %zu bytes, at most %" PRId64, strlen(text), row->max);
        // fall through
    case KEY_ENDPOINT:
    case KEY_INCLUDE:
        value->text = xstrdup(text);
        return 0;
    default:
        return parse_number(row, text, value, &at);
    }
}

// --- writing it ----------------------------------------------------------------

static char *
print_byte(int byte)
{
    if (byte == -1)
        return xstrdup("");
    return isgraph(byte) && !strchr("'\"\\;#", byte) ? xasprintf("%c", byte) : xasprintf("\\x%02x", (unsigned)byte);
}

char *
key_print(const key_row_t *row, const key_value_t *value)
{
    char text[UNITS_TEXT];
    switch (row->kind) {
    case KEY_WORD:
        for (const key_word_t *word = row->words; word->name; word++)
            if (word->number == value->number)
                return xstrdup(word->name);
        return xstrdup("");
    case KEY_BOOL:
        return xstrdup(value->number ? "yes" : "no");
    case KEY_NUMBER:
        return xasprintf("%" PRId64, value->number);
    case KEY_TIME:
        units_print_time(value->number, text);
        return xstrdup(text);
    case KEY_SIZE:
        units_print_size(value->number, text);
        return xstrdup(text);
    case KEY_MODE:
        return xasprintf("%04" PRIo64, value->number);
    case KEY_BYTE:
        return print_byte((int)value->number);
    case KEY_PATTERN:
        return xstrdup(pattern_at((unsigned)value->number)->name);
    case KEY_SOCKET_TYPE:
        return xstrdup(socket_type_name((int)value->number));
    default:
        return xstrdup(value->text ? value->text : "");
    }
}

void
key_store(const key_row_t *row, const key_value_t *value, void *object)
{
    char *field = (char *)object + row->offset;
    int number = (int)value->number;
    bool yes = value->number != 0;
    switch (row->kind) {
    case KEY_SECRET_FILE:
    case KEY_PATH:
    case KEY_TEXT:
    case KEY_CIDR:
    case KEY_HTTP: {
        const char *text = value->text && row->kind == KEY_SECRET_FILE ? value->text + value->number : value->text;
        char *copy = text ? xstrdup(text) : NULL;
        memcpy(field, &copy, sizeof copy);
        break;
    }
    default:
        // enums, int, mode_t and gid_t are all of int's size.
        if (row->width == sizeof yes)
            memcpy(field, &yes, sizeof yes);
        else if (row->width == sizeof number)
            memcpy(field, &number, sizeof number);
        else if (row->width == sizeof value->number)
            memcpy(field, &value->number, sizeof value->number);
    }
}
