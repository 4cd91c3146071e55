// SPDX-License-Identifier: MPL-2.0
// event.h - what the log says: one table of events, one line for each.
//
// A line is words for people, then its tail for machines:
//
//   route prices: frontend is full (max_clients): newcomers wait event=side-full route=prices side=frontend
//
// The tail begins with event=NAME; the row says which keys follow, in that
// order, and a key of which nothing is known is left out. A value stands in
// double quotes if it is empty or holds blanks, quotes, backslashes, control
// characters or bytes that are not UTF-8; in there \" \\ \n \r \t and \xNN are
// escapes, and = is one of the characters that are written so. In the words a
// value that a stranger chose looks the same. So a blank, a word and a = in a row
// are always ours, however a line is taken apart.

#ifndef ZB_EVENT_H
#define ZB_EVENT_H

#include "base/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_NOTICE, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG, LOG_LEVEL_TRACE } log_level_t;

enum { LOG_LINE_MAX = 4000 }; // bytes; below PIPE_BUF: a line is written whole or not at all

// In the order of the table, which is the order of zbroker-events(7).
typedef enum {
    EVENT_READY,
    EVENT_STOPPING,
    EVENT_HURRY,
    EVENT_STOPPED,
    EVENT_UPGRADE,
    EVENT_UPGRADED,
    EVENT_UPGRADE_DRAINS,
    EVENT_UPGRADE_FAILED,
    EVENT_UPGRADE_UNKNOWN,
    EVENT_MAX_CLIENTS,
    EVENT_PROCESS_FULL,
    EVENT_PROCESS_ROOM,
    EVENT_MEMORY_SHORT,
    EVENT_MEMORY_ROOM,
    EVENT_WATCHDOG,
    EVENT_UNUSED_SOCKET,
    EVENT_RELOADED,
    EVENT_RELOADED_LATER,
    EVENT_RELOAD_WARNING,
    EVENT_RELOAD_PROBLEM,
    EVENT_RELOAD_REFUSED,
    EVENT_ROUTE_STARTED,
    EVENT_ROUTE_STATE,
    EVENT_ROUTE_ENDED,
    EVENT_ROUTE_LEFTOVER,
    EVENT_ROUTE_FAILED,
    EVENT_ROUTE_THREAD,
    EVENT_ROUTE_CHANGE,
    EVENT_ROUTE_CPU,
    EVENT_BIND_FAILED,
    EVENT_CONNECT_FAILED,
    EVENT_ENDPOINT_DOWN,
    EVENT_ENDPOINT_UP,
    EVENT_ROUTE_BLOCKED,
    EVENT_ROUTE_FLOWING,
    EVENT_ROUTE_FIGURES,
    EVENT_SIDE_FIGURES,
    EVENT_CLIENT_CONNECTED,
    EVENT_CLIENT_REACHED,
    EVENT_CLIENT_OLD,
    EVENT_CLIENT_GONE,
    EVENT_CLIENT_KICKED,
    EVENT_CLIENT_STALLED,
    EVENT_CLIENT_UNWELCOME,
    EVENT_CLIENT_CUT,
    EVENT_CLIENT_SLOW,
    EVENT_CLIENT_LOST,
    EVENT_HANDOVER_LOST,
    EVENT_REQUEUED,
    EVENT_NATS_READY,
    EVENT_NATS_AWAY,
    EVENT_JOB_EXPIRED,
    EVENT_JOB_DEAD,
    EVENT_CLIENT_REFUSED,
    EVENT_HANDSHAKE_FAILED,
    EVENT_ACCEPT_FAILED,
    EVENT_SIDE_FULL,
    EVENT_SIDE_ROOM,
    EVENT_FILE_GONE,
    EVENT_STORE_OPENED,
    EVENT_STORE_STOPPED,
    EVENT_STORE_ROOM,
    EVENT_STORE_DAMAGED,
    EVENT_AUTH_ADMITTED,
    EVENT_AUTH_OPEN,
    EVENT_AUTH_REFUSED,
    EVENT_AUTH_MALFORMED,
    EVENT_CERTIFICATE,
    EVENT_ACL_DENIED,
    EVENT_QUOTA_IGNORED,
    EVENT_CONTROL_COMMAND,
    EVENT_CONTROL_FAILED,
    EVENT_CONTROL_CLIENT,
    EVENT_CONTROL_SLOW,
    EVENT_CONTROL_REFUSED,
    EVENT_CONTROL_ACCEPT,
    EVENT_CONTROL_FOLDER,
    EVENT_CONTROL_GONE,
    EVENT_CONTROL_ANEW,
    EVENT_CONTROL_MODE,
    EVENT_HTTP_ACCEPT,
    EVENT_HTTP_MESSAGE,
    EVENT_LINES_LOST,
    EVENTS
} event_id_t;

typedef struct {
    const char *name;
    log_level_t level;
    const char *words; // {KEY} stands for the value of a field
    const char *keys;  // of the tail, with a blank between two
    bool is_often;     // peers can cause as many as they like, see event_likeness
} event_row_t;

const event_row_t *event_at(unsigned i); // NULL past the end

// One value. NULL text: not known, left out (in the words: "-").
typedef struct {
    const char *key; // NULL ends the list
    enum { FIELD_TEXT, FIELD_NUMBER, FIELD_PROSE, FIELD_WORDS } kind;
    const char *text;
    int64_t number;
} event_field_t;

#define EVENT_TEXT(key, text) { (key), FIELD_TEXT, (text), 0 }
#define EVENT_NUMBER(key, number) { (key), FIELD_NUMBER, NULL, (int64_t)(number) }
#define EVENT_PROSE(key, text) { (key), FIELD_PROSE, (text), 0 } // of ours: not quoted in the words
#define EVENT_WORDS(key, text) { (key), FIELD_WORDS, (text), 0 } // of ours: only in the words

#define EVENT_FIELDS(...) ((const event_field_t[]){ __VA_ARGS__, { NULL, FIELD_TEXT, NULL, 0 } })

// Its line, as the log has it.
void event_line(event_id_t id, const event_field_t *fields, text_t *out);

// Peers can cause as many of some events as they like, each one a little different. True: ID is such an event, and
// OUT what they have in common: the event, the side, and where the peer is, without its port.
bool event_likeness(event_id_t id, const event_field_t *fields, text_t *out);

// VALUE as the tail has it: as it is, or quoted.
void event_quote(text_t *out, const char *value);

// Where the tail of LINE begins, with its blank; NULL: it has none.
const char *event_tail(const char *line);

// Call FN for each key of TAIL, with its value as it stands there. Returns what follows the last one.
typedef void event_pair_fn_t(const char *key, size_t key_size, const char *value, size_t size, void *arg);
const char *event_pairs(const char *tail, event_pair_fn_t *fn, void *arg);

// A value of a tail as it was before event_quote, but for the end of one that was cut.
void event_unquote(text_t *out, const char *value, size_t size);

// The value of KEY in the tail of LINE, as it stands there, and its length; NULL without.
const char *event_value(const char *line, const char *key, size_t *size);

#endif
