// SPDX-License-Identifier: MPL-2.0
#include "broker/savedstate.h"

#include "base/mem.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

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

static bool
is_socket(int fd)
{
    struct stat status;
    return fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode);
}

int
savedstate_find_fd(record_fields_t from, unsigned tag)
{
    record_field_t field;
    uint64_t fd;
    bool found = record_find(from, tag, &field) && record_to_number(&field, INT_MAX, &fd);
    return found && is_socket((int)fd) ? (int)fd : -1;
}

bool
savedstate_is_known(const record_t *record)
{
    record_field_t field;
    uint64_t format;
    return record_find(record_fields(record), SAVEDSTATE_FORMAT, &field) &&
           record_to_number(&field, SAVEDSTATE_FORMAT_NOW, &format) && format == SAVEDSTATE_FORMAT_NOW;
}

static bool
is_listening(int fd)
{
    int on = 0;
    socklen_t size = sizeof on;
    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &size) == 0 && on;
}

size_t
savedstate_discard(const record_t *record)
{
    record_field_t field;
    size_t connections = 0;
    if (!record_find(record_fields(record), SAVEDSTATE_FDS, &field))
        return 0;
    for (size_t i = 0; i < field.size / sizeof(int); i++) {
        int fd;
        memcpy(&fd, field.at + i * sizeof fd, sizeof fd);
        if (!is_socket(fd))
            continue;
        connections += !is_listening(fd);
        close(fd);
    }
    return connections;
}
