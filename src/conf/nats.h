// SPDX-License-Identifier: MPL-2.0
// nats.h - one logical route on several machines, by a stream of a NATS server: do its
// keys go together, and can it be had at all.

#ifndef ZB_CONF_NATS_H
#define ZB_CONF_NATS_H

#include "conf/assigned.h"

void nats_check(const check_t *self); // fills in the defaults that have the route's name

#endif
