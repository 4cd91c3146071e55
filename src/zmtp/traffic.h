// SPDX-License-Identifier: MPL-2.0
// traffic.h - the commands that peers of ZMTP 3 send among their messages: PING,
// PONG, SUBSCRIBE, CANCEL, ERROR. Bodies only: the head is a frame's with
// FRAME_COMMAND (frame.h), or a CURVE box around both (curve.h).

#ifndef ZB_ZMTP_TRAFFIC_H
#define ZB_ZMTP_TRAFFIC_H

#include <stddef.h>
#include <stdint.h>

enum {
    TRAFFIC_CONTEXT_MAX = 16, // octets of a PING that its PONG repeats
    TRAFFIC_PING_MAX = 7 + TRAFFIC_CONTEXT_MAX,
    TRAFFIC_PONG_MAX = 5 + TRAFFIC_CONTEXT_MAX,
    TRAFFIC_TOPIC_HEAD_MAX = 10,
};

typedef enum {
    TRAFFIC_UNKNOWN, // well-formed, to be ignored
    TRAFFIC_PING,
    TRAFFIC_PONG,
    TRAFFIC_SUBSCRIBE,
    TRAFFIC_CANCEL,
    TRAFFIC_ERROR,
} traffic_kind_t;

// Points into the body that it was read from.
typedef struct {
    traffic_kind_t kind;
    uint16_t ttl;        // PING: in tenths of a second, 0: none
    const uint8_t *data; // PING, PONG: the context; SUBSCRIBE, CANCEL: the topic; ERROR: the reason
    size_t size;
} traffic_t;

// Read the BODY of a command. 0, or -1: malformed.
int traffic_read(traffic_t *self, const uint8_t *body, size_t size);

// Write the body of a PING or of its PONG. At most TRAFFIC_CONTEXT_MAX octets of the
// context are taken. Each returns the octets written.
size_t traffic_ping(uint8_t *at, uint16_t ttl, const uint8_t *context, size_t size);
size_t traffic_pong(uint8_t *at, const uint8_t *context, size_t size);

// Write what goes before the topic of KIND, SUBSCRIBE or CANCEL.
size_t traffic_topic_head(uint8_t *at, traffic_kind_t kind);

#endif
