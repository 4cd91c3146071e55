// SPDX-License-Identifier: MPL-2.0
#include "flow/savedroute.h"

#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

// Anywhere among the bytes: an int may not begin there.
static bool
fd_at(record_fields_t from, unsigned tag, size_t i, int *fd)
{
    record_field_t field;
    if (!record_find(from, tag, &field) || i >= field.size / sizeof *fd)
        return false;
    memcpy(fd, field.at + i * sizeof *fd, sizeof *fd);
    return true;
}

bool
savedroute_fd(const record_t *self, size_t i, int *fd)
{
    return fd_at(record_fields(self), SAVEDROUTE_FDS, i, fd);
}

bool
saved_is_socket(int fd)
{
    struct stat status;
    return fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode);
}

static bool
is_listening(int fd)
{
    int on = 0;
    socklen_t size = sizeof on;
    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &size) == 0 && on;
}

size_t
saved_close(record_fields_t from, unsigned tag)
{
    size_t connections = 0;
    for (int fd, i = 0; fd_at(from, tag, (size_t)i, &fd); i++)
        if (saved_is_socket(fd)) {
            connections += !is_listening(fd);
            close(fd);
        }
    return connections;
}

size_t
savedroute_drop(record_t *self)
{
    size_t closed = saved_close(record_fields(self), SAVEDROUTE_FDS);
    record_forget(self);
    return closed;
}
