// SPDX-License-Identifier: MPL-2.0
//
// libzmq asks for the process's number at every wake-up of every mailbox, to
// notice a fork: a third of all system calls of a route under a trickle of
// messages. The daemon never forks, so its getpid(2) remembers; this definition
// in the executable goes before the C library's.
#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

static _Atomic pid_t remembered;

static void
forget(void)
{
    remembered = 0;
}

__attribute__((constructor)) static void
prepare(void)
{
    pthread_atfork(NULL, NULL, forget);
}

pid_t
getpid(void)
{
    pid_t pid = atomic_load_explicit(&remembered, memory_order_relaxed);
    if (pid == 0) {
        pid = (pid_t)syscall(SYS_getpid);
        atomic_store_explicit(&remembered, pid, memory_order_relaxed);
    }
    return pid;
}
