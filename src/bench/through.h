// SPDX-License-Identifier: MPL-2.0
// through.h - the endpoints of one route of a zbroker, as its own dump (zbroker
// -T) names them, turned into what a client on this machine connects to.

#ifndef ZB_BENCH_THROUGH_H
#define ZB_BENCH_THROUGH_H

#include "bench/options.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

typedef struct {
    char type[32]; // of the route
    bool ack;      // its acknowledged sides
    char to[OPTIONS_LIST][256], from[OPTIONS_LIST][256];
    size_t tos, froms;
    char control[256];
} through_t;

// Run `zbroker -T -c CONF` (the zbroker beside this program, or that in PATH) and
// read ROUTE from it: ACK, its acknowledged sides. -1, with one line in ERROR, if that can't be done.
int through_read(through_t *self, const char *conf, const char *route, bool ack, char error[256]);

// The same from a dump that is already there.
int through_parse(through_t *self, const char *dump, const char *route, bool ack, char error[256]);

// The process that listens on the control socket, 0 if there is none.
pid_t through_pid(const through_t *self);

#endif
