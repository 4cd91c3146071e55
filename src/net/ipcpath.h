// SPDX-License-Identifier: MPL-2.0
// ipcpath.h - the rules for the path of a UNIX socket, because bind(2) knows
// none and zmq_bind deletes whatever is in its way: what is there must be a
// socket that nobody listens to, and a lock file PATH.lock keeps a second
// process out while we live. With a reason for a failure comes its errno.

#ifndef ZB_IPCPATH_H
#define ZB_IPCPATH_H

#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

// Take the lock of PATH: its descriptor (to be kept open), or -1 with the reason.
int ipcpath_lock(const char *path, char *reason, size_t size);
void ipcpath_unlock(const char *path, int *lock_p);

// Make room for a socket at PATH: 0, or -1 with the reason if something is in the way that is not ours to remove.
int ipcpath_clear(const char *path, char *reason, size_t size);

// Bind FD there with MODE and GROUP ((gid_t)-1: as it comes) in force before anybody can connect. 0, or -1 with the reason.
int ipcpath_bind(int fd, const char *path, mode_t mode, gid_t group, char *reason, size_t size);

// Give what is bound at PATH this MODE and GROUP ((gid_t)-1: it stays). 0, or -1 with the reason.
int ipcpath_permit(const char *path, mode_t mode, gid_t group, char *reason, size_t size);

// Could the group be given? LOCK is that of the path. 0, or -1 with the reason.
int ipcpath_could_permit(int lock, gid_t group, char *reason, size_t size);

#endif
