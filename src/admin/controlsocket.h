// SPDX-License-Identifier: MPL-2.0
// controlsocket.h - the control socket in the file system: its path, the lock of
// that path and the descriptor that listens. A path that vanished, because
// somebody emptied the folder, is made anew; what somebody else has put there is
// left alone.

#ifndef ZB_CONTROLSOCKET_H
#define ZB_CONTROLSOCKET_H

#include "net/ipcfile.h"

typedef struct {
    char *path;
    mode_t mode;
    gid_t group; // (gid_t)-1: of the process
    int fd;      // -1: none
    ipcfile_t file;
    bool gave_up; // it is gone, and cannot be made anew for now
} controlsocket_t;

// Listen at PATH by the rules of net/ipcfile.h, with FD if that listens there already (-1: with none), which it owns from now
// on: 0, or -1 with the reason and its errno. Close it in either case.
int controlsocket_open(controlsocket_t *self, const char *path, mode_t mode, gid_t group, int fd, char *reason, size_t size);
void controlsocket_close(controlsocket_t *self);

// 0, or -1 with errno.
int controlsocket_chmod(controlsocket_t *self, mode_t mode, gid_t group);

// If the path has vanished, listen there anew. True: with a new descriptor, the old one is closed.
bool controlsocket_renew(controlsocket_t *self);

#endif
