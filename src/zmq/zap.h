// SPDX-License-Identifier: MPL-2.0
// zap.h - the words of the ZeroMQ Authentication Protocol, RFC 27: a request
// read from its frames, a reply made of them. No socket, no decision.

#ifndef ZB_ZAP_H
#define ZB_ZAP_H

#include "conf/conf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ZAP_ENDPOINT "inproc://zeromq.zap.01"
#define ZAP_FRAMES_MAX 16 // of a request; what has more is malformed

typedef struct {
    const void *data;
    size_t size;
} zap_frame_t;

// Points into the frames it was read from.
typedef struct {
    zap_frame_t id, domain, address, routing_id;
    security_t mechanism;
    zap_frame_t credentials[2]; // PLAIN: name, password; CURVE: 32 bytes; GSSAPI: principal
} zap_request_t;

// Read the frames that follow the empty delimiter. 0, or -1: malformed. ID is
// then set if it was there, so that the peer can be told.
int zap_parse(zap_request_t *self, const zap_frame_t *frames, size_t count);

// The reply's frames after the delimiter: version, id, status, text, user, metadata.
#define ZAP_REPLY_FRAMES 6
typedef struct {
    zap_frame_t frames[ZAP_REPLY_FRAMES];
    char status[12];
} zap_reply_t;
void zap_reply(zap_reply_t *self, zap_frame_t id, int status, const char *user); // STATUS as in flow/admission.h

// The text by which libzmq knows a peer (of the address of a request, or Peer-Address of a message), as the guard knows
// it: an IPv4 address as such, "" over ipc, and "unknown" for NULL and for what has none. TEXT, or a constant.
const char *zap_address(const char *text);

#endif
