// SPDX-License-Identifier: MPL-2.0
// options.h - what zbroker-bench was asked to do: its command line as a struct,
// checked. The table in options.c is also what --help prints.

#ifndef ZB_BENCH_OPTIONS_H
#define ZB_BENCH_OPTIONS_H

#include "bench/keys.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { OPTIONS_CLIENTS = 1024, OPTIONS_LIST = 64 };

// Exit status, as in zbroker-bench(1).
enum { EXIT_GOOD = 0, EXIT_FAULTY = 1, EXIT_USAGE = 2, EXIT_UNREACHABLE = 3 };

// One way of using a broker: which sockets the load opens, and which the broker.
typedef struct {
    const char *name;
    int producer, consumer; // ZMQ_PUSH, …: of the load
    int frontend, backend;  // of the broker between them
    const char *route_type; // in zbroker.ini
    bool replies;           // a consumer is a service, the producers measure
} load_pattern_t;

typedef struct {
    const char *item[OPTIONS_LIST];
    size_t count;
} option_list_t;

typedef struct {
    const load_pattern_t *pattern; // NULL only with SERVE

    // The load
    int64_t producers, consumers;
    int64_t size, parts, topics;
    bool empty, split_topics;
    const char *topic; // prefix, "" for none
    int64_t rate;      // messages per second of all producers; 0: as fast as it goes
    int64_t messages;  // exactly so many of all producers; 0: for DURATION
    int64_t duration_ms, warmup_ms, wait_ms, settle_ms;
    bool verify;
    int64_t work_us; // of CPU, by a consumer or service, for each message
    int64_t outstanding, retries, timeout_ms; // request patterns
    int64_t sndhwm, rcvhwm;                   // -1: libzmq's default
    bool nodrop;
    bool ack; // acknowledged producers and workers: zbroker-protocols(7)
    bool no_ids; // of the messages of those producers
    bool curve; // with KEYS
    keys_t keys;

    // Where
    option_list_t to, from; // endpoints; a leading '@' binds
    bool direct;
    const char *transport; // "tcp" or "ipc", of what we start ourselves
    const char *through, *conf;
    int64_t pid;

    // Against what
    option_list_t against;
    const char *zbroker;
    option_list_t set; // KEY=VALUE for the route of a zbroker that we start
    int64_t broker_hwm, io_threads, rounds;

    // Being a service or a reference
    const char *serve;
    const char *service; // "rep", "router", "dealer" or NULL for the pattern's own
    int64_t workers;

    // Output
    const char *json, *plot, *name;
    bool quiet, each;
} bench_options_t;

// Parse and check. On -h and -V prints and returns 0 with DONE set; on wrong
// usage prints why and returns -1. What SELF points to is borrowed from ARGV.
int options_parse(bench_options_t *self, int argc, char **argv, bool *done);

const load_pattern_t *options_pattern(const char *name); // NULL: there is none

// "1.5s", "200ms", "2m", "3" (seconds) to milliseconds; "64k" to a number, with
// a k of THOUSAND (1000 or 1024); -1 where it is none.
int64_t options_time_ms(const char *text);
int64_t options_count(const char *text, int64_t thousand);

#endif
