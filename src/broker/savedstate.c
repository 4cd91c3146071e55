// SPDX-License-Identifier: MPL-2.0
#include "broker/savedstate.h"

#include "base/mem.h"
#include "flow/savedroute.h"

#include <limits.h>
#include <stdlib.h>

void
savedstate_keep(savedstate_t *self, int fd)
{
    mem_grow(self->fds, self->count, self->room);
    self->fds[self->count++] = fd;
}

void
savedstate_fd(savedstate_t *self, unsigned tag, int fd)
{
    if (fd == -1)
        return;
    record_number(&self->record, tag, (uint64_t)fd);
    savedstate_keep(self, fd);
}

void
savedstate_seal(savedstate_t *self)
{
    record_bytes(&self->record, SAVEDSTATE_FDS, self->fds, self->count * sizeof *self->fds);
}

void
savedstate_forget(savedstate_t *self)
{
    record_forget(&self->record);
    free(self->fds);
    *self = (savedstate_t){ 0 };
}

int
savedstate_find_fd(record_fields_t from, unsigned tag)
{
    int fd = (int)record_number_of(from, tag, INT_MAX);
    return fd > 0 && saved_is_socket(fd) ? fd : -1;
}

bool
savedstate_is_known(const record_t *record)
{
    return record_number_of(record_fields(record), SAVEDSTATE_FORMAT, SAVEDSTATE_FORMAT_NOW) == SAVEDSTATE_FORMAT_NOW;
}

size_t
savedstate_discard(const record_t *record)
{
    return saved_close(record_fields(record), SAVEDSTATE_FDS);
}
