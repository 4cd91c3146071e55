// SPDX-License-Identifier: MPL-2.0
// proc.h - what a process has used, by thread, from /proc: CPU time in
// nanoseconds (schedstat, or the 10 ms ticks of stat where the kernel keeps
// none), voluntary context switches (how often it went to sleep), memory.

#ifndef ZB_BENCH_PROC_H
#define ZB_BENCH_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { PROC_THREADS = 64 };

typedef struct {
    int tid;
    char name[16];
    uint64_t cpu_ns;
    uint64_t switches;
} proc_thread_t;

typedef struct {
    bool known;
    uint64_t cpu_ns; // all threads
    uint64_t switches;
    uint64_t rss_bytes;
    size_t threads; // all, also those beyond PROC_THREADS
    proc_thread_t thread[PROC_THREADS];
} proc_t;

// Read it now. PID 0 or a process that is gone: KNOWN is false.
void proc_read(pid_t pid, proc_t *self);

// What was used between FROM and TO; memory and number of threads as of TO.
void proc_since(const proc_t *from, const proc_t *to, proc_t *used);

#endif
