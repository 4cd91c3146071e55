// SPDX-License-Identifier: MPL-2.0
#include "net/ipcpath.h"

#include "net/address.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
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

// Somebody may have removed the file between our open and our lock; then it
// locks nothing.
static int
lock_is_current(const char *name, int fd)
{
    struct stat ours, there;
    return fstat(fd, &ours) == 0 && stat(name, &there) == 0 && ours.st_ino == there.st_ino && ours.st_dev == there.st_dev;
}

int
ipcpath_lock(const char *path, char *reason, size_t size)
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

void
ipcpath_unlock(const char *path, int *lock_p)
{
    if (*lock_p == -1)
        return;
    char name[PATH_MAX];
    snprintf(name, sizeof name, "%s.lock", path);
    if (lock_is_current(name, *lock_p))
        unlink(name);
    close(*lock_p);
    *lock_p = -1;
}

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
ipcpath_clear(const char *path, char *reason, size_t size)
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

int
ipcpath_bind(int fd, const char *path, mode_t mode, gid_t group, char *reason, size_t size)
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
    if (path[0] == '@' || group == (gid_t)-1)
        return 0;
    // Nobody can connect before listen(2), so this comes in time.
    if (lchown(path, (uid_t)-1, group) == -1) {
        fail(reason, size, "cannot set its group");
        unlink(path);
        return -1;
    }
    return 0;
}
