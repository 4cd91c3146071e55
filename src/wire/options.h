// SPDX-License-Identifier: MPL-2.0
// options.h - the socket options of a side, as numbers that its port works with.

#ifndef ZB_WIRE_OPTIONS_H
#define ZB_WIRE_OPTIONS_H

#include "wire/internal.h"

void options_read(wport_t *port); // out of port->conf

// The value of libzmq's option NUMBER on SIDE, OTHERWISE where it is not set.
int64_t options_number(const side_conf_t *side, int number, int64_t otherwise);
const char *options_text(const side_conf_t *side, int number); // NULL: not set

#endif
