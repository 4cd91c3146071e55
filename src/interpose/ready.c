// SPDX-License-Identifier: MPL-2.0
#include "interpose/ready.h"

#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

_Atomic(ready_t *) ready_chunks[READY_CHUNKS];
_Thread_local char ready_mark;

bool
ready_is_first_thread(void)
{
    static _Thread_local int answer; // 0: not yet asked
    if (!answer)
        answer = syscall(SYS_gettid) == (long)getpid() ? 1 : -1;
    return answer == 1;
}

ready_t *
ready_make(int fd)
{
    ready_t *self = ready_find(fd);
    if (self || (unsigned)fd >= READY_CHUNK * READY_CHUNKS)
        return self;
    ready_t *none = NULL, *fresh = calloc(READY_CHUNK, sizeof *fresh);
    if (!atomic_compare_exchange_strong(&ready_chunks[(unsigned)fd / READY_CHUNK], &none, fresh))
        free(fresh);
    return ready_find(fd);
}
