// SPDX-License-Identifier: MPL-2.0
// resolve.h - the effective value of everything that a side can have: what was
// written, or our default, or libzmq's. Each becomes a line of the dump, and goes
// into the side as far as libzmq or the side has to be told.

#ifndef ZB_RESOLVE_H
#define ZB_RESOLVE_H

#include "conf/assigned.h"

// Its types, endpoints and engine must be known.
void resolve_side(const check_t *self, size_t which);

// What a change of it takes: an engine may take over what another one cannot.
reload_t resolve_reload(const route_conf_t *route, const key_row_t *row);

// One line of a dump. Takes VALUE. PREFIX: the side, or "".
void resolve_setting(settings_t *settings, const char *prefix, const char *key, char *value, reload_t reload, bool is_default);

#endif
