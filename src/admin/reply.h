// SPDX-License-Identifier: MPL-2.0
// reply.h - one request of the control socket as its command gets it, and the
// ways to answer it: in lines or in JSON, done or failed.

#ifndef ZB_REPLY_H
#define ZB_REPLY_H

#include "admin/commandlist.h"
#include "admin/tapformat.h"
#include "admin/tokens.h"
#include "base/json.h"
#include "base/text.h"
#include "broker/broker.h"

#include <stddef.h>

typedef enum {
    COMMAND_DONE,   // ANSWER is whole
    COMMAND_FAILED, // likewise; it says `error: ` or {"error": ...}
    COMMAND_TAP,    // TAP says what to stream
    COMMAND_WAITS,  // the answer comes when it is done, in JSON where TAP says so
    COMMAND_LEAVE,  // LEAVING says which route has to be gone first; then reply_left makes the answer
} command_result_t;

// A route that drains while somebody waits for its end, and what it has lost so far.
typedef struct {
    char route[ROUTE_NAME_MAX + 1]; // "": none
    bool json;
    bool returns; // it was enabled meanwhile: the answer is what has become of that
    route_leftover_t left;
} leaving_t;

// Who asks: at the other end of the control socket.
typedef struct {
    unsigned uid, gid;
    int pid;
} control_peer_t;

typedef struct {
    broker_t *broker;
    const token_t *args; // what follows the command's name
    size_t count;
    bool json;
    int descriptor; // that came with the line, -1: none
    const control_peer_t *who;
    text_t *out;
    text_t error; // set: the command failed
    tap_request_t *tap;
    leaving_t *leaving;
    command_result_t result;
} request_t;

const char *reply_arg(const request_t *request, size_t i); // NULL: there is none

// The command has failed; a second call adds to the reason.
void reply_fail(request_t *request, const char *format, ...) __attribute__((format(printf, 2, 3)));

// "route prices: paused", or {"ok":true}.
void reply_done(request_t *request, const char *format, ...) __attribute__((format(printf, 2, 3)));

// What a reload or its plan has said, under KEY in JSON, or FAILURE and why. Frees LINES.
void reply_broker(request_t *request, int rc, text_t *lines, const char *key, const char *failure);

// One failure, `error: TEXT` or {"error": …}; what TEXT has behind its first line says why. For whoever has no request.
void reply_refuse(text_t *answer, bool json, const char *text);

// LEAVING's route has gone.
void reply_left(broker_t *broker, const leaving_t *leaving, text_t *answer);

// The route that the first argument names. False: there is none, and the command has failed.
bool reply_find_route(request_t *request, broker_route_t *route);

// Call FN for the route that the first argument names, or for each where it names none. Where there is no such route the
// command has failed, and what it writes is taken back.
void reply_for_routes(request_t *request, void (*fn)(request_t *request, const broker_route_t *route, void *context),
                      void *context);

// The commands, one function for each row.
#define COMMAND(name, arguments, min, max, effect, manner, run, help) void run(request_t *request);
COMMAND_LIST(COMMAND)
#undef COMMAND

#endif
