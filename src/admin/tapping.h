// SPDX-License-Identifier: MPL-2.0
// tapping.h - one reader of a route's messages: a tap (flow/tap.h) and the text
// it becomes. Follows the route when a reload re-creates it or somebody disables
// and enables it.
//
// What is missed shows as a jump of SEQ and as the sum in the last line, so
// that what was seen and what was missed add up to all there was.

#ifndef ZB_TAPPING_H
#define ZB_TAPPING_H

#include "admin/broker.h"
#include "base/text.h"

#include <stdbool.h>

typedef enum { TAP_LINE, TAP_HEX, TAP_JSON } tap_format_t;

typedef struct {
    char route[ROUTE_NAME_MAX + 1];
    text_t prefix;       // may hold any byte; owned by whoever has the conf
    uint64_t count;      // 0: without end
    tap_format_t format;
    bool json;           // the whole answer is JSON, the last line too
} tapping_conf_t;

void tapping_conf_free(tapping_conf_t *conf);

int tap_format_find(const char *name); // -1: none of that name

typedef struct tapping tapping_t;

// Takes what CONF holds. NULL with the reason in ERROR.
tapping_t *tapping_new(broker_t *broker, tapping_conf_t *conf, text_t *error);

// Readable when there is something to write.
int tapping_fd(const tapping_t *self);
bool tapping_is_endless(const tapping_t *self); // no count was given

// Look whether the route is still the one that is tapped. False: it is gone for good.
bool tapping_follow(tapping_t *self);

// Append messages to OUT until it has LIMIT bytes. False when COUNT messages were written.
bool tapping_write(tapping_t *self, text_t *out, size_t limit);

// The last line: `missed N`.
void tapping_finish(tapping_t *self, text_t *out);

void tapping_destroy(tapping_t **self_p);

// One message in one of the forms; for tests.
void tapping_print(const tap_message_t *message, uint64_t seq, tap_format_t format, text_t *out);

#endif
