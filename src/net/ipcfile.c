// SPDX-License-Identifier: MPL-2.0
#include "net/ipcfile.h"

#include "base/mem.h"
#include "net/address.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static int
fail(char *reason, size_t size, const char *what)
{
    snprintf(reason, size, "%s: %s", what, strerror(errno));
    return -1;
}

// The same in words of ours, for an ERROR that the system has not told.
static int
fail_with(int error, char *reason, size_t size, const char *words)
{
    snprintf(reason, size, "%s", words);
    errno = error;
    return -1;
}

// --- the lock --------------------------------------------------------------------------

// Somebody may have removed the file between our open and our lock; then it
// locks nothing.
static int
lock_is_current(const char *name, int fd)
{
    struct stat ours, there;
    return fstat(fd, &ours) == 0 && stat(name, &there) == 0 && ours.st_ino == there.st_ino && ours.st_dev == there.st_dev;
}

static int
take_lock(const char *path, char *reason, size_t size)
{
    char name[PATH_MAX];
    snprintf(name, sizeof name, "%s.lock", path);
    for (;;) {
        int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd == -1)
            return fail(reason, size, name);
        if (flock(fd, LOCK_EX | LOCK_NB) == -1) {
            close(fd);
            if (errno == EWOULDBLOCK)
                fail_with(EADDRINUSE, reason, size, "in use by another process");
            else
                fail(reason, size, name);
            return -1;
        }
        if (lock_is_current(name, fd))
            return fd;
        close(fd);
    }
}

static void
give_up_lock(const char *path, int lock)
{
    char name[PATH_MAX];
    snprintf(name, sizeof name, "%s.lock", path);
    if (lock_is_current(name, lock))
        unlink(name);
    close(lock);
}

// --- what is in the way ----------------------------------------------------------------

// Is anybody there? A full queue of connects means yes.
static int
somebody_listens(const char *path)
{
    address_t address;
    if (!address_unix(&address, path))
        return 0;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd == -1)
        return 1;
    int rc = connect(fd, (struct sockaddr *)&address.at, address.length);
    int alive = rc == 0 || (errno != ECONNREFUSED && errno != ENOENT);
    close(fd);
    return alive;
}

int
ipcfile_clear(const char *path, char *reason, size_t size)
{
    struct stat there;
    if (lstat(path, &there) == -1)
        return errno == ENOENT ? 0 : fail(reason, size, "cannot look at it");
    if (!S_ISSOCK(there.st_mode))
        return fail_with(EEXIST, reason, size, "there is a file that is not a socket; it was left alone");
    if (somebody_listens(path))
        return fail_with(EADDRINUSE, reason, size, "in use by another process");
    return unlink(path) == -1 && errno != ENOENT ? fail(reason, size, "cannot remove the dead socket there") : 0;
}

// --- the socket ------------------------------------------------------------------------

// Of the link itself, should somebody have put one there: not of what it points to.
static int
set_group(const char *path, gid_t group, char *reason, size_t size)
{
    return group != (gid_t)-1 && lchown(path, (uid_t)-1, group) == -1 ? fail(reason, size, "cannot set its group") : 0;
}

static int
set_mode(const char *path, mode_t mode, char *reason, size_t size)
{
    return fchmodat(AT_FDCWD, path, mode, AT_SYMLINK_NOFOLLOW) == -1 ? fail(reason, size, "cannot set its mode") : 0;
}

static int
bind_there(int fd, const char *path, mode_t mode, gid_t group, char *reason, size_t size)
{
    address_t address;
    if (!address_unix(&address, path))
        return fail_with(ENAMETOOLONG, reason, size, "path is too long");
    // A chmod(2) of the path could hit what others have put there. The file gets the mode of the socket without what the
    // umask forbids; where the folder has a default ACL, the umask does not count.
    mode_t before = umask(0777 & ~mode);
    fchmod(fd, mode);
    int rc = bind(fd, (struct sockaddr *)&address.at, address.length);
    umask(before);
    if (rc == -1)
        return fail(reason, size, "cannot bind");
    // Nobody can connect before listen(2), so this comes in time.
    rc = path[0] == '@' ? 0 : set_group(path, group, reason, size);
    if (rc == -1) {
        int error = errno;
        unlink(path);
        errno = error;
    }
    return rc;
}

static void
remember(ipcfile_t *self)
{
    struct stat there;
    if (lstat(self->path, &there) == -1)
        return;
    self->device = there.st_dev;
    self->inode = there.st_ino;
}

static int
lock_path(ipcfile_t *self, const char *path, char *reason, size_t size)
{
    self->path = xstrdup(path);
    self->lock = take_lock(path, reason, size);
    return self->lock == -1 ? -1 : 0;
}

int
ipcfile_bind(ipcfile_t *self, const char *path, mode_t mode, gid_t group, char *reason, size_t size)
{
    bool has_file = path[0] != '@';
    *self = IPCFILE_NONE;
    if (has_file && (lock_path(self, path, reason, size) == -1 || ipcfile_clear(path, reason, size) == -1))
        return -1;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd == -1)
        return fail(reason, size, "cannot make a socket");
    if (bind_there(fd, path, mode, group, reason, size) == -1) {
        int error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    if (has_file)
        remember(self);
    return fd;
}

int
ipcfile_adopt(ipcfile_t *self, const char *path, char *reason, size_t size)
{
    *self = IPCFILE_NONE;
    int rc = lock_path(self, path, reason, size);
    if (rc == 0)
        remember(self);
    return rc;
}

bool
ipcfile_is_at(const ipcfile_t *self, const char *name)
{
    struct stat there;
    return self->inode != 0 && lstat(name, &there) == 0 && there.st_dev == self->device && there.st_ino == self->inode;
}

void
ipcfile_remove(const ipcfile_t *self, const char *name)
{
    if (ipcfile_is_at(self, name))
        unlink(name);
}

// The group that a new file there would have.
static gid_t
group_of(const ipcfile_t *self, gid_t group)
{
    struct stat folder;
    if (group != (gid_t)-1)
        return group;
    const char *slash = strrchr(self->path, '/');
    char *name = slash ? xstrndup(self->path, (size_t)(slash - self->path) + 1) : xstrdup(".");
    bool gives = stat(name, &folder) == 0 && folder.st_mode & S_ISGID;
    free(name);
    return gives ? folder.st_gid : getegid();
}

int
ipcfile_permit(const ipcfile_t *self, const char *name, mode_t mode, gid_t group, char *reason, size_t size)
{
    if (!ipcfile_is_at(self, name))
        return 0;
    return set_group(name, group_of(self, group), reason, size) == -1 ? -1 : set_mode(name, mode, reason, size);
}

int
ipcfile_could_permit(const ipcfile_t *self, gid_t group, char *reason, size_t size)
{
    if (self->lock == -1 || fchown(self->lock, (uid_t)-1, group_of(self, group)) == 0)
        return 0;
    return fail(reason, size, "cannot set its group");
}

void
ipcfile_close(ipcfile_t *self)
{
    if (self->lock != -1)
        give_up_lock(self->path, self->lock);
    free(self->path);
    *self = IPCFILE_NONE;
}
