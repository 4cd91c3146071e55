// SPDX-License-Identifier: MPL-2.0
// options.h - the socket options of a side, as numbers that its port works with.

#ifndef ZB_WIRE_OPTIONS_H
#define ZB_WIRE_OPTIONS_H

#include "wire/internal.h"

void options_read(wport_t *port); // out of port->conf

const char *options_text(const side_conf_t *side, const char *key); // of the socket option KEY; NULL: not set

#endif
