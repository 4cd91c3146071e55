// SPDX-License-Identifier: MPL-2.0
#include "admin/controlsocket.h"

#include "base/log.h"
#include "base/mem.h"
#include "net/ipcpath.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

// /run/zbroker is the unit's to make; started by hand it may be missing.
static int
make_folder(const char *path, char *reason, size_t size)
{
    char *folder = xstrdup(path), *slash = strrchr(folder, '/');
    int rc = 0;
    if (slash && slash != folder) {
        *slash = '\0';
        rc = mkdir(folder, 0755);
        if (rc == 0)
            log_event(EVENT_CONTROL_FOLDER, EVENT_TEXT("path", folder));
        else if (errno == EEXIST)
            rc = 0;
        else
            snprintf(reason, size, "cannot make its folder: %s", strerror(errno));
    }
    free(folder);
    return rc;
}

static bool
is_ours(const controlsocket_t *self)
{
    struct stat there;
    return lstat(self->path, &there) == 0 && there.st_dev == self->device && there.st_ino == self->inode;
}

static void
remember_file(controlsocket_t *self)
{
    struct stat there;
    if (lstat(self->path, &there) == -1)
        return;
    self->device = there.st_dev;
    self->inode = there.st_ino;
}

static int
say_errno(char *reason, size_t size)
{
    snprintf(reason, size, "%s", strerror(errno));
    return -1;
}

static int
listen_there(controlsocket_t *self, char *reason, size_t size)
{
    self->lock = ipcpath_lock(self->path, reason, size);
    if (self->lock == -1)
        return -1;
    if (self->fd != -1) { // from the program before this one
        remember_file(self);
        return 0;
    }
    if (ipcpath_clear(self->path, reason, size) == -1)
        return -1;
    self->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (self->fd == -1)
        return say_errno(reason, size);
    if (ipcpath_bind(self->fd, self->path, self->mode, self->group, reason, size) == -1)
        return -1;
    remember_file(self);
    return listen(self->fd, SOMAXCONN) == -1 ? say_errno(reason, size) : 0;
}

int
controlsocket_open(controlsocket_t *self, const char *path, mode_t mode, gid_t group, int fd, char *reason, size_t size)
{
    *self = (controlsocket_t){ .path = xstrdup(path), .mode = mode, .group = group, .lock = -1, .fd = fd };
    return make_folder(path, reason, size) == -1 ? -1 : listen_there(self, reason, size);
}

static void
stop_listening(controlsocket_t *self)
{
    if (self->inode && is_ours(self))
        unlink(self->path);
    if (self->fd != -1)
        close(self->fd);
    ipcpath_unlock(self->path, &self->lock);
    self->fd = -1;
    self->inode = 0;
}

void
controlsocket_close(controlsocket_t *self)
{
    if (!self->path)
        return;
    stop_listening(self);
    free(self->path);
    self->path = NULL;
}

int
controlsocket_chmod(controlsocket_t *self, mode_t mode, gid_t group)
{
    self->mode = mode;
    self->group = group;
    if (group != (gid_t)-1 && lchown(self->path, (uid_t)-1, group) == -1)
        return -1;
    return fchmodat(AT_FDCWD, self->path, mode, AT_SYMLINK_NOFOLLOW); // not of what others have put in its place
}

bool
controlsocket_renew(controlsocket_t *self)
{
    char reason[256];
    struct stat there;
    controlsocket_t fresh = { .path = self->path, .mode = self->mode, .group = self->group, .lock = -1, .fd = -1 };
    if (lstat(self->path, &there) == 0 || errno != ENOENT)
        return false;
    ipcpath_unlock(self->path, &self->lock);
    if (listen_there(&fresh, reason, sizeof reason) == -1) {
        stop_listening(&fresh);
        if (!self->gave_up)
            log_event(EVENT_CONTROL_GONE, EVENT_TEXT("path", self->path), EVENT_PROSE("reason", reason));
        self->gave_up = true;
        return false;
    }
    close(self->fd);
    *self = fresh;
    log_event(EVENT_CONTROL_ANEW, EVENT_TEXT("path", self->path));
    return true;
}
