// SPDX-License-Identifier: MPL-2.0
// event.c - see event.h.

#include "base/event.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    VALUE_MAX = 500, // bytes of a value in the tail
};

#define ROW(id, name, level, words, keys) [id] = { name, LOG_LEVEL_##level, words, keys, false }
#define OFTEN(id, name, level, words, keys) [id] = { name, LOG_LEVEL_##level, words, keys, true } // see event_likeness

static const event_row_t rows[] = {
    ROW(EVENT_READY, "ready", NOTICE, "zbroker {version} ready, {count}", "version routes"),
    ROW(EVENT_STOPPING, "stopping", NOTICE, "stopping, draining for at most {drain_timeout_ms} ms", "drain_timeout_ms"),
    ROW(EVENT_HURRY, "hurry", NOTICE, "stopping at once", ""),
    ROW(EVENT_STOPPED, "stopped", NOTICE, "zbroker stopped", ""),
    ROW(EVENT_UPGRADE, "upgrade", NOTICE, "upgrading to {path}", "path hash"),
    ROW(EVENT_UPGRADED, "upgraded", NOTICE, "upgraded: {from} -> {to}, {count}", "from to routes connections"),
    ROW(EVENT_UPGRADE_DRAINS, "upgrade-drains", WARNING,
        "the new program does not know the format of our state: all routes drain before it runs", ""),
    ROW(EVENT_UPGRADE_FAILED, "upgrade-failed", ERROR, "not upgraded, the program goes on: {reason}", "reason"),
    ROW(EVENT_UPGRADE_UNKNOWN, "upgrade-unknown", WARNING,
        "the previous program left a state of another format: {connections} connections were closed", "connections"),
    ROW(EVENT_MAX_CLIENTS, "max-clients", WARNING,
        "max_clients = {wanted}, but the limit of {descriptors} descriptors leaves room for {room}",
        "wanted descriptors room"),
    ROW(EVENT_PROCESS_FULL, "process-full", WARNING, "the process is full ({why}): newcomers wait", "reason"),
    ROW(EVENT_PROCESS_ROOM, "process-room", WARNING, "the process has room for clients again", ""),
    ROW(EVENT_MEMORY_SHORT, "memory-short", WARNING,
        "messages take {bytes} bytes, max_memory is {limit}: nothing new is accepted or read", "bytes limit"),
    ROW(EVENT_MEMORY_ROOM, "memory-room", NOTICE, "messages take {bytes} bytes: they are accepted and read again",
        "bytes limit"),
    ROW(EVENT_WATCHDOG, "watchdog", ERROR, "watchdog: a thread has not answered for {ms} ms", "ms"),
    ROW(EVENT_UNUSED_SOCKET, "unused-socket", WARNING, "socket activation: no route binds {address} ({name})",
        "address name"),

    ROW(EVENT_RELOADED, "reloaded", NOTICE, "reloaded: {change}", "route key old new how"),
    ROW(EVENT_RELOADED_LATER, "reloaded-later", WARNING, "reloaded: {change}", "key old new how"),
    ROW(EVENT_RELOAD_WARNING, "reload-warning", WARNING, "reload: {whole}", "file line column problem"),
    ROW(EVENT_RELOAD_PROBLEM, "reload-problem", ERROR, "reload: {whole}", "file line column problem"),
    ROW(EVENT_RELOAD_REFUSED, "reload-refused", ERROR, "reload refused: {whole}", "file line column problem"),

    ROW(EVENT_ROUTE_STARTED, "route-started", NOTICE, "route {route}: {how}, {endpoints}",
        "route type how frontend backend ingress capture"),
    ROW(EVENT_ROUTE_STATE, "route-state", NOTICE, "route {route}: {state}", "route state"),
    ROW(EVENT_ROUTE_ENDED, "route-ended", NOTICE, "route {route}: {how}, nothing left", "route how"),
    ROW(EVENT_ROUTE_LEFTOVER, "route-leftover", WARNING,
        "route {route}: {how} with {undelivered} messages undelivered and {unanswered} requests unanswered",
        "route how undelivered unanswered"),
    ROW(EVENT_ROUTE_FAILED, "route-failed", ERROR, "route {route}: failed: {reason}", "route reason"),
    ROW(EVENT_ROUTE_THREAD, "route-thread", ERROR, "route {route}: cannot start its thread: {reason}", "route reason"),
    ROW(EVENT_ROUTE_CHANGE, "route-change", ERROR, "route {route}: {whole}", "route file line column problem"),
    ROW(EVENT_ROUTE_CPU, "route-cpu", WARNING, "route {route}: cannot pin to cpu {cpu}: {reason}", "route cpu reason"),
    ROW(EVENT_BIND_FAILED, "bind-failed", ERROR, "route {route}: cannot bind {endpoint}: {reason}",
        "route endpoint reason"),
    ROW(EVENT_CONNECT_FAILED, "connect-failed", ERROR, "route {route}: cannot connect {endpoint}: {reason}",
        "route endpoint reason"),
    ROW(EVENT_ENDPOINT_DOWN, "endpoint-down", WARNING, "route {route}: {side} not connected to {endpoint}: {reason}",
        "route side endpoint reason"),
    ROW(EVENT_ENDPOINT_UP, "endpoint-up", NOTICE, "route {route}: {side} connected to {endpoint} again",
        "route side endpoint"),
    ROW(EVENT_ROUTE_BLOCKED, "route-blocked", WARNING, "route {route}: blocked, the {side} has taken no messages for {seconds} s",
        "route side seconds"),
    ROW(EVENT_ROUTE_FLOWING, "route-flowing", NOTICE, "route {route}: messages flow again, the {side} was blocked for {seconds} s",
        "route side seconds"),
    ROW(EVENT_ROUTE_FIGURES, "route-figures", NOTICE, "route {route}: {state}, type {type}",
        "route state type hwm undeliverable acl quota stalled shutdown peer_lost timeout expired"),
    ROW(EVENT_SIDE_FIGURES, "side-figures", NOTICE, "route {route}: {side} counters",
        "route side messages_received messages_sent received_bytes sent_bytes connections"),

    ROW(EVENT_CLIENT_CONNECTED, "client-connected", DEBUG, "route {route}: {side} client {client} connected",
        "route side client peer"),
    ROW(EVENT_CLIENT_REACHED, "client-reached", DEBUG, "route {route}: {side} connected to {peer}, client {client}",
        "route side client peer"),
    OFTEN(EVENT_CLIENT_OLD, "client-old", INFO, "route {route}: {side} client {client} at {peer} speaks ZMTP {zmtp}",
        "route side client peer zmtp"),
    ROW(EVENT_CLIENT_GONE, "client-gone", DEBUG, "route {route}: {side} client {client} gone",
        "route side client peer user"),
    ROW(EVENT_CLIENT_KICKED, "client-kicked", NOTICE, "route {route}: client {client} kicked", "route client"),
    OFTEN(EVENT_CLIENT_STALLED, "client-stalled", WARNING, "route {route}: {side} client {client} disconnected: stalled",
        "route side client peer backlog_bytes"),
    ROW(EVENT_CLIENT_UNWELCOME, "client-unwelcome", NOTICE,
        "route {route}: {side} client {client} cut, it may no longer connect", "route side client peer user"),
    OFTEN(EVENT_CLIENT_CUT, "client-cut", WARNING, "route {route}: {side} client {client} at {peer} cut: {words}",
        "route side client peer user reason"),
    OFTEN(EVENT_CLIENT_SLOW, "client-slow", WARNING,
        "route {route}: {side} client {client} at {peer} is slow, messages dropped for it: {dropped}",
        "route side client peer user dropped"),
    OFTEN(EVENT_CLIENT_LOST, "client-lost", WARNING,
        "route {route}: {side} client {client} at {peer} disconnected, messages that it had not taken: {messages}",
        "route side client peer user messages"),
    ROW(EVENT_HANDOVER_LOST, "handover-lost", WARNING, "route {route}: {connections} connections were not taken over: {reason}",
        "route connections reason"),
    OFTEN(EVENT_REQUEUED, "requeued", INFO,
        "route {route}: {side} client {client} at {peer} disconnected, messages given to others: {messages}",
        "route side client peer messages"),
    ROW(EVENT_NATS_READY, "nats-ready", NOTICE, "route {route}: connected to {server}, its stream is there", "route server"),
    ROW(EVENT_NATS_AWAY, "nats-away", WARNING, "route {route}: its stream is away, messages wait: {reason}", "route reason"),
    ROW(EVENT_JOB_EXPIRED, "job-expired", WARNING, "route {route}: a message was given up after {tries} tries", "route tries"),
    ROW(EVENT_JOB_DEAD, "job-dead", WARNING, "route {route}: a message went to {dead_letter} after {tries} tries",
        "route tries dead_letter"),
    OFTEN(EVENT_CLIENT_REFUSED, "client-refused", INFO, "route {route}: {side} handshake with {peer} failed: {words}",
        "route side peer reason"),
    ROW(EVENT_HANDSHAKE_FAILED, "handshake-failed", INFO, "route {route}: {side} handshake failed",
        "route side reason code"),
    ROW(EVENT_ACCEPT_FAILED, "accept-failed", WARNING, "route {route}: {side} cannot accept: {reason}",
        "route side reason"),
    ROW(EVENT_SIDE_FULL, "side-full", WARNING, "route {route}: {side} is full (max_clients): newcomers wait",
        "route side"),
    ROW(EVENT_SIDE_ROOM, "side-room", WARNING, "route {route}: {side} has room again", "route side"),
    ROW(EVENT_FILE_GONE, "file-gone", WARNING,
        "route {route}: {side}: the file of {endpoint} has been removed: nobody can connect until the route is disabled and enabled",
        "route side endpoint"),
    ROW(EVENT_STORE_OPENED, "store-opened", INFO, "route {route}: store {folder} opened, {messages} messages in it",
        "route folder messages bytes"),
    ROW(EVENT_STORE_STOPPED, "store-stopped", WARNING, "route {route}: the store takes no messages: {reason}", "route reason"),
    ROW(EVENT_STORE_ROOM, "store-room", WARNING, "route {route}: the store takes messages again", "route"),
    ROW(EVENT_STORE_DAMAGED, "store-damaged", ERROR, "route {route}: {messages} messages in the store are damaged, they were skipped",
        "route messages"),

    ROW(EVENT_AUTH_ADMITTED, "auth-admitted", INFO, "auth: route {route} {side}: {address} {mechanism} admitted",
        "route side address mechanism user"),
    ROW(EVENT_AUTH_OPEN, "auth-open", DEBUG, "auth: route {route} {side}: {address} {mechanism} admitted",
        "route side address mechanism user"),
    OFTEN(EVENT_AUTH_REFUSED, "auth-refused", WARNING, "auth: route {route} {side}: {address} {mechanism} refused, {reason}",
        "route side address mechanism reason user key"),
    ROW(EVENT_AUTH_MALFORMED, "auth-malformed", WARNING, "auth: a malformed request of {frames} frames refused",
        "frames"),
    ROW(EVENT_CERTIFICATE, "certificate", ERROR, "guard: {file}{place}: certificate left out: {reason}", "file line reason"),
    OFTEN(EVENT_ACL_DENIED, "acl-denied", WARNING, "acl: route {route}: {address} may not {action} {topic}",
        "route address action user topic"),
    OFTEN(EVENT_QUOTA_IGNORED, "quota-ignored", WARNING,
        "quota: route {route}: {address}: a subscription of {bytes} bytes ignored, {limited_by} = {limit}",
        "route address user bytes limited_by limit"),
    ROW(EVENT_CONTROL_COMMAND, "control-command", NOTICE, "control: {verb} by uid {uid}", "command uid gid pid"),
    ROW(EVENT_CONTROL_FAILED, "control-failed", NOTICE, "control: {verb} by uid {uid} failed: {reason}",
        "command uid gid pid reason"),
    ROW(EVENT_CONTROL_CLIENT, "control-client", DEBUG, "control: client connected", "uid gid pid"),
    ROW(EVENT_CONTROL_SLOW, "control-slow", NOTICE, "control: client does not read, cut", "uid gid pid"),
    ROW(EVENT_CONTROL_REFUSED, "control-refused", WARNING,
        "control: client refused: the kernel does not tell its user", ""),
    ROW(EVENT_CONTROL_ACCEPT, "control-accept", WARNING, "control: cannot accept: {reason}", "reason"),
    ROW(EVENT_CONTROL_FOLDER, "control-folder", INFO, "control: made {path}", "path"),
    ROW(EVENT_CONTROL_GONE, "control-gone", WARNING, "control: {path} has vanished and cannot be made anew: {reason}", "path reason"),
    ROW(EVENT_CONTROL_ANEW, "control-anew", NOTICE, "control: {path} had vanished and was made anew", "path"),
    ROW(EVENT_CONTROL_MODE, "control-mode", WARNING, "control: cannot change mode or group: {reason}", "reason"),
    ROW(EVENT_HTTP_ACCEPT, "http-accept", WARNING, "http: cannot accept: {reason}", "reason"),
    ROW(EVENT_HTTP_MESSAGE, "http-message", DEBUG, "http: libmicrohttpd: {message}", "message"),
    ROW(EVENT_LINES_LOST, "lines-lost", WARNING, "log: lost {lines} lines, standard error was not read", "lines"),
};

_Static_assert(sizeof rows / sizeof *rows == EVENTS, "every event has its row");

const event_row_t *
event_at(unsigned i)
{
    return i < EVENTS ? &rows[i] : NULL;
}

// --- values ------------------------------------------------------------------

void
event_quote(text_t *out, const char *value)
{
    text_t shown = { 0 };
    size_t size = strlen(value);
    text_shown(&shown, value, size < VALUE_MAX ? size : VALUE_MAX);
    bool plain = *value && strcmp(shown.data, value) == 0 && !strpbrk(value, " \"\\=");
    if (plain) {
        text_bytes(out, value, size);
        text_free(&shown);
        return;
    }
    // Shown again byte for byte, because a backslash of the value's own is none of ours.
    text_char(out, '"');
    for (size_t i = 0; i < size && i < VALUE_MAX;) {
        size_t length = text_utf8(value + i, size - i);
        length = length ? length : 1;
        if (value[i] == '"' || value[i] == '\\')
            text_char(out, '\\');
        if (value[i] == '=')
            text_add(out, "\\x3d");
        else
            text_shown(out, value + i, length);
        i += length;
    }
    text_add(out, "%s\"", size > VALUE_MAX ? "..." : "");
    text_free(&shown);
}

static const event_field_t *
find(const event_field_t *fields, const char *key, size_t length)
{
    for (; fields && fields->key; fields++)
        if (strncmp(fields->key, key, length) == 0 && fields->key[length] == '\0')
            return fields;
    return NULL;
}

static bool
is_known(const event_field_t *field)
{
    return field && (field->kind == FIELD_NUMBER || field->text);
}

static void
put(text_t *out, const event_field_t *field, bool in_words)
{
    bool ours = in_words && (field->kind == FIELD_PROSE || field->kind == FIELD_WORDS);
    if (field->kind == FIELD_NUMBER)
        text_add(out, "%" PRId64, field->number);
    else if (ours)
        text_shown(out, field->text, strlen(field->text));
    else
        event_quote(out, field->text);
}

static void
put_words(text_t *out, const char *words, const event_field_t *fields)
{
    for (const char *open; (open = strchr(words, '{')); words = strchr(open, '}') + 1) {
        text_bytes(out, words, (size_t)(open - words));
        const event_field_t *field = find(fields, open + 1, strcspn(open + 1, "}"));
        if (is_known(field))
            put(out, field, true);
        else
            text_char(out, '-');
    }
    text_bytes(out, words, strlen(words));
}

static void
put_tail(text_t *out, const event_row_t *row, const event_field_t *fields)
{
    text_add(out, " event=%s", row->name);
    for (const char *key = row->keys; *key;) {
        size_t length = strcspn(key, " ");
        const event_field_t *field = find(fields, key, length);
        if (is_known(field)) {
            text_add(out, " %s=", field->key);
            put(out, field, false);
        }
        key += length + (key[length] == ' ');
    }
}

// Where a line gets too long, the words give way: the tail stays whole.
void
event_line(event_id_t id, const event_field_t *fields, text_t *out)
{
    text_t tail = { 0 };
    put_tail(&tail, &rows[id], fields);
    put_words(out, rows[id].words, fields);
    if (out->size + tail.size > LOG_LINE_MAX && tail.size + 3 < LOG_LINE_MAX) {
        out->size = LOG_LINE_MAX - tail.size - 3;
        text_add(out, "...");
    }
    text_bytes(out, tail.data, tail.size);
    text_free(&tail);
}

bool
event_likeness(event_id_t id, const event_field_t *fields, text_t *out)
{
    static const char *const keys[] = { "route", "side", "address", "peer", "action" };
    if (!rows[id].is_often)
        return false;
    text_add(out, "%s", rows[id].name);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const event_field_t *field = find(fields, keys[i], strlen(keys[i]));
        const char *text = is_known(field) ? field->text : "", *port = strrchr(text, ':'), *pid = strstr(text, " pid ");
        const char *end = port ? port : pid ? pid : text + strlen(text);
        text_add(out, " %.*s", (int)(end - text), text);
    }
    return true;
}

// --- reading it ----------------------------------------------------------------

// The last one: words may hold text from a file, the tail has no other '=' than
// those of its keys.
const char *
event_tail(const char *line)
{
    const char *tail = NULL;
    for (const char *at = line; (at = strstr(at, " event=")); at++)
        tail = at;
    return tail;
}

// The end of the word that AT starts with: quotes hold blanks.
static const char *
word_end(const char *at)
{
    for (bool quoted = false; *at && (quoted || *at != ' '); at++) {
        if (quoted && *at == '\\' && at[1])
            at++;
        else if (*at == '"')
            quoted = !quoted;
    }
    return at;
}

void
event_unquote(text_t *out, const char *value, size_t size)
{
    static const char marks[] = "nrt", bytes[] = "\n\r\t";
    const char *end = value + size;
    text_bytes(out, "", 0);
    if (size < 2 || *value != '"') {
        text_bytes(out, value, size);
        return;
    }
    for (const char *at = value + 1; at < end - 1; at++) {
        unsigned code;
        const char *mark = *at == '\\' && at[1] ? strchr(marks, at[1]) : NULL;
        if (*at != '\\') {
            text_char(out, *at);
        } else if (at[1] == 'x' && sscanf(at + 2, "%2x", &code) == 1) {
            text_char(out, (char)code);
            at += 3;
        } else {
            at++;
            text_char(out, mark ? bytes[mark - marks] : *at);
        }
    }
}

const char *
event_pairs(const char *tail, event_pair_fn_t *fn, void *arg)
{
    while (*tail == ' ') {
        const char *key = tail + 1, *end = word_end(key), *equals = memchr(key, '=', (size_t)(end - key));
        if (!equals)
            break;
        fn(key, (size_t)(equals - key), equals + 1, (size_t)(end - equals) - 1, arg);
        tail = end;
    }
    return tail;
}

typedef struct {
    const char *key, *value;
    size_t size;
} wanted_t;

static void
take_wanted(const char *key, size_t key_size, const char *value, size_t size, void *arg)
{
    wanted_t *wanted = arg;
    if (wanted->value || strlen(wanted->key) != key_size || memcmp(wanted->key, key, key_size) != 0)
        return;
    wanted->value = value;
    wanted->size = size;
}

const char *
event_value(const char *line, const char *key, size_t *size)
{
    const char *tail = event_tail(line);
    wanted_t wanted = { .key = key };
    if (tail)
        event_pairs(tail, take_wanted, &wanted);
    *size = wanted.value ? wanted.size : *size;
    return wanted.value;
}
