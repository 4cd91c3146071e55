// SPDX-License-Identifier: MPL-2.0
// listener_internal.h - a listener, and a record for each kind of transport: how it is
// opened, stops to accept and ends. For the files of this module only.

#ifndef ZB_LISTENER_INTERNAL_H
#define ZB_LISTENER_INTERNAL_H

#include "net/ipcfile.h"
#include "net/listener.h"

#include <stdbool.h>
#include <stddef.h>

// A transport without a descriptor of ours has none of these functions.
typedef struct {
    // Bind, and listen unless SELF is only tried. 0, or -1 with errno and the reason.
    int (*open)(listener_t *self, const endpoint_t *endpoint, const side_conf_t *side, char *reason, size_t size);
    // Its descriptor listens already: it is systemd's, or OURS, of the program before.
    void (*adopt)(listener_t *self, bool ours);
    // Newcomers wait, or no longer, as SELF->closed says.
    void (*accept)(const listener_t *self);
    // What a wildcard became, the caller's; NULL: the system does not tell.
    char *(*resolve)(const listener_t *self);
    // What SIDE says of a listener comes into force for one that listens, or, unless REALLY, could. 0, or -1 with errno
    // and the reason.
    int (*change)(const listener_t *self, const endpoint_t *endpoint, const side_conf_t *side, bool really, char *reason,
                  size_t size);
    // The last hold was given up: before the descriptor is closed.
    void (*close)(listener_t *self, bool keep_file);
} listener_kind_t;

extern const listener_kind_t listener_tcp, listener_ipc;

struct listener {
    char *wanted;
    char *endpoint;
    const listener_kind_t *kind;
    int fd;       // -1: libzmq's
    ipcfile_t file;
    char *folder; // made for a wildcard ipc socket
    bool foreign; // systemd made it, and says what it is like
    bool missing; // that the file has gone was told
    bool wildcard;
    int port;                 // of tcp, else 0
    bool leaving;             // the configuration that is on its way does not bind it
    bool tried;               // only bound, to see whether that works
    bool listens;             // it could be bound
    unsigned closed;          // not accepting: closed_for_t
    unsigned full;            // holders who have no room
    _Atomic unsigned holders; // a route that leaves looks from its thread
    char *bound_as;
    listener_t *next; // of all
};

// How long a queue of connects SIDE asks for, and gets.
int listener_backlog(const side_conf_t *side);

// Call FN for every listener at this tcp port. Nobody comes or goes meanwhile.
void listener_each_at(int port, void (*fn)(const listener_t *listener, void *arg), void *arg);

// Whoever has called listener_on_gone hears that SELF is gone.
void listener_tell_gone(const listener_t *self);

#endif
