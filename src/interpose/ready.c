// SPDX-License-Identifier: MPL-2.0
#include "interpose/ready.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    CHUNK = 1024,
    CHUNKS = 4096, // descriptors beyond CHUNK * CHUNKS go the kernel's way
};

static _Atomic(ready_t *) chunks[CHUNKS];
static _Thread_local char thread_mark;

const void *
ready_thread(void)
{
    return &thread_mark;
}

bool
ready_is_first_thread(void)
{
    static _Thread_local int answer; // 0: not yet asked
    if (!answer)
        answer = syscall(SYS_gettid) == (long)getpid() ? 1 : -1;
    return answer == 1;
}

ready_t *
ready_find(int fd)
{
    if (fd < 0 || fd >= CHUNK * CHUNKS)
        return NULL;
    ready_t *chunk = atomic_load_explicit(&chunks[fd / CHUNK], memory_order_acquire);
    return chunk ? &chunk[fd % CHUNK] : NULL;
}

ready_t *
ready_make(int fd)
{
    ready_t *self = ready_find(fd);
    if (self || fd < 0 || fd >= CHUNK * CHUNKS)
        return self;
    ready_t *none = NULL, *fresh = calloc(CHUNK, sizeof *fresh);
    if (!atomic_compare_exchange_strong(&chunks[fd / CHUNK], &none, fresh))
        free(fresh);
    return ready_find(fd);
}

ready_t *
ready_mine(int fd)
{
    ready_t *self = ready_find(fd);
    return self && self->known && self->thread == &thread_mark ? self : NULL;
}

void
ready_note_mailbox(int fd, mailbox_state_t state)
{
    ready_t *self = ready_make(fd);
    if (!self)
        return;
    self->listener = &thread_mark;
    self->mailbox = state;
    self->answers = self->slept_on ? 2 : 1;
}
