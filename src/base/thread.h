// SPDX-License-Identifier: MPL-2.0
// thread.h - a thread of our own, which hears no signal: those are the main thread's.

#ifndef ZB_THREAD_H
#define ZB_THREAD_H

#include <pthread.h>
#include <stddef.h>

// 0, or -1 with errno. The caller joins or detaches it.
int thread_start(pthread_t *thread, size_t stack_bytes, void *(*run)(void *arg), void *arg);

#endif
