// SPDX-License-Identifier: MPL-2.0
// target.h - what is measured: a broker that is there already, two clients
// without one, or a broker that we start for one measurement on endpoints of
// its own: libzmq's zmq_proxy and czmq's zproxy (in a process of this program),
// a zbroker with a configuration made for the load, or any command.

#ifndef ZB_BENCH_TARGET_H
#define ZB_BENCH_TARGET_H

#include "bench/options.h"
#include "bench/peer.h"

#include <stdbool.h>
#include <sys/types.h>

typedef enum { TARGET_GIVEN, TARGET_DIRECT, TARGET_PROXY, TARGET_ZPROXY, TARGET_ZBROKER, TARGET_COMMAND } target_kind_t;

typedef struct {
    const char *name;
    target_kind_t kind;
    const char *command; // path or command line, of the last two kinds
    pid_t pid;           // 0: not ours, or unknown

    // Where the load goes while it runs.
    place_list_t to, from;

    char folder[64]; // ipc sockets and configuration, while it runs
    char endpoint[2][128];
    const char *pointer[2];
} target_t;

// What --against means by WHAT.
target_t target_named(const char *what);

// Start it (TARGET_GIVEN: nothing to do). It may not listen yet on return: clients
// wait for that. -1 with one line in ERROR.
int target_start(target_t *self, const bench_options_t *options, char error[256]);

// Has a broker of ours ended by itself? Then ERROR says how.
bool target_ended(target_t *self, char error[256]);

void target_stop(target_t *self);

// --serve proxy and zproxy: bind --to and --from and forward in this process.
// Returns only on failure: an exit status.
int target_serve(const bench_options_t *options);

#endif
