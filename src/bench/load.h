// SPDX-License-Identifier: MPL-2.0
// load.h - one measurement: starts the clients as processes, brings them
// together, lets them work for the time or the number asked for, and adds up.

#ifndef ZB_BENCH_LOAD_H
#define ZB_BENCH_LOAD_H

#include "bench/hist.h"
#include "bench/options.h"
#include "bench/peer.h"
#include "bench/proc.h"

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct {
    uint64_t sent, received, bytes;
    double mean_ns; // latency
} load_client_t;

typedef struct {
    double seconds;     // that were measured
    uint64_t delivered; // in them: messages that came out, or replies
    uint64_t bytes;     // of these

    // Of the messages sent in RUN, counted to the end. FAILED: requests given up, replies
    // that could not be sent, and what --messages asked for and nobody would take.
    uint64_t sent, expected, received, lost, doubled, reordered, corrupt, retried, failed;
    hist_t latency;

    proc_t broker; // what it used while measured
    load_client_t client[2 * OPTIONS_CLIENTS];
    size_t producers, clients; // producers first
} load_result_t;

// PID is the broker's, or 0. -1, with one line in ERROR, if clients could not
// start, or did not meet in time.
int load_run(const bench_options_t *options, place_list_t to, place_list_t from, pid_t pid, load_result_t *result,
             char error[256]);

// --serve rep, router, dealer: until a signal comes. Exit status.
int load_serve(const bench_options_t *options);

// Was anything not as it should be?
bool load_faulty(const load_result_t *result);

// Set by a signal handler of the program: everything ends at once.
extern volatile sig_atomic_t load_interrupted;

#endif
