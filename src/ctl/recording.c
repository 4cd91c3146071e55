// SPDX-License-Identifier: MPL-2.0
// recording.c - see recording.h.

#include "ctl/recording.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SAFELY = O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC };

static bool
is_standard_output(const recording_t *self)
{
    return self->fd == STDOUT_FILENO;
}

// --- open --------------------------------------------------------------------------

// Does it begin as one of the lines does that we write, or is it empty?
static bool
is_recording(int fd)
{
    static const char begin[] = "{\"seq\":", only[] = "{\"missed\":";
    char read[sizeof only - 1];
    ssize_t size = pread(fd, read, sizeof read, 0);
    return size == 0 || (size >= (ssize_t)sizeof begin - 1 && memcmp(read, begin, sizeof begin - 1) == 0) ||
           (size == sizeof read && memcmp(read, only, sizeof read) == 0);
}

// Why the file that was there is not ours to write over; NULL: it is.
static const char *
objection_to(int fd)
{
    struct stat status;
    if (fstat(fd, &status) == -1)
        return strerror(errno);
    if (!S_ISREG(status.st_mode))
        return "not a regular file";
    if (status.st_uid != geteuid())
        return "the file of another user";
    if (status.st_nlink > 1)
        return "the file has other names";
    return is_recording(fd) ? NULL : "the file exists and is no recording";
}

static const char *
open_existing(recording_t *self)
{
    self->fd = open(self->path, O_RDWR | SAFELY);
    if (self->fd == -1)
        return errno == ELOOP ? "a symbolic link" : strerror(errno);
    const char *objection = objection_to(self->fd);
    if (objection)
        close(self->fd);
    return objection;
}

static const char *
open_file(recording_t *self)
{
    self->fd = open(self->path, O_RDWR | O_CREAT | O_EXCL | SAFELY, 0600);
    self->created = self->fd != -1;
    if (!self->created)
        return errno == EEXIST ? open_existing(self) : strerror(errno);
    return NULL;
}

bool
recording_open(recording_t *self, const char *path, text_t *reason)
{
    *self = (recording_t){ .fd = STDOUT_FILENO, .path = path };
    const char *objection = strcmp(path, "-") == 0 ? NULL : open_file(self);
    if (objection)
        text_add(reason, "%s: %s", path, objection);
    return !objection;
}

// --- write -------------------------------------------------------------------------

static uint64_t
count_lines(const char *text, size_t size)
{
    uint64_t lines = 0;
    for (const char *end; (end = memchr(text, '\n', size)); lines++) {
        size -= (size_t)(end + 1 - text);
        text = end + 1;
    }
    return lines;
}

static size_t
size_of_whole_lines(const char *text, size_t size)
{
    const char *end = size ? memrchr(text, '\n', size) : NULL;
    return end ? (size_t)(end + 1 - text) : 0;
}

static bool
fail(const recording_t *self, int error, text_t *reason)
{
    text_add(reason, "%s: %s after %" PRIu64 " messages", self->path, strerror(error), self->lines);
    return false;
}

// How much of it was written; less than all with errno.
static size_t
write_all(int fd, const text_t *text)
{
    size_t done = 0;
    while (done < text->size) {
        ssize_t wrote = write(fd, text->data + done, text->size - done);
        if (wrote == -1 && errno != EINTR)
            break;
        done += wrote > 0 ? (size_t)wrote : 0;
    }
    return done;
}

bool
recording_write(recording_t *self, const text_t *lines, text_t *reason)
{
    if (!self->emptied && !is_standard_output(self) && ftruncate(self->fd, 0) == -1)
        return fail(self, errno, reason);
    self->emptied = true;
    size_t done = write_all(self->fd, lines);
    int error = errno;
    size_t whole = size_of_whole_lines(lines->data, done);
    self->size += (off_t)whole;
    self->lines += count_lines(lines->data, whole);
    if (done == lines->size)
        return true;
    if (!is_standard_output(self) && ftruncate(self->fd, self->size) == -1)
        error = errno;
    return fail(self, error, reason);
}

bool
recording_close(recording_t *self, text_t *reason)
{
    if (is_standard_output(self))
        return true;
    if (self->created && !self->emptied)
        unlink(self->path);
    return close(self->fd) == 0 || fail(self, errno, reason);
}
