// SPDX-License-Identifier: MPL-2.0
// tapping.h - what a tap was asked for, and a message as the text that it shows.

#ifndef ZB_TAPPING_H
#define ZB_TAPPING_H

#include "base/text.h"
#include "conf/conf.h"
#include "flow/tap.h"

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

// One message in one of the forms, and the last line. A JSON document has every byte of its message, or is not printed:
// the longest is one line of 6 bytes for each of these.
enum { TAP_JSON_MAX = 32 * 1024 * 1024 };
bool tapping_can_print(const tap_message_t *message, tap_format_t format);
void tapping_print(const tap_message_t *message, uint64_t seq, tap_format_t format, text_t *out);
void tapping_print_missed(uint64_t missed, bool json, text_t *out);

#endif
