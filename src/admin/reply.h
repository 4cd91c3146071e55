// SPDX-License-Identifier: MPL-2.0
// reply.h - one request of the control socket as its command gets it, and the
// ways to answer it: in lines or in JSON, done or failed.

#ifndef ZB_REPLY_H
#define ZB_REPLY_H

#include "admin/commands.h"
#include "admin/tokens.h"
#include "base/json.h"
#include "base/text.h"
#include "broker/broker.h"

#include <stddef.h>

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

// One object, into which the command writes between the two.
json_t reply_json(request_t *request);
void reply_json_end(request_t *request, json_t *json);

// Call FN for the route that the first argument names, or for each where it names none. False: there is no such route.
bool reply_for_routes(request_t *request, void (*fn)(request_t *request, const broker_route_t *route, void *context),
                      void *context);

#endif
