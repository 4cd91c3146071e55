// SPDX-License-Identifier: MPL-2.0
// tapformat.h - what a tap was asked for, and a message as the text that it shows.

#ifndef ZB_TAPFORMAT_H
#define ZB_TAPFORMAT_H

#include "base/text.h"
#include "conf/conf.h"
#include "flow/tap.h"

#include <stdbool.h>

typedef enum { TAP_LINE, TAP_HEX, TAP_JSON } tapformat_t;

typedef struct {
    char route[ROUTE_NAME_MAX + 1];
    text_t prefix;  // may hold any byte; owned by whoever has the conf
    uint64_t count; // 0: without end
    tapformat_t format;
    bool json; // the whole answer is JSON, the last line too
} tap_request_t;

void tap_request_free(tap_request_t *conf);

int tapformat_find(const char *name); // -1: none of that name

// One message in one of the forms, and the last line. A JSON document has every byte of its message, or is not printed:
// the longest is one line of 6 bytes for each of these.
enum { TAP_JSON_MAX = 32 * 1024 * 1024 };
bool tapformat_can_print(const tap_message_t *message, tapformat_t format);
void tapformat_print(const tap_message_t *message, uint64_t seq, tapformat_t format, text_t *out);
void tapformat_print_missed(uint64_t missed, bool json, text_t *out);

#endif
