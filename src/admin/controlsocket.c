// SPDX-License-Identifier: MPL-2.0
#include "admin/controlsocket.h"

#include "base/log.h"
#include "base/mem.h"

#include <errno.h>
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

static int
listen_there(controlsocket_t *self, char *reason, size_t size)
{
    if (self->fd != -1) // from the program before this one
        return ipcfile_adopt(&self->file, self->path, reason, size);
    self->fd = ipcfile_bind(&self->file, self->path, self->mode, self->group, reason, size);
    if (self->fd == -1 || listen(self->fd, SOMAXCONN) == 0)
        return self->fd == -1 ? -1 : 0;
    snprintf(reason, size, "%s", strerror(errno));
    return -1;
}

int
controlsocket_open(controlsocket_t *self, const char *path, mode_t mode, gid_t group, int fd, char *reason, size_t size)
{
    *self = (controlsocket_t){ .path = xstrdup(path), .mode = mode, .group = group, .fd = fd, .file = IPCFILE_NONE };
    return make_folder(path, reason, size) == -1 ? -1 : listen_there(self, reason, size);
}

static void
stop_listening(controlsocket_t *self)
{
    ipcfile_remove(&self->file, self->path);
    if (self->fd != -1)
        close(self->fd);
    ipcfile_close(&self->file);
    self->fd = -1;
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
    char reason[256];
    return ipcfile_permit(&self->file, self->path, mode, group, reason, sizeof reason);
}

bool
controlsocket_renew(controlsocket_t *self)
{
    char reason[256];
    struct stat there;
    controlsocket_t fresh = { .path = self->path, .mode = self->mode, .group = self->group, .fd = -1 };
    if (lstat(self->path, &there) == 0 || errno != ENOENT)
        return false;
    ipcfile_close(&self->file);
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
