// SPDX-License-Identifier: MPL-2.0
// attribute.h - what a side can have, by number: a row of ours (conf/keys.h) or an
// option of libzmq's (conf/sockopt.h). Rows come first, options after.

#ifndef ZB_ATTRIBUTE_H
#define ZB_ATTRIBUTE_H

#include "conf/keys.h"
#include "conf/pattern.h"
#include "conf/sockopt.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ROWS_MAX = 64, OPTIONS_MAX = 80, ATTRIBUTES = ROWS_MAX + OPTIONS_MAX };
enum { ANY_SIDE = SIDES, LAYERS = SIDES + 1 };

size_t attribute_find(const char *key); // its key without a side; ATTRIBUTES: none

// What it is. One of the two is NULL, and both are past the end.
const key_row_t *attribute_row(size_t attribute);
const sockopt_t *attribute_option(size_t attribute);

const char *attribute_key(size_t attribute);
uint32_t attribute_sockets(size_t attribute, engine_t engine); // bits ON(type) of the socket types that can have it
bool attribute_fits(size_t attribute, const route_conf_t *route, size_t side); // a side that the route has
bool attribute_is_list(size_t attribute);     // may be given more than once

// Which side KEY speaks of, or ANY_SIDE; *BASE: the rest of it.
size_t attribute_side(const char *key, const char **base);

#endif
