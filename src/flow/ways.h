// SPDX-License-Identifier: MPL-2.0
// ways.h - which way messages go through a route: from one side to another, for every engine.

#ifndef ZB_WAYS_H
#define ZB_WAYS_H

#include "conf/conf.h"

typedef struct {
    side_t from, to;
    bool brings_in; // new messages, which stop first when a route drains: neither replies nor subscriptions
} way_t;

enum { WAYS_MOST = 4 };

size_t ways_of(const route_conf_t *conf, way_t ways[WAYS_MOST]); // how many; those of the frontend come first

#endif
