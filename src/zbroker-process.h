// SPDX-License-Identifier: MPL-2.0
// zbroker-process.h - what zbroker(8) makes of its process before it starts
// anything in it. All of it in the first thread, before there is another.

#ifndef ZB_ZBROKER_PROCESS_H
#define ZB_ZBROKER_PROCESS_H

#include <stddef.h>
#include <stdint.h>

void process_close_memory(void); // to other processes of its user, unless it may dump core
int process_become(const char *user); // for good, with its groups: 0, or -1 with errno, ENOENT: there is no such user
int process_signals(void);      // a signalfd(2) that tells of the signals of zbroker(8), or -1
void process_tame_czmq(void);   // before its first socket
uint64_t process_seed(void);    // seeds rand(3); returns a number that no other start has

void process_thread_stacks(size_t bytes); // of threads that others start
uint64_t process_raise_descriptor_limit(void); // returns it
uint64_t process_descriptors(void);            // that are open now
uint64_t process_memory(void); // what it may use: the limit of its cgroup, or the memory of the machine

#endif
