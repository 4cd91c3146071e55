// SPDX-License-Identifier: MPL-2.0
#include "flow/savedroute.h"

#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// Anywhere among the bytes: an int may not begin there.
static size_t
find(const record_t *self, const uint8_t **at)
{
    record_field_t field;
    if (!record_find(record_fields(self), SAVEDROUTE_FDS, &field))
        return 0;
    *at = field.at;
    return field.size / sizeof(int);
}

size_t
savedroute_fds(const record_t *self)
{
    const uint8_t *at;
    return find(self, &at);
}

int
savedroute_fd(const record_t *self, size_t i)
{
    const uint8_t *at;
    int fd = -1;
    if (i < find(self, &at))
        memcpy(&fd, at + i * sizeof fd, sizeof fd);
    return fd;
}

static bool
is_socket(int fd)
{
    struct stat status;
    return fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode);
}

size_t
savedroute_drop(record_t *self)
{
    size_t count = savedroute_fds(self), closed = 0;
    for (size_t i = 0; i < count; i++) {
        int fd = savedroute_fd(self, i);
        if (is_socket(fd))
            closed += close(fd) == 0;
    }
    record_forget(self);
    return closed;
}
