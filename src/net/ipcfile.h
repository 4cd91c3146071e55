// SPDX-License-Identifier: MPL-2.0
// ipcfile.h - the file of a UNIX socket of ours. bind(2) knows no rules, and zmq_bind deletes whatever is in its way:
// here what is there must be a socket that nobody listens to, a lock file PATH.lock keeps a second process out while we
// live, and only the file that we have made is moved or removed, not what somebody has put there meanwhile. With a
// reason for a failure comes its errno.

#ifndef ZB_IPCFILE_H
#define ZB_IPCFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

typedef struct {
    char *path;   // NULL: there is none, or the name is an abstract one
    int lock;     // -1: not ours
    dev_t device; // of the file
    ino_t inode;  // 0: there is none of ours
} ipcfile_t;

#define IPCFILE_NONE ((ipcfile_t){ .lock = -1 })

// A socket that is bound to PATH ("@name": without a file), with MODE and GROUP ((gid_t)-1: as it comes) in force before
// anybody can connect, and does not listen yet. Its descriptor, or -1 with the reason. Close SELF in either case.
int ipcfile_bind(ipcfile_t *self, const char *path, mode_t mode, gid_t group, char *reason, size_t size);

// The socket at PATH is ours already, of the program before. 0, or -1 with the reason: then the file is not ours. Close
// SELF in either case.
int ipcfile_adopt(ipcfile_t *self, const char *path, char *reason, size_t size);

// Is the file that we have made the one at NAME, its own path or where it was moved? Then it can be removed.
bool ipcfile_is_at(const ipcfile_t *self, const char *name);
void ipcfile_remove(const ipcfile_t *self, const char *name);

// The file at NAME, if it is the one that we have made, gets the MODE and the GROUP that a new one would. 0, or -1 with
// the reason. Whether that would work is tried with the file of the lock, to which no group has a right.
int ipcfile_permit(const ipcfile_t *self, const char *name, mode_t mode, gid_t group, char *reason, size_t size);
int ipcfile_could_permit(const ipcfile_t *self, gid_t group, char *reason, size_t size);

// Give up the lock. A file that was not removed stays.
void ipcfile_close(ipcfile_t *self);

// Make room for a socket at PATH: 0, or -1 with the reason if something is in the way that is not ours to remove.
int ipcfile_clear(const char *path, char *reason, size_t size);

#endif
