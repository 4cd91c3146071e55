// SPDX-License-Identifier: MPL-2.0
// listener_ipc.c - UNIX sockets, and their files.

#include "net/listener_internal.h"

#include "base/mem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

// The path in a folder of its own, the caller's. NULL with the reason.
static char *
wildcard_path(listener_t *self, char *reason, size_t size)
{
    const char *tmp = getenv("TMPDIR");
    self->folder = xasprintf("%s/zbroker-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (mkdtemp(self->folder))
        return xasprintf("%s/socket", self->folder);
    snprintf(reason, size, "cannot make a folder for it: %s", strerror(errno));
    free(self->folder);
    self->folder = NULL;
    return NULL;
}

static char *
aside(const char *path)
{
    return xasprintf("%s.closed", path);
}

// A process that was killed while it did not accept left its socket there.
static void
clear_aside(const char *path)
{
    char ignored[256];
    char *name = aside(path);
    ipcfile_clear(name, ignored, sizeof ignored);
    free(name);
}

static int
open_ipc(listener_t *self, const endpoint_t *endpoint, const side_conf_t *side, char *reason, size_t size)
{
    char *path = endpoint->wildcard ? wildcard_path(self, reason, size) : xstrdup(endpoint->path);
    if (!path)
        return -1;
    self->fd = ipcfile_bind(&self->file, path, side->ipc_mode, side->ipc_group, reason, size);
    free(path);
    if (self->fd == -1)
        return -1;
    if (self->file.path)
        clear_aside(self->file.path);
    if (!self->tried && listen(self->fd, listener_backlog(side)) == -1) {
        snprintf(reason, size, "%s", strerror(errno));
        return -1;
    }
    return 0;
}

// It may have been moved aside, so that nobody connects.
static void
move_back(const char *path)
{
    struct stat there;
    char *name = aside(path);
    int rc = lstat(path, &there) == -1 ? rename(name, path) : 0; // where it has gone nobody can connect
    (void)rc;
    free(name);
}

static void
adopt_ipc(listener_t *self, bool ours)
{
    char ignored[256];
    struct sockaddr_un address = { 0 };
    socklen_t size = sizeof address - 1;
    if (!ours || getsockname(self->fd, (struct sockaddr *)&address, &size) == -1 || address.sun_path[0] != '/')
        return;
    move_back(address.sun_path);
    ipcfile_adopt(&self->file, address.sun_path, ignored, sizeof ignored);
    if (self->wildcard)
        self->folder = xstrndup(address.sun_path, (size_t)(strrchr(address.sun_path, '/') - address.sun_path));
}

static void
move_path(const listener_t *self, bool away)
{
    const char *path = self->file.path;
    char *name = aside(path);
    const char *from = away ? path : name;
    // If it is not there any more nobody can connect, which is what was wanted.
    int rc = ipcfile_is_at(&self->file, from) ? rename(from, away ? name : path) : -1;
    (void)rc;
    free(name);
}

static void
accept_ipc(const listener_t *self)
{
    if (self->file.inode)
        move_path(self, self->closed);
}

// A path that was made is news.
static char *
resolve_ipc(const listener_t *self)
{
    return listener_bind_text(self);
}

// Where its file is now.
static char *
file_name(const listener_t *self)
{
    return self->closed ? aside(self->file.path) : xstrdup(self->file.path);
}

static int
change_ipc(const listener_t *self, const endpoint_t *endpoint, const side_conf_t *side, bool really, char *reason, size_t size)
{
    (void)endpoint; // the path is the same
    if (!really)
        return ipcfile_could_permit(&self->file, side->ipc_group, reason, size);
    listen(self->fd, listener_backlog(side));
    if (!self->file.inode)
        return 0;
    char *name = file_name(self);
    int rc = ipcfile_permit(&self->file, name, side->ipc_mode, side->ipc_group, reason, size);
    free(name);
    return rc;
}

static void
remove_file(const listener_t *self)
{
    char *name = file_name(self);
    ipcfile_remove(&self->file, name);
    free(name);
}

static void
close_ipc(listener_t *self, bool keep_file)
{
    if (self->file.inode && !keep_file)
        remove_file(self);
    ipcfile_close(&self->file);
    if (self->folder)
        rmdir(self->folder);
}

const listener_kind_t listener_ipc = { open_ipc, adopt_ipc, accept_ipc, resolve_ipc, change_ipc, close_ipc };
