// SPDX-License-Identifier: MPL-2.0
// zap.h - the words of the ZeroMQ Authentication Protocol, RFC 27: a request
// read from its frames, a reply made of them. No socket, no decision.

#ifndef ZB_ZAP_H
#define ZB_ZAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ZAP_ENDPOINT "inproc://zeromq.zap.01"
#define ZAP_FRAMES_MAX 16 // of a request; what has more is malformed

typedef struct {
    const void *data;
    size_t size;
} zap_frame_t;

typedef enum { ZAP_NULL, ZAP_PLAIN, ZAP_CURVE, ZAP_GSSAPI, ZAP_MECHANISMS } zap_mechanism_t;
const char *zap_mechanism_name(zap_mechanism_t mechanism); // "curve"

// Points into the frames it was read from.
typedef struct {
    zap_frame_t id, domain, address, routing_id;
    zap_mechanism_t mechanism;
    zap_frame_t credentials[2]; // PLAIN: name, password; CURVE: 32 bytes; GSSAPI: principal
} zap_request_t;

// Read the frames that follow the empty delimiter. 0, or -1: malformed. ID is
// then set if it was there, so that the peer can be told.
int zap_parse(zap_request_t *self, const zap_frame_t *frames, size_t count);

// The status codes of RFC 27.
#define ZAP_WELCOME 200
#define ZAP_LATER 300   // a temporary failure: libzmq closes, the client tries again
#define ZAP_REFUSED 400 // libzmq's clients do not come back
#define ZAP_FAILED 500

// The reply's frames after the delimiter: version, id, status, text, user, metadata.
#define ZAP_REPLY_FRAMES 6
typedef struct {
    zap_frame_t frames[ZAP_REPLY_FRAMES];
    char status[12];
} zap_reply_t;
void zap_reply(zap_reply_t *self, zap_frame_t id, int status, const char *user);

#endif
