// SPDX-License-Identifier: MPL-2.0
// listener_ipc.c - UNIX sockets, and their files.

#include "net/listener_internal.h"

#include "base/mem.h"
#include "net/ipcpath.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int
wildcard_path(listener_t *self, char *reason, size_t size)
{
    const char *tmp = getenv("TMPDIR");
    self->folder = xasprintf("%s/zbroker-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (!mkdtemp(self->folder)) {
        snprintf(reason, size, "cannot make a folder for it: %s", strerror(errno));
        free(self->folder);
        self->folder = NULL;
        return -1;
    }
    self->path = xasprintf("%s/socket", self->folder);
    return 0;
}

static char *
aside(const listener_t *self)
{
    return xasprintf("%s.closed", self->path);
}

// A process that was killed while it did not accept left its socket there.
static void
clear_aside(const listener_t *self)
{
    char ignored[256];
    char *name = aside(self);
    ipcpath_clear(name, ignored, sizeof ignored);
    free(name);
}

static void
remember_file(listener_t *self)
{
    struct stat there;
    if (!self->path || lstat(self->path, &there) == -1)
        return;
    self->bound = true;
    self->device = there.st_dev;
    self->inode = there.st_ino;
}

static int
open_ipc(listener_t *self, const endpoint_t *endpoint, const side_conf_t *side, char *reason, size_t size)
{
    const char *path = endpoint->path;
    if (endpoint->wildcard) {
        if (wildcard_path(self, reason, size) == -1)
            return -1;
        path = self->path;
    } else if (path[0] != '@')
        self->path = xstrdup(path);

    if (self->path) {
        self->lock = ipcpath_lock(path, reason, size);
        if (self->lock == -1 || ipcpath_clear(path, reason, size) == -1)
            return -1;
        clear_aside(self);
    }
    self->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (self->fd == -1) {
        snprintf(reason, size, "%s", strerror(errno));
        return -1;
    }
    if (ipcpath_bind(self->fd, path, side->ipc_mode, side->ipc_group, reason, size) == -1)
        return -1;
    remember_file(self);
    if (!self->tried && listen(self->fd, listener_backlog(side)) == -1) {
        snprintf(reason, size, "%s", strerror(errno));
        return -1;
    }
    return 0;
}

// It may have been moved aside, so that nobody connects.
static void
adopt_ipc(listener_t *self, bool ours)
{
    char ignored[256];
    struct sockaddr_un address = { 0 };
    struct stat there;
    socklen_t size = sizeof address - 1;
    if (!ours || getsockname(self->fd, (struct sockaddr *)&address, &size) == -1 || address.sun_path[0] != '/')
        return;
    self->path = xstrdup(address.sun_path);
    self->lock = ipcpath_lock(self->path, ignored, sizeof ignored);
    if (self->wildcard)
        self->folder = xstrndup(self->path, (size_t)(strrchr(self->path, '/') - self->path));
    char *name = aside(self);
    int rc = lstat(self->path, &there) == -1 ? rename(name, self->path) : 0; // where it has gone nobody can connect
    (void)rc;
    free(name);
    remember_file(self);
}

static void
move_path(const listener_t *self, bool away)
{
    char *name = aside(self);
    const char *from = away ? self->path : name;
    // If it is not there any more nobody can connect, which is what was wanted.
    int rc = listener_has_file(self, from) ? rename(from, away ? name : self->path) : -1;
    (void)rc;
    free(name);
}

static void
accept_ipc(const listener_t *self)
{
    if (self->bound)
        move_path(self, self->closed);
}

// A path that was made is news.
static char *
resolve_ipc(const listener_t *self)
{
    return listener_bind_text(self);
}

// The group that a new file there would have.
static gid_t
group_of(const listener_t *self, const side_conf_t *side)
{
    struct stat folder;
    if (side->ipc_group != (gid_t)-1)
        return side->ipc_group;
    const char *slash = strrchr(self->path, '/');
    char *name = slash ? xstrndup(self->path, (size_t)(slash - self->path) + 1) : xstrdup(".");
    bool gives = stat(name, &folder) == 0 && folder.st_mode & S_ISGID;
    free(name);
    return gives ? folder.st_gid : getegid();
}

// Whether a group can be given is tried with the file of the lock, to which no group has a right.
static int
change_ipc(const listener_t *self, const endpoint_t *endpoint, const side_conf_t *side, bool really, char *reason, size_t size)
{
    (void)endpoint; // the path is the same
    if (really)
        listen(self->fd, listener_backlog(side));
    if (!self->bound)
        return 0;
    gid_t group = group_of(self, side);
    if (!really)
        return ipcpath_could_permit(self->lock, group, reason, size);
    char *name = self->closed ? aside(self) : xstrdup(self->path);
    int rc = listener_has_file(self, name) ? ipcpath_permit(name, side->ipc_mode, group, reason, size) : 0;
    free(name);
    return rc;
}

static void
remove_file(const listener_t *self)
{
    char *name = self->closed ? aside(self) : xstrdup(self->path);
    if (listener_has_file(self, name))
        unlink(name);
    free(name);
}

static void
close_ipc(listener_t *self, bool keep_file)
{
    if (self->bound && !keep_file)
        remove_file(self);
    if (self->lock != -1)
        ipcpath_unlock(self->path, &self->lock);
    if (self->folder)
        rmdir(self->folder);
}

const listener_kind_t listener_ipc = { open_ipc, adopt_ipc, accept_ipc, resolve_ipc, change_ipc, close_ipc };
